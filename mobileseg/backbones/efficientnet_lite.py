"""EfficientNet-Lite (Google, 2020; after Tan and Le 2019, arXiv:1905.11946), in the names of its PyTorch form.

EfficientNet without squeeze-and-excitation, with ReLU6, and with a stem and a classifier of one width: made for
phones and int8. The published weights come from TensorFlow: the convolutions pad like it (see :func:`_conv`), the norms
have epsilon 1e-3 and keep 0.99 of the old statistic, and the images are RGB, ``(pixel - 127) / 128``; the suite's
default of ``(pixel - 127.5) / 127.5`` is the same for all purposes.
"""

from __future__ import annotations

import math

import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.backbones.base import ChainBackbone, ChainStep, FeatureSpec
from mobileseg.nn.blocks import batch_norm, drop_path, make_divisible
from mobileseg.registry import BACKBONES

# units, kernel, stride of the first unit, expansion, channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Positions in STAGES of the last stage of each stride.
TAPS = (0, 1, 2, 4, 6)
STEM_CHANNELS = 32
DIVISOR = 8
EPSILON, MOMENTUM = 1e-3, 0.99


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2D:
    """Convolution without bias, padded so that ``ceil(length / stride)`` outputs come of every axis.

    Where the zeros for that are odd in number, TensorFlow puts the additional one behind: a convolution of stride 2
    sees a map of even sides from its first pixel on, where symmetric padding would shift it by one.
    """
    padding = "SAME" if stride > 1 else kernel // 2  # the same for stride 1, and plain numbers for the engines
    return nn.Conv2D(in_channels, out_channels, kernel, stride, padding, groups=groups, bias_attr=False)


def _norm(channels: int) -> nn.BatchNorm2D:
    return batch_norm(channels, epsilon=EPSILON, momentum=MOMENTUM)


class MBConv(nn.Layer):
    """Expand 1x1, depthwise, linear 1x1; ReLU6 after the first two; adds its input where shapes allow."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int, drop_rate: float
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.shortcut = stride == 1 and in_channels == out_channels
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = _conv(in_channels, hidden, 1)
            self._bn0 = _norm(hidden)
        self._depthwise_conv = _conv(hidden, hidden, kernel, stride, groups=hidden)
        self._bn1 = _norm(hidden)
        self._project_conv = _conv(hidden, out_channels, 1)
        self._bn2 = _norm(out_channels)
        self.drop_path = drop_path(drop_rate)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + self.drop_path(y) if self.shortcut else y


class EfficientNetLite(ChainBackbone):
    """EfficientNet-Lite without its classifier; features of strides 2, 4, 8, 16 and 32.

    Args:
        width: factor on the widths of all units (rounded to multiples of 8); the stem has 32 channels always.
        depth: factor on the units of all stages but the first and the last (rounded up).
        in_channels: channels of the image.
        drop_path_rate: share of the images for which the last unit is skipped in training; it grows linearly from 0
            over the units. The published networks were trained with 0.2.
    """

    def __init__(self, width: float, depth: float, in_channels: int = 3, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        self._conv_stem = _conv(in_channels, STEM_CHANNELS, 3, stride=2)
        self._bn0 = _norm(STEM_CHANNELS)
        plan, ends = [], []
        for index, (units, kernel, stride, expansion, channels) in enumerate(STAGES):
            inner = 0 < index < len(STAGES) - 1
            count = math.ceil(depth * units) if inner else units
            out_channels = make_divisible(channels * width, DIVISOR)
            plan += [(kernel, stride if unit == 0 else 1, expansion, out_channels) for unit in range(count)]
            ends.append(len(plan) - 1)
        self._taps = tuple(ends[stage] for stage in TAPS)
        blocks, last = [], STEM_CHANNELS
        for index, (kernel, stride, expansion, channels) in enumerate(plan):
            blocks.append(MBConv(last, channels, kernel, stride, expansion, drop_path_rate * index / len(plan)))
            last = channels
        self._blocks = nn.LayerList(blocks)

    @property
    def feature_info(self) -> tuple[FeatureSpec, ...]:
        """Channels and strides of the outputs, finest first."""
        return tuple(
            FeatureSpec(int(self._blocks[unit]._project_conv.weight.shape[0]), 2 << index)
            for index, unit in enumerate(self._taps)
        )

    def chain(self) -> list[ChainStep]:
        units = [ChainStep(unit, index in self._taps) for index, unit in enumerate(self._blocks)]
        return [ChainStep(self._conv_stem), ChainStep(self._bn0), ChainStep(F.relu6), *units]


@BACKBONES.add_component
def EfficientNetLite0(in_channels: int = 3, drop_path_rate: float = 0.0) -> EfficientNetLite:
    """EfficientNet-Lite0, trained at 224x224."""
    return EfficientNetLite(1.0, 1.0, in_channels, drop_path_rate)


@BACKBONES.add_component
def EfficientNetLite1(in_channels: int = 3, drop_path_rate: float = 0.0) -> EfficientNetLite:
    """EfficientNet-Lite1, trained at 240x240."""
    return EfficientNetLite(1.0, 1.1, in_channels, drop_path_rate)


@BACKBONES.add_component
def EfficientNetLite2(in_channels: int = 3, drop_path_rate: float = 0.0) -> EfficientNetLite:
    """EfficientNet-Lite2, trained at 260x260."""
    return EfficientNetLite(1.1, 1.2, in_channels, drop_path_rate)


@BACKBONES.add_component
def EfficientNetLite3(in_channels: int = 3, drop_path_rate: float = 0.0) -> EfficientNetLite:
    """EfficientNet-Lite3, trained at 280x280."""
    return EfficientNetLite(1.2, 1.4, in_channels, drop_path_rate)


@BACKBONES.add_component
def EfficientNetLite4(in_channels: int = 3, drop_path_rate: float = 0.0) -> EfficientNetLite:
    """EfficientNet-Lite4, trained at 300x300."""
    return EfficientNetLite(1.4, 1.8, in_channels, drop_path_rate)
