"""Kernels of reordered channels against the plain convolution of channels that are reordered by hand."""

import numpy as np
import paddle
import pytest
from paddle.nn import functional as F

from mobileseg.nn.reordered import OPEN, Conv, alone, moved, reads, weighted, wide, writes

pytestmark = pytest.mark.both

ORDER = np.array([3, -1, 0, 2, 1, -1])


def arranged(x, order):
    """Channels of a tensor by an order, with numbers in the empty ones that nothing may read."""
    return np.where((order >= 0)[:, None, None], x[:, np.maximum(order, 0)], 1e6).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def plain(x, kernel, groups=1):
    weight, bias = (paddle.to_tensor(part) for part in kernel)
    return F.conv2d(paddle.to_tensor(x), weight, bias, padding=weight.shape[2] // 2, groups=groups).numpy()


def test_inputs_and_outputs_in_an_order(rng):
    x = rng.normal(size=(2, 4, 5, 7)).astype(np.float32)
    kernel = rng.normal(size=(4, 4, 3, 3)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    found = Conv(writes(reads(kernel, ORDER), ORDER))(paddle.to_tensor(arranged(x, ORDER))).numpy()
    expected = plain(x, kernel)
    np.testing.assert_allclose(found[:, ORDER >= 0], expected[:, ORDER[ORDER >= 0]], atol=1e-4)
    assert not found[:, ORDER < 0].any()


def test_channels_before_the_first_are_not_read_and_get_an_open_gate(rng):
    x = rng.normal(size=(1, 4, 3, 3)).astype(np.float32)
    kernel = rng.normal(size=(2, 2, 1, 1)).astype(np.float32), rng.normal(size=2).astype(np.float32)
    found = Conv(writes(reads(kernel, ORDER, 2), ORDER, 2))(paddle.to_tensor(arranged(x, ORDER))).numpy()
    expected = plain(x[:, 2:], kernel)
    for place, channel in enumerate(ORDER):
        if channel >= 2:
            np.testing.assert_allclose(found[:, place], expected[:, channel - 2], atol=1e-5)
        else:
            assert (found[:, place] == (OPEN if channel >= 0 else 0.0)).all()


def test_a_depthwise_kernel_leaves_channels_before_the_first_alone(rng):
    x = rng.normal(size=(1, 4, 5, 5)).astype(np.float32)
    kernel = rng.normal(size=(2, 1, 3, 3)).astype(np.float32), rng.normal(size=2).astype(np.float32)
    found = Conv(alone(kernel, ORDER, 2), depthwise=True)(paddle.to_tensor(arranged(x, ORDER))).numpy()
    changed = plain(x[:, 2:], kernel, groups=2)
    for place, channel in enumerate(ORDER):
        if channel >= 2:
            np.testing.assert_allclose(found[:, place], changed[:, channel - 2], atol=1e-5)
        elif channel >= 0:
            np.testing.assert_array_equal(found[:, place], x[:, channel])
        else:
            assert not found[:, place].any()


def test_back_into_the_trained_order(rng):
    x = rng.normal(size=(1, 4, 2, 3)).astype(np.float32)
    found = Conv(moved(ORDER, 2.0))(paddle.to_tensor(arranged(x, ORDER))).numpy()
    np.testing.assert_array_equal(found, 2.0 * x)


@pytest.mark.parametrize(("channels", "length"), [(1, 16), (16, 16), (40, 48)])
def test_whole_blocks(channels, length):
    order = wide(channels)
    assert order.tolist() == [*range(channels), *[-1] * (length - channels)]


def test_weights_of_channels(rng):
    x, weights = (rng.normal(size=(2, 3, *size)).astype(np.float32) for size in ((4, 5), (1, 1)))
    found = weighted(paddle.to_tensor(x), paddle.to_tensor(weights)).numpy()
    np.testing.assert_array_equal(found, x * weights)
    assert weighted(x, None) is x
