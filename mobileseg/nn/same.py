"""Convolution padded as TensorFlow's 'SAME' does it, for weights that were trained there."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.nn.compat import spatial_size


def same_padding(length: int | paddle.Tensor, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis, so that ``ceil(length / stride)`` outputs come of it.

    Where their number is odd, the additional zero is behind: a convolution of stride 2 sees an axis of even length
    from its first pixel on, where symmetric padding would shift it by one.

    Args:
        length: of the axis; a tensor stands for a multiple of ``stride`` that is known at run time only.
        kernel: taps of the convolution along the axis.
        stride: its step.
    """
    covered = (-(-length // stride) - 1) * stride + kernel - length if isinstance(length, int) else kernel - stride
    total = max(covered, 0)
    return total // 2, total - total // 2


class SameConv2D(nn.Conv2D):
    """Convolution without bias whose zero padding depends on the size of the map, as :func:`same_padding` says.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the square kernel.
        stride: step of the convolution.
        groups: ``in_channels`` makes the convolution depthwise.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel, stride=stride, groups=groups, bias_attr=False)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        padding = padding_of(spatial_size(x), self._kernel_size, self._stride)
        return F.conv2d(x, self.weight, stride=self._stride, padding=padding, groups=self._groups)


def padding_of(size: Sequence[int | paddle.Tensor], kernel: Sequence[int], stride: Sequence[int]) -> list[int]:
    """Padding of a convolution: [top, bottom, left, right], or [rows, columns] where both ends get the same."""
    ends = [same_padding(length, taps, step) for length, taps, step in zip(size, kernel, stride, strict=True)]
    if all(before == after for before, after in ends):
        return [before for before, _ in ends]
    return [zeros for pair in ends for zeros in pair]


# Decides by Python types what is written into the graph: tracing must not rewrite it.
padding_of = paddle.jit.not_to_static(padding_of)
