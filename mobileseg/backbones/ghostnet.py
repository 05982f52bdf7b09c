"""GhostNet (Han et al. 2020, arXiv:1911.11907) in the layout of PaddleSeg's checkpoints, without the classifier."""

from __future__ import annotations

import math
from typing import NamedTuple

import paddle
from paddle import ParamAttr, nn
from paddle.nn import functional as F
from paddle.nn.initializer import Uniform

from mobileseg.backbones.base import ChainBackbone, ChainStep, FeatureSpec
from mobileseg.nn.blocks import ConvNormAct, make_divisible
from mobileseg.nn.pool import bin_pool
from mobileseg.registry import BACKBONES

STEM_CHANNELS = 16
DIVISOR = 4
SQUEEZE = 4


class GhostUnit(NamedTuple):
    """One bottleneck of the plan: widths are those of scale 1."""

    kernel: int
    hidden: int
    channels: int
    squeeze: bool
    stride: int


PLAN = (
    GhostUnit(3, 16, 16, False, 1),
    GhostUnit(3, 48, 24, False, 2),
    GhostUnit(3, 72, 24, False, 1),
    GhostUnit(5, 72, 40, True, 2),
    GhostUnit(5, 120, 40, True, 1),
    GhostUnit(3, 240, 80, False, 2),
    GhostUnit(3, 200, 80, False, 1),
    GhostUnit(3, 184, 80, False, 1),
    GhostUnit(3, 184, 80, False, 1),
    GhostUnit(3, 480, 112, True, 1),
    GhostUnit(3, 672, 112, True, 1),
    GhostUnit(5, 672, 160, True, 2),
    GhostUnit(5, 960, 160, False, 1),
    GhostUnit(5, 960, 160, True, 1),
    GhostUnit(5, 960, 160, False, 1),
    GhostUnit(5, 960, 160, True, 1),
)
# Position in PLAN of the last bottleneck before each reduction, and its stride in input pixels.
TAPS = {2: 4, 4: 8, 10: 16, 15: 32}


class GhostModule(nn.Layer):
    """A 1x1 convolution to half the channels, and a depthwise 3x3 on its result for the other half."""

    def __init__(self, in_channels: int, out_channels: int, act: str | None) -> None:
        super().__init__()
        half = math.ceil(out_channels / 2)
        self.primary_conv = ConvNormAct(in_channels, half, 1, act=act, norm_decay=False)
        self.cheap_operation = ConvNormAct(half, half, 3, groups=half, act=act, norm_decay=False)

    @property
    def out_channels(self) -> int:
        """Channels of the output, read from the kernels."""
        return self.primary_conv.out_channels + self.cheap_operation.out_channels

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        primary = self.primary_conv(x)
        return paddle.concat([primary, self.cheap_operation(primary)], axis=1)


class GhostSqueezeExcite(nn.Layer):
    """Channel weights from the global mean by two linear layers, clipped to [0, 1]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = _linear(channels, channels // SQUEEZE)
        self.excitation = _linear(channels // SQUEEZE, channels)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        mean = paddle.squeeze(bin_pool(x, 1), axis=[2, 3])
        weights = paddle.clip(self.excitation(F.relu(self.squeeze(mean))), 0.0, 1.0)
        return x * paddle.unsqueeze(weights, axis=[2, 3])


def _linear(in_features: int, out_features: int) -> nn.Linear:
    bound = 1.0 / math.sqrt(in_features)
    return nn.Linear(in_features, out_features, weight_attr=ParamAttr(initializer=Uniform(-bound, bound)))


class GhostBottleneck(nn.Layer):
    """Two ghost modules with, as the plan says, a strided depthwise and squeeze-and-excite between them."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int, unit: GhostUnit) -> None:
        super().__init__()
        kernel, stride = unit.kernel, unit.stride
        self.ghost_module_1 = GhostModule(in_channels, hidden, act="relu")
        self.depthwise_conv = _depthwise(hidden, kernel, stride) if stride > 1 else None
        self.se_block = GhostSqueezeExcite(hidden) if unit.squeeze else None
        self.ghost_module_2 = GhostModule(hidden, out_channels, act=None)
        project = stride > 1 or in_channels != out_channels
        self.shortcut_depthwise = _depthwise(in_channels, kernel, stride) if project else None
        self.shortcut_conv = ConvNormAct(in_channels, out_channels, 1, norm_decay=False) if project else None

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = self.ghost_module_1(x)
        if self.depthwise_conv is not None:
            y = self.depthwise_conv(y)
        if self.se_block is not None:
            y = self.se_block(y)
        y = self.ghost_module_2(y)
        if self.shortcut_depthwise is not None and self.shortcut_conv is not None:
            x = self.shortcut_conv(self.shortcut_depthwise(x))
        return x + y


def _depthwise(channels: int, kernel: int, stride: int) -> ConvNormAct:
    return ConvNormAct(channels, channels, kernel, stride=stride, groups=channels, norm_decay=False)


class GhostNet(ChainBackbone):
    """GhostNet up to its last bottleneck; features of strides 4, 8, 16 and 32.

    Args:
        scale: factor on all widths (rounded to multiples of 4).
        in_channels: channels of the image.
    """

    def __init__(self, scale: float = 1.0, in_channels: int = 3) -> None:
        super().__init__()
        width = make_divisible(STEM_CHANNELS * scale, DIVISOR)
        self.conv1 = ConvNormAct(in_channels, width, 3, stride=2, act="relu", norm_decay=False)
        self._units = [f"_ghostbottleneck_{index}" for index in range(len(PLAN))]
        for name, unit in zip(self._units, PLAN, strict=True):
            out_channels = make_divisible(unit.channels * scale, DIVISOR)
            hidden = make_divisible(unit.hidden * scale, DIVISOR)
            self.add_sublayer(name, GhostBottleneck(width, hidden, out_channels, unit))
            width = out_channels

    @property
    def feature_info(self) -> tuple[FeatureSpec, ...]:
        """Channels and strides of the outputs, finest first."""
        return tuple(
            FeatureSpec(self._sub_layers[self._units[index]].ghost_module_2.out_channels, stride)
            for index, stride in TAPS.items()
        )

    def blocked_form(self) -> nn.Layer:
        """The same features of padded halves (see :func:`mobileseg.nn.graphs.blocked_form`)."""
        from mobileseg.backbones.ghostnet_blocked import BlockedGhostNet

        return BlockedGhostNet(self)

    def chain(self) -> list[ChainStep]:
        units = [ChainStep(self._sub_layers[name], index in TAPS) for index, name in enumerate(self._units)]
        return [ChainStep(self.conv1), *units]


@BACKBONES.add_component
def GhostNet_x0_5(in_channels: int = 3) -> GhostNet:
    """GhostNet of half the width."""
    return GhostNet(0.5, in_channels=in_channels)


@BACKBONES.add_component
def GhostNet_x1_0(in_channels: int = 3) -> GhostNet:
    """GhostNet of the width of the paper."""
    return GhostNet(1.0, in_channels=in_channels)


@BACKBONES.add_component
def GhostNet_x1_3(in_channels: int = 3) -> GhostNet:
    """GhostNet of 1.3 times the width."""
    return GhostNet(1.3, in_channels=in_channels)
