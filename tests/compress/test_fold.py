"""Batch norms folded into the layers in front of them."""

import numpy as np
import paddle
import pytest
from paddle import nn

from mobileseg.compress.fold import fold_norms
from mobileseg.errors import CompressionError
from tests.compress.networks import build, image, outputs


class Mixed(nn.Layer):
    """One of each kind of layer."""

    def __init__(self):
        super().__init__()
        self.plain, self.plain_norm = nn.Conv2D(3, 8, 3, padding=1, bias_attr=False), nn.BatchNorm2D(8)
        self.depth, self.depth_norm = nn.Conv2D(8, 8, 3, padding=1, groups=8), nn.BatchNorm2D(8, epsilon=1e-3)
        self.up, self.up_norm = nn.Conv2DTranspose(8, 6, 2, stride=2), nn.BatchNorm2D(6)
        self.linear, self.linear_norm = nn.Linear(6, 5), nn.BatchNorm1D(5)
        self.alone = nn.BatchNorm2D(3)

    def forward(self, x):
        x = nn.functional.relu(self.plain_norm(self.plain(self.alone(x))))
        x = self.up_norm(self.up(self.depth_norm(self.depth(x))))
        return {"map": x, "vector": self.linear_norm(self.linear(x.mean(axis=[2, 3])))}


def randomised(network, seed=0):
    rng = np.random.default_rng(seed)
    for name, tensor in network.state_dict().items():
        low = 0.5 if name.endswith("_variance") else -1.0
        tensor.set_value(rng.uniform(low, 1.5, tensor.shape).astype(np.float32))
    return network


def test_every_kind_of_layer():
    network = randomised(Mixed())
    expected = outputs(network, image())
    folded = fold_norms(network)
    assert set(folded.layers) == {"plain.weight", "depth.weight", "up.weight", "linear.weight"}
    assert folded.remaining == ("alone.weight",)
    assert folded.difference < 1e-5
    for name, found in outputs(network, image()).items():
        np.testing.assert_allclose(found, expected[name], atol=1e-5 * np.abs(expected[name]).max())
    assert not [name for name in network.state_dict() if name.startswith(("plain_norm", "depth_norm", "up_norm"))]


@pytest.mark.parametrize("name", ["MobileNetV2_x0_5", "ShuffleNetV2_x0_5", "MobileYolact"])
def test_networks(name):
    network = build(name)
    expected = outputs(network, image(seed=1))
    folded = fold_norms(network)
    norms = [layer for layer in network.sublayers() if isinstance(layer, nn.BatchNorm2D)]
    assert len(folded.layers) > 40
    assert not folded.remaining
    assert len(norms) == (4 if name != "MobileYolact" else 0)  # those of the heads that only training runs
    for key, found in outputs(network, image(seed=1)).items():
        np.testing.assert_allclose(found, expected[key], atol=1e-5 * np.abs(expected[key]).max())


def test_a_network_that_reads_its_norms_otherwise_is_refused():
    class Odd(Mixed):
        def forward(self, x):
            return super().forward(x) | {"mean": self._sub_layers["plain"].weight.sum()}

    with pytest.raises(CompressionError, match="moved the outputs"):
        fold_norms(randomised(Odd()))


def test_a_layer_that_something_else_reads_too_keeps_its_norm():
    class Branch(nn.Layer):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2D(3, 4, 1), nn.BatchNorm2D(4)

        def forward(self, x):
            x = self.conv(x)
            return x + self.norm(x)

    network = randomised(Branch())
    assert fold_norms(network).remaining == ("norm.weight",)
    assert isinstance(network.norm, nn.BatchNorm2D)
    assert paddle.is_tensor(network.conv.bias)
