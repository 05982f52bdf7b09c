"""Steps between the branches of a multi-resolution network, on maps of any size.

A branch of step k beside a finer one holds ceil(n / k) pixels: its pixel j stands for pixels [k*j, k*(j+1)) of the
finer map, of which the last window may be cut off by the border. Where k divides the size these are plain
average pooling and nearest upsampling.
"""

from __future__ import annotations

import paddle
from paddle.nn import functional as F

from mobileseg.nn.blocks import resize
from mobileseg.nn.compat import is_static, spatial_size


def window_pool(x: paddle.Tensor, step: int) -> paddle.Tensor:
    """Mean over windows of ``step`` pixels: [N, C, H, W] to [N, C, ceil(H / step), ceil(W / step)].

    In a graph for unknown sizes, those must be multiples of ``step``.
    """
    size = spatial_size(x)
    if not is_static(size) or all(int(length) % step == 0 for length in size):
        return F.avg_pool2d(x, step, stride=step)
    return _pool_axis(_pool_axis(x, step, 3), step, 2)


def _pool_axis(x: paddle.Tensor, step: int, axis: int) -> paddle.Tensor:
    """Along one axis: the whole windows, and the one that is cut off, which engines' own rounding modes treat
    differently, by itself."""
    length = int(x.shape[axis])
    rest = length % step
    parts = []
    if length > rest:
        parts.append(_pool_part(x, 0, length - rest, step, axis))
    if rest:
        parts.append(_pool_part(x, length - rest, length, rest, axis))
    return paddle.concat(parts, axis=axis) if len(parts) > 1 else parts[0]


def _pool_part(x: paddle.Tensor, start: int, end: int, step: int, axis: int) -> paddle.Tensor:
    if (start, end) != (0, int(x.shape[axis])):
        x = paddle.slice(x, [axis], [start], [end])
    kernel = (step, 1) if axis == 2 else (1, step)
    return x if step == 1 else F.avg_pool2d(x, kernel, stride=kernel)


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
