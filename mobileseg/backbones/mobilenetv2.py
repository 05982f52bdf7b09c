"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) in the layout of PaddleSeg's checkpoints.

That layout differs from torchvision's: every unit has an expand convolution, also where the expansion
is 1, and the first unit of a stage never adds its input.
"""

from __future__ import annotations

import paddle
from paddle import nn

from mobileseg.backbones.base import ChainBackbone, ChainStep, FeatureSpec
from mobileseg.nn.blocks import ConvNormAct
from mobileseg.registry import BACKBONES

# expansion, channels, units, stride of the first unit
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM_CHANNELS = 32
# Positions in STAGES of the stages that give the features, and their strides in input pixels: the last stage of
# each stride, or those that yolact_edge's networks use (Liu et al. 2021, arXiv:2012.12259).
TAPS = {"last": {1: 4, 2: 8, 4: 16, 6: 32}, "yolact_edge": {1: 4, 2: 8, 3: 16, 5: 32}}


class InvertedResidual(nn.Layer):
    """Expand 1x1, depthwise 3x3, linear 1x1; ReLU6 after the first two."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int, shortcut: bool) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.shortcut = shortcut
        self._expand_conv = ConvNormAct(in_channels, hidden, 1, act="relu6")
        self._bottleneck_conv = ConvNormAct(hidden, hidden, 3, stride=stride, groups=hidden, act="relu6")
        self._linear_conv = ConvNormAct(hidden, out_channels, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = self._linear_conv(self._bottleneck_conv(self._expand_conv(x)))
        return x + y if self.shortcut else y


class Stage(nn.Layer):
    """Units of one width; the first carries the stride, the others a shortcut."""

    def __init__(self, name: str, in_channels: int, out_channels: int, units: int, stride: int, expansion: int) -> None:
        super().__init__()
        self._first_block = InvertedResidual(in_channels, out_channels, stride, expansion, shortcut=False)
        self._units = [f"{name}_{index}" for index in range(2, units + 1)]
        for unit in self._units:
            self.add_sublayer(unit, InvertedResidual(out_channels, out_channels, 1, expansion, shortcut=True))

    @property
    def out_channels(self) -> int:
        """Channels of the stage's output, read from its last kernel."""
        last = self._sub_layers[self._units[-1]] if self._units else self._first_block
        return last._linear_conv.out_channels

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = self._first_block(x)
        for unit in self._units:
            x = self._sub_layers[unit](x)
        return x


class MobileNetV2(ChainBackbone):
    """MobileNetV2 without its classifier; features of strides 4, 8, 16 and 32.

    Args:
        scale: factor on all widths (rounded down).
        in_channels: channels of the image.
        taps: which stages give the features, a key of ``TAPS``. Stages behind the last of them are not built.

    Raises:
        ValueError: unknown taps.
    """

    def __init__(self, scale: float = 1.0, in_channels: int = 3, taps: str = "last") -> None:
        super().__init__()
        if taps not in TAPS:
            raise ValueError(f"unknown taps '{taps}', expected one of {sorted(TAPS)}")
        self._taps = TAPS[taps]
        width = int(STEM_CHANNELS * scale)
        self.conv1 = ConvNormAct(in_channels, width, 3, stride=2, act="relu6")
        stages = STAGES[: max(self._taps) + 1]
        self._stages = [f"conv{index}" for index in range(2, 2 + len(stages))]
        for name, (expansion, channels, units, stride) in zip(self._stages, stages, strict=True):
            self.add_sublayer(name, Stage(name, width, int(channels * scale), units, stride, expansion))
            width = int(channels * scale)

    @property
    def feature_info(self) -> tuple[FeatureSpec, ...]:
        """Channels and strides of the outputs, finest first."""
        return tuple(
            FeatureSpec(self._sub_layers[self._stages[index]].out_channels, stride)
            for index, stride in self._taps.items()
        )

    def chain(self) -> list[ChainStep]:
        stages = [ChainStep(self._sub_layers[name], index in self._taps) for index, name in enumerate(self._stages)]
        return [ChainStep(self.conv1), *stages]


@BACKBONES.add_component
def MobileNetV2_x0_25(in_channels: int = 3) -> MobileNetV2:
    """MobileNetV2 of a quarter of the width."""
    return MobileNetV2(0.25, in_channels)


@BACKBONES.add_component
def MobileNetV2_x0_5(in_channels: int = 3) -> MobileNetV2:
    """MobileNetV2 of half the width."""
    return MobileNetV2(0.5, in_channels)


@BACKBONES.add_component
def MobileNetV2_x0_75(in_channels: int = 3) -> MobileNetV2:
    """MobileNetV2 of three quarters of the width."""
    return MobileNetV2(0.75, in_channels)


@BACKBONES.add_component
def MobileNetV2_x1_0(in_channels: int = 3, taps: str = "last") -> MobileNetV2:
    """MobileNetV2 of the width of the paper.

    Args:
        in_channels: channels of the image.
        taps: 'last' gives the last feature of each stride, 24, 32, 96 and 320 channels; 'yolact_edge' gives those of
            the published YOLACT networks, 24, 32, 64 and 160 channels.
    """
    return MobileNetV2(1.0, in_channels, taps)


@BACKBONES.add_component
def MobileNetV2_x1_5(in_channels: int = 3) -> MobileNetV2:
    """MobileNetV2 of one and a half times the width."""
    return MobileNetV2(1.5, in_channels)


@BACKBONES.add_component
def MobileNetV2_x2_0(in_channels: int = 3) -> MobileNetV2:
    """MobileNetV2 of twice the width."""
    return MobileNetV2(2.0, in_channels)
