"""Channel plans."""

import numpy as np
import paddle
import pytest
from paddle import nn

from mobileseg.errors import WeightsError
from mobileseg.nn.width import apply_plan, is_depthwise, parameter_count, plan_between, set_arrays, shapes_of

pytestmark = pytest.mark.both


class Small(nn.Layer):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2D(3, 6, 1), nn.BatchNorm2D(6)
        self.depth, self.up = nn.Conv2D(6, 12, 3, padding=1, groups=6), nn.Conv2DTranspose(12, 4, 2, stride=2)
        self.linear = nn.Linear(4, 2)

    def forward(self, x):
        return self.linear(self.up(self.depth(self.norm(self.first(x)))).mean(axis=[2, 3]))


PLAN = {
    "first.weight": [4, 3, 1, 1],
    "first.bias": [4],
    "depth.weight": [8, 1, 3, 3],
    "depth.bias": [8],
    **{f"norm.{name}": [4] for name in ("weight", "bias", "_mean", "_variance")},
    "up.weight": [8, 3, 2, 2],
    "up.bias": [3],
    "linear.weight": [3, 2],
}


def test_layers_compute_with_the_new_widths():
    network = Small()
    before, parameter = shapes_of(network), network.first.weight
    apply_plan(network, PLAN)
    assert network.first.weight is parameter
    assert plan_between(before, shapes_of(network)) == PLAN
    assert (network.depth._groups, network.depth._in_channels, network.depth._out_channels) == (4, 4, 8)
    assert (network.up._in_channels, network.up._out_channels, network.linear.in_features) == (8, 3, 3)
    network.train()
    loss = network(paddle.ones([2, 3, 4, 4])).sum()
    loss.backward()
    assert all(p.grad.shape == p.shape for p in network.parameters() if not p.stop_gradient)
    assert parameter_count(network) == sum(int(p.size) for p in network.parameters() if not p.stop_gradient)


def test_the_first_entries_remain_and_twice_is_once():
    network = Small()
    weight = network.first.weight.numpy()
    apply_plan(network, PLAN)
    apply_plan(network, PLAN)
    np.testing.assert_array_equal(network.first.weight.numpy(), weight[:4])
    assert network.depth._groups == 4


def test_values():
    network = Small()
    set_arrays(network, {"first.bias": np.arange(6.0)})
    assert network.first.bias.numpy().tolist() == [0, 1, 2, 3, 4, 5]
    assert network.first.bias.dtype == paddle.float32
    assert is_depthwise(network.depth)
    assert not is_depthwise(network.first)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"third.weight": [1]}, r"third\.weight: not in the network"),
        ({"first.bias": [7]}, r"first\.bias: \[7\] in the plan, \[6\] in the network"),
        ({"first.bias": [0]}, r"first\.bias: \[0\]"),
        ({"first.bias": [2, 1]}, r"first\.bias: \[2, 1\]"),
    ],
)
def test_a_plan_of_another_network(plan, message):
    network = Small()
    before = shapes_of(network)
    with pytest.raises(WeightsError, match=message):
        apply_plan(network, {"first.weight": [4, 3, 1, 1], **plan})
    assert shapes_of(network) == before
