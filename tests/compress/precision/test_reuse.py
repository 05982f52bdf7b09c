import numpy as np
import paddle

from mobileseg.compress.precision.reuse import Reuse
from tests.compress.precision.small import images, run, small


def test_a_component_is_computed_once_per_input_and_state():
    network = small()
    state = {"backbone": 0, "head": 0}
    count = {"backbone": 0, "head": 0}
    network.backbone.stem.register_forward_post_hook(lambda *_: count.update(backbone=count["backbone"] + 1))
    network.heads[0].inner.register_forward_post_hook(lambda *_: count.update(head=count["head"] + 1))
    first, second = images(2)
    expected = run(network, first)
    count.update(backbone=0, head=0)
    reuse = Reuse(network.components(), lambda name: state[name])
    for _ in range(3):
        np.testing.assert_array_equal(run(network, first), expected)
    assert count == {"backbone": 1, "head": 2}  # two levels
    state["head"] = 1
    run(network, first)
    assert count == {"backbone": 1, "head": 4}
    state["backbone"] = 1
    run(network, first)
    assert count == {"backbone": 2, "head": 6}
    run(network, second)  # other content
    assert count["backbone"] == 3
    reuse.clear()
    run(network, first)
    assert count["backbone"] == 4
    reuse.close()
    run(network, first)
    run(network, first)
    assert count["backbone"] == 6
    assert isinstance(network.backbone(paddle.to_tensor(first[None])), list)


def test_a_result_that_is_given_again_counts_as_uses():
    network, uses, seen = small(), {}, []

    def count(layer, _inputs):
        seen.append(uses.get(id(layer), 0))
        uses[id(layer)] = seen[-1] + 1

    network.heads[0].inner.register_forward_pre_hook(count)
    state = {"backbone": 0, "head": 0}
    reuse = Reuse(network.components(), lambda name: state[name], uses)
    image = images(1)[0]
    run(network, image)
    assert seen == [0, 1]
    uses.clear()
    run(network, image)
    assert seen == [0, 1]  # nothing was computed
    assert uses == {id(network.heads[0].inner): 2}
    run(network, image)  # the third and fourth use may give something else
    assert seen == [0, 1, 2, 3]
    reuse.close()
