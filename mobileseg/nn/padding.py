"""One rule for networks that need sides of a multiple: zeros at the bottom and the right inside, cut off outside."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle.nn import functional as F

from mobileseg.errors import ExportError
from mobileseg.nn.compat import is_static, spatial_size, takes_any_size


def pad_to_multiple(x: paddle.Tensor, multiple: int) -> paddle.Tensor:
    """``x`` [N, C, H, W] with zeros behind, so that both sides are multiples of ``multiple``.

    A graph of dynamic size holds no padding: its sides must be such multiples (``size_multiple`` of the network).

    Raises:
        ExportError: a graph is traced that must hold for every size.
    """
    size = spatial_size(x)
    if not is_static(size):
        if takes_any_size():
            raise ExportError(
                f"this network pads images to multiples of {multiple}, so a graph of any size cannot be had"
            )
        return x
    missing = [-int(length) % multiple for length in size]
    return F.pad(x, [0, missing[1], 0, missing[0]]) if any(missing) else x


def cut_to_stride(feature: paddle.Tensor, size: Sequence[int | paddle.Tensor], stride: int) -> paddle.Tensor:
    """The pixels of a feature [N, C, h, w] that belong to an image of ``size`` before it was padded, of which there are
    ``ceil(length / stride)`` along each side."""
    if not is_static(list(size)):
        return feature
    height, width = (-(-int(length) // stride) for length in size)
    if int(feature.shape[2]) != height:
        feature = feature[:, :, :height]
    if int(feature.shape[3]) != width:
        feature = feature[:, :, :, :width]
    return feature


# Decide by Python values what is written into the graph: tracing must not rewrite them.
pad_to_multiple = paddle.jit.not_to_static(pad_to_multiple)
cut_to_stride = paddle.jit.not_to_static(cut_to_stride)
