from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle.nn import functional as F

from mobileseg.nn.blocks import (
    ACTIVATIONS,
    ConvNormAct,
    SeparableConv,
    batch_norm,
    channel_shuffle,
    make_divisible,
    resize,
)

pytestmark = pytest.mark.both


@pytest.mark.parametrize(
    ("value", "divisor", "expected"),
    [(16 * 0.35, 8, 8), (24 * 0.35, 8, 8), (40 * 0.5, 8, 24), (11, 8, 16), (10.4, 4, 12)],
)
def test_make_divisible(value: float, divisor: int, expected: int) -> None:
    result = make_divisible(value, divisor)
    assert result == expected
    assert result % divisor == 0
    assert result >= 0.9 * value


def test_shuffle_interleaves_the_groups() -> None:
    x = paddle.to_tensor(np.arange(6, dtype=np.float32).reshape(1, 6, 1, 1))
    assert channel_shuffle(x, 2).numpy().ravel().tolist() == [0, 3, 1, 4, 2, 5]
    assert channel_shuffle(x, 3).numpy().ravel().tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize("act", [None, *sorted(ACTIVATIONS)])
def test_convolution_norm_activation(act: str | None) -> None:
    """Against the definition of each step, from the block's own parameters."""
    paddle.seed(0)
    block = ConvNormAct(4, 6, 3, stride=2, act=act, names=("conv", "bn"))
    assert set(block.state_dict()) == {"conv.weight", "bn.weight", "bn.bias", "bn._mean", "bn._variance"}
    state = {key: np.random.RandomState(len(key)).rand(*value.shape) for key, value in block.state_dict().items()}
    block.set_state_dict({key: value.astype(np.float32) for key, value in state.items()})
    block.eval()
    x = np.random.RandomState(1).randn(1, 4, 7, 9)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    expected = np.empty((1, 6, 4, 5))
    for row in range(4):
        for column in range(5):
            patch = padded[0, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            expected[0, :, row, column] = np.tensordot(state["conv.weight"], patch, 3)
    per_channel = {key: value.reshape(1, -1, 1, 1) for key, value in state.items() if key.startswith("bn")}
    expected = (expected - per_channel["bn._mean"]) / np.sqrt(per_channel["bn._variance"] + 1e-5)
    expected = expected * per_channel["bn.weight"] + per_channel["bn.bias"]
    functions = {
        None: lambda v: v,
        "relu": lambda v: np.maximum(v, 0),
        "relu6": lambda v: np.clip(v, 0, 6),
        "leaky_relu": lambda v: np.where(v > 0, v, 0.1 * v),
        "hardswish": lambda v: v * np.clip(v + 3, 0, 6) / 6,
        "swish": lambda v: v / (1 + np.exp(-v)),
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    }
    actual = block(paddle.to_tensor(x.astype(np.float32))).numpy()
    np.testing.assert_allclose(actual, functions[act](expected), atol=1e-4)


def test_channels_are_read_from_the_kernel() -> None:
    block = ConvNormAct(8, 8, 3, groups=8)
    assert (block.in_channels, block.out_channels) == (8, 8)
    block = ConvNormAct(8, 6, 1)
    assert (block.in_channels, block.out_channels) == (8, 6)


def test_dilation_keeps_the_size() -> None:
    assert ConvNormAct(2, 2, 5, dilation=2)(paddle.zeros([1, 2, 9, 11])).shape == [1, 2, 9, 11]


def test_unknown_activation() -> None:
    with pytest.raises(ValueError, match="unknown activation 'mish'"):
        ConvNormAct(2, 2, 1, act="mish")


def test_running_statistics_keep_nine_tenths() -> None:
    norm = batch_norm(1)
    norm(paddle.full([2, 1, 2, 2], 5.0))
    assert norm._mean.item() == pytest.approx(0.5, rel=1e-5)


def test_separable_has_a_bias_only_where_the_published_files_have_one() -> None:
    names = set(SeparableConv(4, 6).state_dict())
    assert "piontwise_conv._conv.bias" in names
    assert "depthwise_conv._conv.bias" not in names


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_resize(mode: str) -> None:
    x = paddle.to_tensor(np.random.RandomState(0).randn(1, 2, 3, 4).astype(np.float32))
    assert resize(x, [3, 4], mode) is x
    np.testing.assert_array_equal(resize(x, [6, 5], mode).numpy(), F.interpolate(x, [6, 5], mode=mode).numpy())
