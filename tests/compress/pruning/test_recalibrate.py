"""Statistics of norms measured again, against NumPy's."""

import numpy as np
import paddle
import pytest

from mobileseg.compress.pruning.recalibrate import recalibrate
from mobileseg.errors import CompressionError


class Small(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.stem = paddle.nn.Conv2D(3, 6, 3)
        self.norm = paddle.nn.BatchNorm2D(6)

    def forward(self, x):
        return {"logits": self.norm(self.stem(x))}


@pytest.fixture
def network():
    paddle.seed(3)
    return Small()


def batch(seed, count=2):
    return {"image": paddle.to_tensor(np.random.default_rng(seed).normal(1, 2, (count, 3, 8, 9)).astype(np.float32))}


def test_the_means_over_batches_of_mean_and_variance(network):
    batches = [batch(seed) for seed in range(3)]
    before = {name: value.numpy() for name, value in network.state_dict().items()}
    with paddle.no_grad():
        seen = [network.stem(one["image"]).numpy().astype(np.float64) for one in batches]
    assert recalibrate(network, batches) == 1
    after = {name: value.numpy() for name, value in network.state_dict().items()}
    np.testing.assert_allclose(after["norm._mean"], np.mean([x.mean((0, 2, 3)) for x in seen], 0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(after["norm._variance"], np.mean([x.var((0, 2, 3)) for x in seen], 0), rtol=1e-4)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"norm._mean", "norm._variance"}


def test_the_network_is_left_as_it_was_but_for_the_statistics(network):
    momentum = network.norm._momentum
    recalibrate(network, [batch(0)])
    assert network.norm._momentum == momentum
    assert not any(layer.training for layer in network.sublayers(include_self=True))


def test_norms_behind_dropout_see_everything():
    """Dropout would double what it lets through, and the statistics with it."""
    network = paddle.nn.Sequential(paddle.nn.Dropout(0.5), paddle.nn.BatchNorm2D(3))
    given = batch(1)
    recalibrate(_Named(network), [given])
    expected = given["image"].numpy().astype(np.float64).var((0, 2, 3))
    np.testing.assert_allclose(network[1]._variance.numpy(), expected, rtol=1e-4)


class _Named(paddle.nn.Layer):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return {"logits": self.layer(x)}


def test_frozen_statistics_are_measured_too(network):
    network.norm.eval()
    recalibrate(network, [batch(2)])
    assert not np.array_equal(network.norm._mean.numpy(), np.zeros(6))


def test_nothing_to_measure():
    plain = _Named(paddle.nn.Conv2D(3, 2, 1))
    assert recalibrate(plain, iter([])) == 0
    with pytest.raises(CompressionError, match="training images"):
        recalibrate(Small(), [])
