from __future__ import annotations

import numpy as np
import paddle
import pytest

from mobileseg.instance.layers import Separable, SeparableOutput, dense, out_channels, over_levels, to_rows, xavier
from tests.model_tester import fill

pytestmark = pytest.mark.both


@pytest.fixture
def levels() -> list[paddle.Tensor]:
    rng = np.random.RandomState(0)
    return [
        paddle.to_tensor((scale * rng.randn(2, 4, *size) + scale).astype(np.float32))
        for scale, size in ((1, (6, 8)), (3, (3, 4)), (9, (2, 2)))
    ]


@pytest.mark.parametrize("layer", [dense(4, 6), Separable(4, 6), SeparableOutput(4, 6)])
def test_shared_layer_in_evaluation_is_the_layer_on_each_level(layer, levels):
    layer = fill(layer)
    layer.eval()
    assert out_channels(layer) == 6
    for ours, x in zip(over_levels(layer, levels), levels, strict=True):
        np.testing.assert_array_equal(ours.numpy(), layer(x).numpy())
        assert ours.shape == [2, 6, *x.shape[2:]]


def test_norms_of_a_shared_layer_see_all_levels(levels):
    """Against NumPy: mean and variance over the pixels of every level together."""
    layer = fill(SeparableOutput(4, 6))
    layer.train()
    results = over_levels(layer, levels)
    depthwise, norm = layer.depthwise.convolution, layer.depthwise.norm_layer
    maps = [depthwise(x).numpy() for x in levels]
    pixels = np.concatenate([x.transpose(1, 0, 2, 3).reshape(4, -1) for x in maps], axis=1)
    mean, variance = pixels.mean(axis=1), pixels.var(axis=1)
    for ours, x in zip(results, maps, strict=True):
        normed = (x - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
        normed = normed * norm.weight.numpy()[:, None, None] + norm.bias.numpy()[:, None, None]
        expected = np.einsum("oi,nihw->nohw", layer.pointwise.weight.numpy()[:, :, 0, 0], normed)
        np.testing.assert_allclose(ours.numpy(), expected + layer.pointwise.bias.numpy()[:, None, None], atol=1e-4)
    np.testing.assert_allclose(
        norm._mean.numpy(), 0.9 * fill(SeparableOutput(4, 6)).depthwise.norm_layer._mean.numpy() + 0.1 * mean, rtol=1e-4
    )


def test_frozen_norms_of_a_shared_layer_use_their_statistics(levels):
    layer = fill(Separable(4, 6))
    layer.eval()
    expected = over_levels(layer, levels)
    layer.training = True  # the layer trains, its norms do not
    for ours, theirs in zip(over_levels(layer, levels), expected, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_separable_against_its_parts():
    layer = fill(Separable(4, 6, stride=2))
    layer.eval()
    x = paddle.to_tensor(np.random.RandomState(1).randn(1, 4, 7, 9).astype(np.float32))
    y = paddle.nn.functional.conv2d(x, layer.depthwise.convolution.weight, stride=2, padding=1, groups=4)
    y = layer.pointwise.norm_layer(layer.pointwise.convolution(layer.depthwise.norm_layer(y)))
    np.testing.assert_allclose(layer(x).numpy(), y.numpy(), atol=1e-6)
    assert layer(x).shape == [1, 6, 4, 5]
    assert float(layer(x).min()) < 0, "there is no activation inside"


def test_rows_in_the_order_row_column_anchor():
    anchors, length, height, width = 3, 5, 2, 4
    x = paddle.arange(anchors * length * height * width, dtype="float32").reshape([1, anchors * length, height, width])
    rows = to_rows(x, length).numpy()[0]
    assert rows.shape == (height * width * anchors, length)
    for row in range(height):
        for column in range(width):
            for anchor in range(anchors):
                expected = x.numpy()[0, anchor * length : (anchor + 1) * length, row, column]
                np.testing.assert_array_equal(rows[(row * width + column) * anchors + anchor], expected)


def test_xavier_bounds():
    """Glorot and Bengio: sqrt(6 / (fan in + fan out)), a depthwise kernel counted for one channel."""
    for (i, o, k, g), bound in {(8, 16, 3, 1): np.sqrt(6 / (9 * 24)), (64, 64, 3, 64): np.sqrt(6 / 18)}.items():
        values = paddle.create_parameter([o, i // g, k, k], "float32", default_initializer=xavier(i, o, k, g)).numpy()
        assert 0.95 * bound < np.abs(values).max() <= bound * (1 + 1e-6)
