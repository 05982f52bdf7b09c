"""ShuffleNetV2 (Ma et al. 2018, arXiv:1807.11164) in the layout of PaddleSeg's checkpoints, without the classifier."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.backbones.base import ChainBackbone, ChainStep, FeatureSpec
from mobileseg.nn.blocks import ConvNormAct, channel_shuffle
from mobileseg.registry import BACKBONES

UNITS = (4, 8, 4)
STEM_CHANNELS = 24
STEM_STRIDE = 4


class DownUnit(nn.Layer):
    """Halves the size: two convolutional branches of the whole input, concatenated and shuffled."""

    def __init__(self, in_channels: int, out_channels: int, act: str) -> None:
        super().__init__()
        half = out_channels // 2
        self._conv_dw_1 = ConvNormAct(in_channels, in_channels, 3, stride=2, groups=in_channels)
        self._conv_linear_1 = ConvNormAct(in_channels, half, 1, act=act)
        self._conv_pw_2 = ConvNormAct(in_channels, half, 1, act=act)
        self._conv_dw_2 = ConvNormAct(half, half, 3, stride=2, groups=half)
        self._conv_linear_2 = ConvNormAct(half, half, 1, act=act)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        left = self._conv_linear_1(self._conv_dw_1(x))
        right = self._conv_linear_2(self._conv_dw_2(self._conv_pw_2(x)))
        return channel_shuffle(paddle.concat([left, right], axis=1))


class BasicUnit(nn.Layer):
    """Keeps one part of the channels, convolves the other, concatenates and shuffles."""

    def __init__(self, channels: int, act: str) -> None:
        super().__init__()
        half = channels // 2
        self._conv_pw = ConvNormAct(half, half, 1, act=act)
        self._conv_dw = ConvNormAct(half, half, 3, groups=half)
        self._conv_linear = ConvNormAct(half, half, 1, act=act)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        convolved = self._conv_pw.in_channels
        left, right = paddle.split(x, [int(x.shape[1]) - convolved, convolved], axis=1)
        right = self._conv_linear(self._conv_dw(self._conv_pw(right)))
        return channel_shuffle(paddle.concat([left, right], axis=1))


def _pool(x: paddle.Tensor) -> paddle.Tensor:
    return F.max_pool2d(x, 3, stride=2, padding=1)


class ShuffleNetV2(ChainBackbone):
    """ShuffleNetV2 up to stage 4; features of strides 4 (the pooled stem), 8, 16 and 32.

    Args:
        stage_channels: output channels of stages 2, 3 and 4.
        act: activation, a key of ``ACTIVATIONS``: detectors for phones take 'leaky_relu'.
        in_channels: channels of the image.
    """

    def __init__(self, stage_channels: Sequence[int], act: str = "relu", in_channels: int = 3) -> None:
        super().__init__()
        self._conv1 = ConvNormAct(in_channels, STEM_CHANNELS, 3, stride=2, act=act)
        self._stages: list[list[str]] = []
        width = STEM_CHANNELS
        for stage, (channels, units) in enumerate(zip(stage_channels, UNITS, strict=True), start=2):
            names = [f"{stage}_{index}" for index in range(1, units + 1)]
            self.add_sublayer(names[0], DownUnit(width, channels, act))
            for name in names[1:]:
                self.add_sublayer(name, BasicUnit(channels, act))
            self._stages.append(names)
            width = channels

    @property
    def feature_info(self) -> tuple[FeatureSpec, ...]:
        """Channels and strides of the outputs, finest first."""
        info = [FeatureSpec(self._conv1.out_channels, STEM_STRIDE)]
        for names in self._stages:
            down = self._sub_layers[names[0]]
            width = down._conv_linear_1.out_channels + down._conv_linear_2.out_channels
            for name in names[1:]:
                unit = self._sub_layers[name]
                width += unit._conv_linear.out_channels - unit._conv_pw.in_channels
            info.append(FeatureSpec(width, info[-1].stride * 2))
        return tuple(info)

    def chain(self) -> list[ChainStep]:
        units = [ChainStep(self._sub_layers[name], name == names[-1]) for names in self._stages for name in names]
        return [ChainStep(self._conv1), ChainStep(_pool, True), *units]


@BACKBONES.add_component
def ShuffleNetV2_x0_25(in_channels: int = 3) -> ShuffleNetV2:
    """ShuffleNetV2 of a quarter of the width."""
    return ShuffleNetV2((24, 48, 96), in_channels=in_channels)


@BACKBONES.add_component
def ShuffleNetV2_x0_33(in_channels: int = 3) -> ShuffleNetV2:
    """ShuffleNetV2 of a third of the width."""
    return ShuffleNetV2((32, 64, 128), in_channels=in_channels)


@BACKBONES.add_component
def ShuffleNetV2_x0_5(in_channels: int = 3) -> ShuffleNetV2:
    """ShuffleNetV2 of half the width."""
    return ShuffleNetV2((48, 96, 192), in_channels=in_channels)


@BACKBONES.add_component
def ShuffleNetV2_x1_0(act: str = "relu", in_channels: int = 3) -> ShuffleNetV2:
    """ShuffleNetV2 of the width of the paper."""
    return ShuffleNetV2((116, 232, 464), act, in_channels)


@BACKBONES.add_component
def ShuffleNetV2_x1_5(in_channels: int = 3) -> ShuffleNetV2:
    """ShuffleNetV2 of one and a half times the width."""
    return ShuffleNetV2((176, 352, 704), in_channels=in_channels)


@BACKBONES.add_component
def ShuffleNetV2_x2_0(in_channels: int = 3) -> ShuffleNetV2:
    """ShuffleNetV2 of twice the width."""
    return ShuffleNetV2((224, 488, 976), in_channels=in_channels)


@BACKBONES.add_component
def ShuffleNetV2_swish(in_channels: int = 3) -> ShuffleNetV2:
    """ShuffleNetV2 of the width of the paper, with swish in place of ReLU."""
    return ShuffleNetV2((116, 232, 464), act="swish", in_channels=in_channels)
