"""Average pooling to a fixed number of bins, written so that every converter keeps it exact.

Adaptive pooling has no ONNX operator: paddle2onnx replaces it by a plain pooling, which is silently
wrong where the bin count does not divide the map, and which gets stride 0 where the map's size is only
known at run time. On ARM, Paddle Lite takes adaptive pooling to 3 bins, or to the map's own size, for
another pooling. So a traced graph contains none of these; see :class:`BinPool` for what it contains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.nn.compat import is_static, is_tracing, spatial_size, takes_any_size


def bin_windows(length: int, bins: int) -> list[tuple[int, int]]:
    """The half-open intervals that adaptive average pooling averages over, along one axis.

    Window i is [floor(i * length / bins), ceil((i + 1) * length / bins)): the windows overlap where ``bins``
    does not divide ``length``, and repeat where ``bins`` exceeds it.
    """
    return [(i * length // bins, -((-(i + 1) * length) // bins)) for i in range(bins)]


def bin_matrix(length: int, bins: int) -> np.ndarray:
    """float32 [length, bins]: column i averages over window i of :func:`bin_windows`."""
    matrix = np.zeros((length, bins), np.float32)
    for index, (start, end) in enumerate(bin_windows(length, bins)):
        matrix[start:end, index] = 1.0 / (end - start)
    return matrix


class BinPool(nn.Layer):
    """Average pooling of [N, C, H, W] to [N, C, bins, bins].

    Run eagerly it is Paddle's adaptive pooling. In a traced graph it is, equal up to rounding:

    - one bin: the global mean;
    - as many bins as the map has pixels: nothing;
    - bins that divide the map: a plain average pooling, kernel = stride = map / bins;
    - other bins on a map of known size: the separable product ``A_h^T x A_w`` with constant matrices;
    - a map of unknown size: two reshapes and means that name no size. The size must then be a multiple
      of ``bins``; another size stops with an error of the engine instead of a wrong answer;
    - a map of unknown size in a graph for any size: the product, with matrices that the graph makes of the size.
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        if bins < 1:
            raise ValueError(f"the number of bins must be at least 1, got {bins}")
        self.bins = bins

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return bin_pool(x, self.bins)

    def extra_repr(self) -> str:
        return f"bins={self.bins}"


def bin_pool(x: paddle.Tensor, bins: int) -> paddle.Tensor:
    """Functional form of :class:`BinPool`."""
    if bins == 1 or not is_tracing():
        return F.adaptive_avg_pool2d(x, bins)
    size = spatial_size(x)
    if not is_static(size):
        return _pool_any(x, size, bins) if takes_any_size() else _pool_unknown(x, bins)
    height, width = (int(length) for length in size)
    if height == bins and width == bins:
        return x
    if height % bins == 0 and width % bins == 0:
        kernel = (height // bins, width // bins)
        return F.avg_pool2d(x, kernel, stride=kernel)
    return _pool_matrix(x, bin_matrix(height, bins), bin_matrix(width, bins))


def _pool_matrix(x: paddle.Tensor, over_height: np.ndarray, over_width: np.ndarray) -> paddle.Tensor:
    """Pool the last axis, swap, pool the other, swap back."""
    for matrix in (over_width, over_height):
        x = paddle.transpose(_times_constant(x, matrix), [0, 1, 3, 2])
    return x


def _times_constant(x: paddle.Tensor, matrix: np.ndarray) -> paddle.Tensor:
    """[N, C, H, W] x [W, bins], as a product of three axes by two.

    With four axes Paddle Inference takes the product for its old `mul` and answers wrongly without a word.
    """
    _, channels, rows, length = x.shape
    product = paddle.matmul(paddle.reshape(x, [0, channels * rows, length]), paddle.to_tensor(matrix))
    return paddle.reshape(product, [0, channels, rows, matrix.shape[1]])


def _pool_unknown(x: paddle.Tensor, bins: int) -> paddle.Tensor:
    """Over the width, then over the height; in a reshape 0 keeps an axis and -1 takes what is left.

    A batch of one is left out meanwhile: Paddle Lite's mean is wrong on five axes.
    """
    single = x.shape[0] == 1
    if single:
        x = paddle.squeeze(x, axis=[0])
    kept = [0] * (len(x.shape) - 1)
    swap = [*range(len(kept) - 1), len(kept), len(kept) - 1]
    for _ in range(2):
        x = paddle.mean(paddle.reshape(x, [*kept, bins, -1]), axis=-1)
        x = paddle.transpose(x, swap)
    return paddle.unsqueeze(x, axis=[0]) if single else x


def _pool_any(x: paddle.Tensor, size: Sequence[int | paddle.Tensor], bins: int) -> paddle.Tensor:
    """As :func:`_pool_matrix`. Adaptive pooling itself would not do: oneDNN has none for more bins than pixels."""
    channels = x.shape[1]
    for length in reversed(size):
        product = paddle.matmul(paddle.flatten(x, 1, 2), _traced_matrix(length, bins))
        x = paddle.transpose(paddle.reshape(product, [0, channels, -1, bins]), [0, 1, 3, 2])
    return x


def _traced_matrix(length: int | paddle.Tensor, bins: int) -> paddle.Tensor:
    """:func:`bin_matrix` of a length that is known when the graph runs."""
    whole = paddle.reshape(paddle.cast(paddle.to_tensor(length), "int64"), [1, 1])
    index = paddle.to_tensor(np.arange(bins, dtype=np.int64)[None])
    start = paddle.floor_divide(index * whole, paddle.full_like(index, bins))
    end = paddle.floor_divide((index + 1) * whole + (bins - 1), paddle.full_like(index, bins))
    position = paddle.unsqueeze(paddle.arange(0, paddle.reshape(whole, [1]), 1, "int64"), axis=[1])
    inside = paddle.logical_and(position >= start, position < end)
    return paddle.cast(inside, "float32") / paddle.cast(end - start, "float32")


# Decides by Python values what is written into the graph: tracing must not rewrite it.
bin_pool = paddle.jit.not_to_static(bin_pool)
