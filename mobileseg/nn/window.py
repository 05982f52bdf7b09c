"""Steps between the branches of a multi-resolution network, on maps of any size.

A branch of step k beside a finer one holds ceil(n / k) pixels: its pixel j stands for pixels [k*j, k*(j+1)) of the
finer map, of which the last window may be cut off by the border. Where k divides the size these are plain
average pooling and nearest upsampling.
"""

from __future__ import annotations

import numpy as np
import paddle
from paddle.nn import functional as F

from mobileseg.nn.blocks import resize
from mobileseg.nn.compat import is_static, spatial_size


def window_matrix(length: int, step: int) -> np.ndarray:
    """float32 [length, ceil(length / step)]: column j averages over the pixels of window j that exist."""
    matrix = np.zeros((length, -(-length // step)), np.float32)
    for index in range(matrix.shape[1]):
        start, end = index * step, min((index + 1) * step, length)
        matrix[start:end, index] = 1.0 / (end - start)
    return matrix


def window_pool(x: paddle.Tensor, step: int) -> paddle.Tensor:
    """Mean over windows of ``step`` pixels: [N, C, H, W] to [N, C, ceil(H / step), ceil(W / step)].

    In a graph for unknown sizes, those must be multiples of ``step``.
    """
    size = spatial_size(x)
    if not is_static(size) or all(int(length) % step == 0 for length in size):
        return F.avg_pool2d(x, step, stride=step)
    # As products with constant matrices: how engines treat a window that is cut off differs.
    height, width = (window_matrix(int(length), step) for length in size)
    x = paddle.transpose(paddle.matmul(x, paddle.to_tensor(width)), [0, 1, 3, 2])
    return paddle.transpose(paddle.matmul(x, paddle.to_tensor(height)), [0, 1, 3, 2])


def window_expand(x: paddle.Tensor, step: int, like: paddle.Tensor) -> paddle.Tensor:
    """Every pixel of ``x`` [N, C, h, w] to all pixels of its window: [N, C, H, W] of the size of ``like``."""
    size = spatial_size(like)
    if not is_static(size):
        # A multiple of the step (see window_pool), so the factor is exact and the graph need not read a shape.
        return F.interpolate(x, scale_factor=step, mode="nearest")
    height, width = (int(length) for length in size)
    x = resize(x, [int(x.shape[2]) * step, int(x.shape[3]) * step], mode="nearest")
    if int(x.shape[2]) != height:
        x = x[:, :, :height]
    if int(x.shape[3]) != width:
        x = x[:, :, :, :width]
    return x


# Decide by Python values what is written into the graph: tracing must not rewrite them.
window_pool = paddle.jit.not_to_static(window_pool)
window_expand = paddle.jit.not_to_static(window_expand)
