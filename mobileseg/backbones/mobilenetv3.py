"""MobileNetV3 (Howard et al. 2019, arXiv:1905.02244) without classifier, in the layout of PaddleSeg's checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.backbones.base import ChainBackbone, ChainStep, FeatureSpec
from mobileseg.nn.blocks import ConvNormAct, make_divisible
from mobileseg.nn.pool import bin_pool
from mobileseg.registry import BACKBONES

STEM_CHANNELS = 16
DIVISOR = 8
SQUEEZE = 4
NAMES = ("conv", "bn")


class Unit(NamedTuple):
    """One residual unit of the plan: widths are those of scale 1."""

    kernel: int
    hidden: int
    channels: int
    squeeze: bool
    act: str
    stride: int
    dilation: int = 1


LARGE = (
    Unit(3, 16, 16, False, "relu", 1),
    Unit(3, 64, 24, False, "relu", 2),
    Unit(3, 72, 24, False, "relu", 1),
    Unit(5, 72, 40, True, "relu", 2),
    Unit(5, 120, 40, True, "relu", 1),
    Unit(5, 120, 40, True, "relu", 1),
    Unit(3, 240, 80, False, "hardswish", 2),
    Unit(3, 200, 80, False, "hardswish", 1),
    Unit(3, 184, 80, False, "hardswish", 1),
    Unit(3, 184, 80, False, "hardswish", 1),
    Unit(3, 480, 112, True, "hardswish", 1),
    Unit(3, 672, 112, True, "hardswish", 1),
    Unit(5, 672, 160, True, "hardswish", 2),
    Unit(5, 960, 160, True, "hardswish", 1),
    Unit(5, 960, 160, True, "hardswish", 1),
)
SMALL = (
    Unit(3, 16, 16, True, "relu", 2),
    Unit(3, 72, 24, False, "relu", 2),
    Unit(3, 88, 24, False, "relu", 1),
    Unit(5, 96, 40, True, "hardswish", 2),
    Unit(5, 240, 40, True, "hardswish", 1),
    Unit(5, 240, 40, True, "hardswish", 1),
    Unit(5, 120, 48, True, "hardswish", 1),
    Unit(5, 144, 48, True, "hardswish", 1),
    Unit(5, 288, 96, True, "hardswish", 2),
    Unit(5, 576, 96, True, "hardswish", 1),
    Unit(5, 576, 96, True, "hardswish", 1),
)
# Position of the last unit before each reduction: these are the outputs.
LARGE_TAPS = (2, 5, 11, 14)
SMALL_TAPS = (0, 2, 7, 10)
OUTPUT_STRIDE = 8


def dilated(plan: Sequence[Unit]) -> tuple[Unit, ...]:
    """The plan with its reductions beyond stride 8 replaced by dilation of the units that follow."""
    stride, dilation, units = 2, 1, []
    for unit in plan:
        # The unit that would reduce keeps the dilation of those before it; only its successors widen.
        if unit.stride > 1 and stride >= OUTPUT_STRIDE:
            units.append(unit._replace(stride=1, dilation=dilation))
            dilation *= unit.stride
        else:
            units.append(unit._replace(dilation=dilation))
            stride *= unit.stride
    return tuple(units)


class SqueezeExcite(nn.Layer):
    """Channel weights from the global mean; the hard sigmoid has slope 0.2, as in the published weights."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2D(channels, channels // SQUEEZE, 1)
        self.conv2 = nn.Conv2D(channels // SQUEEZE, channels, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        weights = self.conv2(F.relu(self.conv1(bin_pool(x, 1))))
        return x * F.hardsigmoid(weights, slope=0.2, offset=0.5)


class ResidualUnit(nn.Layer):
    """Expand 1x1, depthwise, optional squeeze-and-excite, linear 1x1; adds its input where shapes allow.

    Args:
        in_channels: channels of the input.
        hidden: channels inside.
        out_channels: channels of the output.
        unit: everything else.
        names: child names of convolutions and norms.
    """

    def __init__(
        self, in_channels: int, hidden: int, out_channels: int, unit: Unit, names: tuple[str, str] = NAMES
    ) -> None:
        super().__init__()
        self.shortcut = unit.stride == 1 and in_channels == out_channels
        self.expand_conv = ConvNormAct(in_channels, hidden, 1, act=unit.act, names=names, norm_decay=False)
        self.bottleneck_conv = ConvNormAct(
            hidden,
            hidden,
            unit.kernel,
            stride=unit.stride,
            dilation=unit.dilation,
            groups=hidden,
            act=unit.act,
            names=names,
            norm_decay=False,
        )
        self.mid_se = SqueezeExcite(hidden) if unit.squeeze else None
        self.linear_conv = ConvNormAct(hidden, out_channels, 1, names=names, norm_decay=False)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = self.bottleneck_conv(self.expand_conv(x))
        if self.mid_se is not None:
            y = self.mid_se(y)
        y = self.linear_conv(y)
        return x + y if self.shortcut else y


class MobileNetV3(ChainBackbone):
    """MobileNetV3 up to its last residual unit.

    Args:
        plan: residual units.
        taps: positions of the units whose outputs are the features.
        scale: factor on all widths (rounded to multiples of 8).
        in_channels: channels of the image.
    """

    def __init__(self, plan: Sequence[Unit], taps: Sequence[int], scale: float = 1.0, in_channels: int = 3) -> None:
        super().__init__()
        self.taps = tuple(taps)
        width = make_divisible(STEM_CHANNELS * scale, DIVISOR)
        self.conv = ConvNormAct(in_channels, width, 3, stride=2, act="hardswish", names=NAMES, norm_decay=False)
        self._strides = [2]
        units = []
        for unit in plan:
            out_channels = make_divisible(unit.channels * scale, DIVISOR)
            units.append(ResidualUnit(width, make_divisible(unit.hidden * scale, DIVISOR), out_channels, unit))
            self._strides.append(self._strides[-1] * unit.stride)
            width = out_channels
        self.blocks = nn.Sequential(*units)

    @property
    def feature_info(self) -> tuple[FeatureSpec, ...]:
        """Channels and strides of the outputs, finest first."""
        return tuple(
            FeatureSpec(self.blocks[index].linear_conv.out_channels, self._strides[index + 1]) for index in self.taps
        )

    def chain(self) -> list[ChainStep]:
        blocks = [ChainStep(block, index in self.taps) for index, block in enumerate(self.blocks)]
        return [ChainStep(self.conv), *blocks]


@BACKBONES.add_component
def MobileNetV3_small_x0_35(in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Small of 0.35 times the width."""
    return MobileNetV3(SMALL, SMALL_TAPS, 0.35, in_channels=in_channels)


@BACKBONES.add_component
def MobileNetV3_small_x0_5(in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Small of half the width."""
    return MobileNetV3(SMALL, SMALL_TAPS, 0.5, in_channels=in_channels)


@BACKBONES.add_component
def MobileNetV3_small_x0_75(in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Small of three quarters of the width."""
    return MobileNetV3(SMALL, SMALL_TAPS, 0.75, in_channels=in_channels)


@BACKBONES.add_component
def MobileNetV3_small_x1_0(in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Small of the width of the paper."""
    return MobileNetV3(SMALL, SMALL_TAPS, 1.0, in_channels=in_channels)


@BACKBONES.add_component
def MobileNetV3_small_x1_25(in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Small of 1.25 times the width."""
    return MobileNetV3(SMALL, SMALL_TAPS, 1.25, in_channels=in_channels)


@BACKBONES.add_component
def MobileNetV3_large_x0_35(in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Large of 0.35 times the width."""
    return MobileNetV3(LARGE, LARGE_TAPS, 0.35, in_channels=in_channels)


@BACKBONES.add_component
def MobileNetV3_large_x0_5(in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Large of half the width."""
    return MobileNetV3(LARGE, LARGE_TAPS, 0.5, in_channels=in_channels)


@BACKBONES.add_component
def MobileNetV3_large_x0_75(in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Large of three quarters of the width."""
    return MobileNetV3(LARGE, LARGE_TAPS, 0.75, in_channels=in_channels)


@BACKBONES.add_component
def MobileNetV3_large_x1_0(in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Large of the width of the paper."""
    return MobileNetV3(LARGE, LARGE_TAPS, 1.0, in_channels=in_channels)


@BACKBONES.add_component
def MobileNetV3_large_x1_25(in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Large of 1.25 times the width."""
    return MobileNetV3(LARGE, LARGE_TAPS, 1.25, in_channels=in_channels)


@BACKBONES.add_component
def MobileNetV3_small_x1_0_os8(in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Small that keeps stride 8 from its second output on."""
    return MobileNetV3(dilated(SMALL), SMALL_TAPS, in_channels=in_channels)


@BACKBONES.add_component
def MobileNetV3_large_x1_0_os8(in_channels: int = 3) -> MobileNetV3:
    """MobileNetV3-Large that keeps stride 8 from its second output on."""
    return MobileNetV3(dilated(LARGE), LARGE_TAPS, in_channels=in_channels)
