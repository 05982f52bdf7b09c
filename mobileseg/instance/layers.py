"""Convolutions of the instance segmentation models: dense ones with a bias, and depthwise separable ones with norms.

The networks take the kind as a factory, so that feature pyramid, protonet and head are written once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import paddle
from paddle import ParamAttr, nn
from paddle.nn.initializer import Constant, Normal, XavierUniform

from mobileseg.nn.blocks import ConvNormAct
from mobileseg.nn.compat import is_static, spatial_size

NAMES = ("conv", "bn")


def xavier(in_channels: int, out_channels: int, kernel: int, groups: int = 1) -> XavierUniform:
    """Xavier-uniform over what one output really reads: a depthwise kernel has the fan of one channel."""
    area = kernel * kernel
    return XavierUniform(fan_in=in_channels // groups * area, fan_out=out_channels // groups * area)


def dense(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> nn.Conv2D:
    """Convolution with bias that keeps the size at stride 1; Xavier kernel, zero bias."""
    return nn.Conv2D(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=kernel // 2,
        weight_attr=ParamAttr(initializer=xavier(in_channels, out_channels, kernel)),
        bias_attr=ParamAttr(initializer=Constant(0.0)),
    )


def _depthwise(channels: int, stride: int) -> ConvNormAct:
    init = xavier(channels, channels, 3, channels)
    return ConvNormAct(channels, channels, 3, stride=stride, groups=channels, names=NAMES, init=init)


class Separable(nn.Layer):
    """Depthwise 3x3 with norm, pointwise 1x1 with norm; no activation, neither between nor after.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: step of the depthwise convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = _depthwise(in_channels, stride)
        init = xavier(in_channels, out_channels, 1)
        self.pointwise = ConvNormAct(in_channels, out_channels, 1, names=NAMES, init=init)

    @property
    def out_channels(self) -> int:
        """Channels of the output, read from the kernel."""
        return self.pointwise.out_channels

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.pointwise(self.depthwise(x))

    def over_levels(self, levels: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
        """The same on every level of a pyramid, see :func:`over_levels`."""
        return _norm_levels(self.pointwise, _norm_levels(self.depthwise, levels))


class SeparableOutput(nn.Layer):
    """Depthwise 3x3 with norm, then pointwise 1x1 with a bias and without norm: the last layer of a prediction.

    It starts near zero (as in Lin et al. 2017, arXiv:1708.02002). Its input is normalised, so Xavier's kernel would
    start with logits of unit size, and mining would pick the anchors that are most wrong by chance: a class loss six
    times as large, which a short schedule spends hundreds of steps on.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = _depthwise(in_channels, 1)
        self.pointwise = nn.Conv2D(
            in_channels,
            out_channels,
            1,
            weight_attr=ParamAttr(initializer=Normal(0.0, 0.01)),
            bias_attr=ParamAttr(initializer=Constant(0.0)),
        )

    @property
    def last(self) -> nn.Conv2D:
        """The convolution whose bias shifts the predictions."""
        return self.pointwise

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.pointwise(self.depthwise(x))

    def over_levels(self, levels: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
        """The same on every level of a pyramid, see :func:`over_levels`."""
        return [self.pointwise(x) for x in _norm_levels(self.depthwise, levels)]


ConvFactory = Callable[..., nn.Layer]


def out_channels(layer: nn.Layer) -> int:
    """Channels that a convolution of this module gives, read from its kernel."""
    return layer.out_channels if isinstance(layer, Separable) else int(last_convolution(layer).weight.shape[0])


def last_convolution(layer: nn.Layer) -> nn.Conv2D:
    """The convolution that makes the output of a prediction layer."""
    return layer.last if isinstance(layer, SeparableOutput) else layer


def over_levels(layer: nn.Layer, levels: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
    """One layer on every level of a pyramid, [N, C, h, w] each.

    A batch norm that serves several levels takes its statistics over all of them at once. Level by level, each would
    be normalised by itself in training but by the mixture of all in evaluation, and the running statistics
    would follow the last level.
    """
    if isinstance(layer, Separable | SeparableOutput):
        return layer.over_levels(levels)
    return [layer(x) for x in levels]


def _norm_levels(unit: ConvNormAct, levels: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
    """Convolution and norm of ``unit`` (which has no activation) on every level."""
    if not unit.norm_layer.training:
        return [unit(x) for x in levels]
    maps = [unit.convolution(x) for x in levels]
    flat = [paddle.flatten(x, start_axis=2) for x in maps]
    sizes = [int(x.shape[2]) for x in flat]
    normed = unit.norm_layer(paddle.unsqueeze(paddle.concat(flat, axis=2), axis=3))
    parts = paddle.split(normed, sizes, axis=2)
    return [paddle.reshape(part, x.shape) for part, x in zip(parts, maps, strict=True)]


def to_rows(x: paddle.Tensor, length: int) -> paddle.Tensor:
    """[N, A * length, h, w] to [N, h * w * A, length]: one row for every anchor."""
    size = spatial_size(x)
    rows = -1
    if is_static(size):
        rows = int(size[0]) * int(size[1]) * (int(x.shape[1]) // length)
    return paddle.reshape(paddle.transpose(x, [0, 2, 3, 1]), [0, rows, length])


# Decides by Python values what is written into the graph: tracing must not rewrite it.
to_rows = paddle.jit.not_to_static(to_rows)
over_levels = paddle.jit.not_to_static(over_levels)
