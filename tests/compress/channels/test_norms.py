"""Norms and what stands in front of them."""

from paddle import nn

from mobileseg.compress.channels.norms import find_norms
from mobileseg.compress.channels.trace import trace
from tests.compress.networks import build


class Chain(nn.Layer):
    def __init__(self):
        super().__init__()
        self.expand = nn.Conv2D(3, 8, 1)
        self.norm1 = nn.BatchNorm2D(8, epsilon=1e-3)
        self.depthwise = nn.Conv2D(8, 8, 3, padding=1, groups=8, bias_attr=False)
        self.norm2 = nn.BatchNorm2D(8)
        self.up = nn.Conv2DTranspose(8, 4, 2, stride=2)
        self.norm3 = nn.BatchNorm2D(4)
        self.first = nn.BatchNorm2D(3)

    def forward(self, x):
        x = nn.functional.relu(self.norm1(self.expand(self.first(x))))
        return self.norm3(self.up(self.norm2(self.depthwise(x))))


def test_kinds_of_layers_in_front():
    norms = {norm.scale.split(".")[0]: norm for norm in find_norms(trace(Chain()))}
    assert norms["first"].kernels == ()
    assert norms["norm1"].kernels == ("expand.weight",)
    assert abs(norms["norm1"].epsilon - 1e-3) < 1e-9
    assert (norms["norm1"].depthwise, norms["norm1"].in_series) == (False, False)
    assert norms["norm2"].kernels == ("depthwise.weight",)
    assert (norms["norm2"].depthwise, norms["norm2"].in_series) == (True, True)
    assert norms["norm3"].kernels == ("up.weight",)
    assert norms["norm3"].shift == "norm3.bias"
    assert (norms["norm3"].mean, norms["norm3"].variance) == ("norm3._mean", "norm3._variance")


class Branch(nn.Layer):
    """A depthwise convolution on a branch (GhostNet's cheap operation): what it reads goes on elsewhere too."""

    def __init__(self):
        super().__init__()
        self.primary = nn.Conv2D(3, 8, 1)
        self.norm1 = nn.BatchNorm2D(8)
        self.cheap = nn.Conv2D(8, 8, 3, padding=1, groups=8)
        self.norm2 = nn.BatchNorm2D(8)

    def forward(self, x):
        x = self.norm1(self.primary(x))
        return x + self.norm2(self.cheap(x))


def test_a_branch_is_not_in_series():
    norms = {norm.scale: norm for norm in find_norms(trace(Branch()))}
    assert norms["norm2.weight"].depthwise
    assert not norms["norm2.weight"].in_series


def test_every_norm_of_a_network_is_found_once():
    network = build("Yolact")
    norms = find_norms(trace(network))
    expected = [name for name, layer in network.named_sublayers() if isinstance(layer, nn.BatchNorm2D)]
    assert sorted(norm.scale.removesuffix(".weight") for norm in norms) == sorted(expected)
    assert all(len(norm.kernels) == 1 for norm in norms)
