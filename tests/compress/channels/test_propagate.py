"""Channels that belong together, on networks small enough to count by hand."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

from mobileseg.compress.channels.groups import find_groups
from mobileseg.compress.channels.labels import LOCKED, Labels, reshape_blocks
from mobileseg.nn.blocks import channel_shuffle


class Net(nn.Layer):
    """Layers a, b, c, ... of the given (in, out, options), and a forward pass of them."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.run = forward
        for name, (inputs, outputs, options) in layers.items():
            kernel = options.pop("kernel", 1)
            self.add_sublayer(name, nn.Conv2D(inputs, outputs, kernel, padding=kernel // 2, bias_attr=False, **options))

    def forward(self, x):
        return self.run(self, x)


def units(network):
    """Name of a kernel and axis -> units along it, numbered in the order of appearance."""
    groups = find_groups(network, (8, 12))
    numbers = {LOCKED: "-"}
    found = {}
    for (name, axis), labels in groups.units.items():
        values = [numbers.setdefault(int(label), str(len(numbers))) for label in labels]
        found[f"{name.removesuffix('.weight')}{axis}"] = " ".join(values)
    return found


def conv(inputs, outputs, **options):
    return inputs, outputs, options


def test_chain():
    net = Net(lambda n, x: n.b(F.relu(n.a(x))), a=conv(3, 3), b=conv(3, 2))
    assert units(net) == {"a1": "- - -", "a0": "1 2 3", "b1": "1 2 3", "b0": "- -"}


def test_sum_joins():
    net = Net(lambda n, x: n.c(n.a(x) + n.b(x)), a=conv(3, 2), b=conv(3, 2), c=conv(2, 1))
    assert units(net) == {"a1": "- - -", "a0": "1 2", "b1": "- - -", "b0": "1 2", "c1": "1 2", "c0": "-"}


def test_sum_with_a_single_channel_locks_it():
    net = Net(lambda n, x: n.c(n.a(x) * n.b(x)), a=conv(3, 2), b=conv(3, 1), c=conv(2, 1))
    assert units(net)["b0"] == "-"
    assert units(net)["a0"] == "1 2"


def test_a_table_of_the_code_locks_the_channels_that_it_has_values_for():
    def forward(net, x):
        table = paddle.to_tensor(np.arange(2, dtype=np.float32).reshape(1, 2, 1, 1))
        return net.c(net.a(x) + paddle.reshape(table, [2, 1, 1])) + net.d(net.b(x) + table[:, :1])

    net = Net(forward, a=conv(3, 2), b=conv(3, 2), c=conv(2, 1), d=conv(2, 1))
    assert units(net)["a0"] == "- -"
    assert units(net)["b0"] == "1 2"  # one number for all of them


def test_depthwise_with_two_outputs_per_channel():
    net = Net(lambda n, x: n.c(n.b(n.a(x))), a=conv(3, 2), b=conv(2, 4, groups=2, kernel=3), c=conv(4, 1))
    assert units(net) == {"a1": "- - -", "a0": "1 2", "b0": "1 1 2 2", "c1": "1 1 2 2", "c0": "-"}


def test_grouped_convolution_stays():
    net = Net(lambda n, x: n.c(n.b(n.a(x))), a=conv(3, 4), b=conv(4, 4, groups=2), c=conv(4, 1))
    assert units(net)["a0"] == units(net)["c1"] == "- - - -"


def test_concat_and_split():
    def forward(n, x):
        left, right = paddle.split(paddle.concat([n.a(x), n.b(x)], axis=1), [3, 2], axis=1)
        return n.c(left) + n.d(right)

    net = Net(forward, a=conv(3, 2), b=conv(3, 3), c=conv(3, 1), d=conv(2, 1))
    found = units(net)
    assert (found["a0"], found["b0"], found["c1"], found["d1"]) == ("1 2", "3 4 5", "1 2 3", "4 5")


def test_shuffle_joins_pairs_and_interleaves():
    net = Net(
        lambda n, x: n.c(channel_shuffle(paddle.concat([n.a(x), n.b(x)], axis=1))),
        a=conv(3, 2),
        b=conv(3, 2),
        c=conv(4, 1),
    )
    found = units(net)
    assert (found["a0"], found["b0"], found["c1"]) == ("1 2", "1 2", "1 1 2 2")


def test_squeeze_and_excite():
    def forward(n, x):
        x = n.a(x)
        return n.d(x * F.sigmoid(n.c(F.relu(n.b(F.adaptive_avg_pool2d(x, 1))))))

    found = units(Net(forward, a=conv(3, 2), b=conv(2, 2), c=conv(2, 2), d=conv(2, 1)))
    assert (found["a0"], found["b1"], found["b0"], found["c1"], found["c0"], found["d1"]) == (
        "1 2", "1 2", "3 4", "3 4", "1 2", "1 2",
    )  # fmt: skip


def test_one_kernel_at_several_places():
    net = Net(lambda n, x: n.c(n.b(n.a(x))) + n.c(n.b(n.b(n.a(x)))), a=conv(3, 2), b=conv(2, 2), c=conv(2, 1))
    found = units(net)
    assert found["a0"] == found["b1"] == found["b0"] == found["c1"] == "1 2"


@pytest.mark.parametrize(
    "mixed", [lambda x: x.max(axis=1, keepdim=True), lambda x: F.softmax(x, axis=1), lambda x: paddle.flip(x, [1])]
)
def test_what_mixes_channels_locks_them(mixed):
    width = mixed(paddle.zeros([1, 2, 4, 4])).shape[1]
    net = Net(lambda n, x: n.c(mixed(n.a(x))), a=conv(3, 2), c=conv(width, 1))
    assert units(net)["a0"] == "- -"


def test_macs_without_some_units():
    net = Net(lambda n, x: n.b(n.a(x)), a=conv(3, 4, kernel=3), b=conv(4, 2))
    groups = find_groups(net, (8, 12))
    assert groups.macs() == (4 * 3 * 9 + 2 * 4) * 96
    assert groups.macs(groups.sets[0].units[:1]) == (3 * 3 * 9 + 2 * 3) * 96


def test_reshape_blocks():
    assert reshape_blocks((1, 6, 4), (2, 3, 4)) == [([1], [0, 1]), ([2], [2])]
    assert reshape_blocks((1, 2, 3, 4, 5), (1, 6, 20)) == [([1, 2], [1]), ([3, 4], [2])]
    assert reshape_blocks((4, 6), (3, 8)) == [([0, 1], [0, 1])]


def test_labels():
    labels = Labels()
    a, b = labels.fresh(3), labels.fresh(3)
    labels.join(a, b)
    labels.join(b[:1], a[1:2])
    assert labels.roots(b).tolist() == labels.roots(a).tolist() == [1, 1, 3]
    labels.lock(b[2])
    assert labels.roots(np.array([3, 6, 1])).tolist() == [LOCKED, LOCKED, 1]
