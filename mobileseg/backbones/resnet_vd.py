"""ResNet-D (He et al. 2018, arXiv:1812.01187) in the layout of PaddleSeg's checkpoints.

Three 3x3 convolutions in place of the 7x7, and an average pooling before the 1x1 convolution of a shortcut that
halves the size. Another network than torchvision's ResNet (:mod:`mobileseg.backbones.resnet`).
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.backbones.base import ChainBackbone, ChainStep, FeatureSpec
from mobileseg.nn.blocks import ConvNormAct
from mobileseg.nn.window import window_pool
from mobileseg.registry import BACKBONES

STEM_CHANNELS = (32, 32, 64)
WIDTHS = (64, 128, 256, 512)
EXPANSION = 4
# Dilation of the stages (from 0) that keep their size, by output stride.
DILATIONS = {8: {2: 2, 3: 4}, 16: {3: 2}, 32: {}}


class ResidualVd(nn.Layer):
    """Convolutions with norms and a shortcut.

    Args:
        in_channels: channels of the input.
        width: channels of the inner convolutions.
        bottleneck: 1x1, 3x3, 1x1 to four times the width, instead of two 3x3.
        stride: 1 or 2.
        dilation: spacing of the taps of the 3x3 convolutions.
        project: whether the shortcut has a convolution (the first unit of a stage).
    """

    def __init__(
        self, in_channels: int, width: int, bottleneck: bool, stride: int, dilation: int, project: bool
    ) -> None:
        super().__init__()
        out_channels = width * EXPANSION if bottleneck else width
        if bottleneck:
            self.conv0 = ConvNormAct(in_channels, width, 1, act="relu")
            self.conv1 = ConvNormAct(width, width, 3, stride=stride, dilation=dilation, act="relu")
            self.conv2 = ConvNormAct(width, out_channels, 1)
        else:
            self.conv0 = ConvNormAct(in_channels, width, 3, stride=stride, dilation=dilation, act="relu")
            self.conv1 = ConvNormAct(width, width, 3, dilation=dilation)
        self.bottleneck = bottleneck
        self.stride = stride
        self.project = project
        if project:
            self.short = ConvNormAct(in_channels, out_channels, 1)

    @property
    def out_channels(self) -> int:
        """Channels of the output, read from the last kernel."""
        return (self.conv2 if self.bottleneck else self.conv1).out_channels

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = self.conv1(self.conv0(x))
        if self.bottleneck:
            y = self.conv2(y)
        if self.project:
            x = self.short(window_pool(x, 2) if self.stride == 2 else x)
        return F.relu(x + y)


def _pool(x: paddle.Tensor) -> paddle.Tensor:
    return F.max_pool2d(x, 3, stride=2, padding=1)


class ResNet_vd(ChainBackbone):
    """ResNet-D without its classifier; four features, of strides 4 and 8, then up to ``output_stride``.

    Args:
        units: residual units of the four stages.
        bottleneck: units of three convolutions instead of two.
        in_channels: channels of the image.
        output_stride: 8, 16 or 32; below 32 the last stages dilate their kernels instead of halving the size.
        multi_grid: factors on the dilation of the units of the last stage.
    """

    def __init__(
        self,
        units: Sequence[int],
        bottleneck: bool,
        in_channels: int = 3,
        output_stride: int = 8,
        multi_grid: Sequence[int] = (1, 1, 1),
    ) -> None:
        super().__init__()
        if output_stride not in DILATIONS:
            raise ValueError(f"output_stride must be one of {sorted(DILATIONS)}, got {output_stride}")
        if len(multi_grid) < units[-1]:
            raise ValueError(
                f"multi_grid needs {units[-1]} factors, one per unit of the last stage, got {list(multi_grid)}"
            )
        width = in_channels
        for number, channels in enumerate(STEM_CHANNELS, start=1):
            layer = ConvNormAct(width, channels, 3, stride=2 if number == 1 else 1, act="relu")
            self.add_sublayer(f"conv1_{number}", layer)
            width = channels
        self._stages: list[list[str]] = []
        self._strides: list[int] = []
        reached = 4
        for stage, (count, channels) in enumerate(zip(units, WIDTHS, strict=True)):
            names = []
            for unit in range(count):
                dilation = DILATIONS[output_stride].get(stage, 1) * (
                    multi_grid[unit] if stage == len(WIDTHS) - 1 else 1
                )
                # As published: a first unit that is dilated, for whatever reason, does not halve the size.
                stride = 2 if unit == 0 and stage > 0 and dilation == 1 else 1
                names.append(f"bb_{stage}_{unit}")
                layer = ResidualVd(width, channels, bottleneck, stride, dilation, project=unit == 0)
                self.add_sublayer(names[-1], layer)
                width = layer.out_channels
                reached *= stride
            self._stages.append(names)
            self._strides.append(reached)

    @property
    def feature_info(self) -> tuple[FeatureSpec, ...]:
        """Channels and strides of the outputs, finest first."""
        last = [self._sub_layers[names[-1]] for names in self._stages]
        return tuple(FeatureSpec(unit.out_channels, stride) for unit, stride in zip(last, self._strides, strict=True))

    def chain(self) -> list[ChainStep]:
        stem = [ChainStep(layer) for layer in (self.conv1_1, self.conv1_2, self.conv1_3, _pool)]
        units = [ChainStep(self._sub_layers[name], name == names[-1]) for names in self._stages for name in names]
        return [*stem, *units]


@BACKBONES.add_component
def ResNet18_vd(in_channels: int = 3, output_stride: int = 8, multi_grid: Sequence[int] = (1, 1, 1)) -> ResNet_vd:
    """ResNet-D of 18 layers."""
    return ResNet_vd((2, 2, 2, 2), False, in_channels, output_stride, multi_grid)


@BACKBONES.add_component
def ResNet34_vd(in_channels: int = 3, output_stride: int = 8, multi_grid: Sequence[int] = (1, 1, 1)) -> ResNet_vd:
    """ResNet-D of 34 layers."""
    return ResNet_vd((3, 4, 6, 3), False, in_channels, output_stride, multi_grid)


@BACKBONES.add_component
def ResNet50_vd(in_channels: int = 3, output_stride: int = 8, multi_grid: Sequence[int] = (1, 1, 1)) -> ResNet_vd:
    """ResNet-D of 50 layers."""
    return ResNet_vd((3, 4, 6, 3), True, in_channels, output_stride, multi_grid)


@BACKBONES.add_component
def ResNet101_vd(in_channels: int = 3, output_stride: int = 8, multi_grid: Sequence[int] = (1, 1, 1)) -> ResNet_vd:
    """ResNet-D of 101 layers."""
    return ResNet_vd((3, 4, 23, 3), True, in_channels, output_stride, multi_grid)
