"""ResNet (He et al. 2015, arXiv:1512.03385) in torchvision's form and under its parameter names.

The stride of a bottleneck is in its 3x3 convolution. This is another network than PaddleSeg's ``ResNet*_vd``
(:mod:`mobileseg.backbones.resnet_vd`): weights of one do not fit the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import nn
from paddle.nn import functional as F
from paddle.nn.initializer import KaimingNormal

from mobileseg.backbones.base import ChainBackbone, ChainStep, FeatureSpec
from mobileseg.nn.blocks import batch_norm
from mobileseg.registry import BACKBONES

WIDTHS = (64, 128, 256, 512)
EXPANSION = 4


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2D:
    weight = paddle.ParamAttr(initializer=KaimingNormal())
    padding = kernel // 2
    return nn.Conv2D(
        in_channels, out_channels, kernel, stride=stride, padding=padding, weight_attr=weight, bias_attr=False
    )


class Residual(nn.Layer):
    """Convolutions with norms and a shortcut, which is projected when size or width change.

    Args:
        in_channels: channels of the input.
        plan: (output channels, kernel, stride) of each convolution.
    """

    def __init__(self, in_channels: int, plan: Sequence[tuple[int, int, int]]) -> None:
        super().__init__()
        width, stride = in_channels, 1
        for number, (out_channels, kernel, step) in enumerate(plan, start=1):
            self.add_sublayer(f"conv{number}", _conv(width, out_channels, kernel, step))
            self.add_sublayer(f"bn{number}", batch_norm(out_channels))
            width, stride = out_channels, stride * step
        self.depth = len(plan)
        self.downsample = None
        if stride != 1 or in_channels != width:
            self.downsample = nn.Sequential(_conv(in_channels, width, 1, stride), batch_norm(width))

    @property
    def out_channels(self) -> int:
        """Channels of the output, read from the last kernel."""
        return int(self._sub_layers[f"conv{self.depth}"].weight.shape[0])

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = x
        for number in range(1, self.depth + 1):
            y = self._sub_layers[f"bn{number}"](self._sub_layers[f"conv{number}"](y))
            if number < self.depth:
                y = F.relu(y)
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def _pool(x: paddle.Tensor) -> paddle.Tensor:
    return F.max_pool2d(F.relu(x), 3, stride=2, padding=1)


class ResNet(ChainBackbone):
    """ResNet without its classifier; features of strides 4, 8, 16 and 32.

    Args:
        units: residual units of the four stages.
        bottleneck: 1x1, 3x3, 1x1 units of four times the width, instead of two 3x3.
        in_channels: channels of the image.
    """

    def __init__(self, units: Sequence[int], bottleneck: bool, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = _conv(in_channels, WIDTHS[0], 7, 2)
        self.bn1 = batch_norm(WIDTHS[0])
        inputs = WIDTHS[0]
        for stage, (count, width) in enumerate(zip(units, WIDTHS, strict=True)):
            layers = []
            for unit in range(count):
                stride = 2 if stage > 0 and unit == 0 else 1
                if bottleneck:
                    plan = [(width, 1, 1), (width, 3, stride), (width * EXPANSION, 1, 1)]
                else:
                    plan = [(width, 3, stride), (width, 3, 1)]
                layers.append(Residual(inputs, plan))
                inputs = plan[-1][0]
            self.add_sublayer(f"layer{stage + 1}", nn.Sequential(*layers))

    @property
    def feature_info(self) -> tuple[FeatureSpec, ...]:
        """Channels and strides of the outputs, finest first."""
        stages = [self._sub_layers[f"layer{number}"] for number in range(1, len(WIDTHS) + 1)]
        return tuple(FeatureSpec(stage[-1].out_channels, 4 << index) for index, stage in enumerate(stages))

    def chain(self) -> list[ChainStep]:
        stages = [ChainStep(self._sub_layers[f"layer{number}"], True) for number in range(1, len(WIDTHS) + 1)]
        return [ChainStep(self.conv1), ChainStep(self.bn1), ChainStep(_pool), *stages]


@BACKBONES.add_component
def ResNet18(in_channels: int = 3) -> ResNet:
    """ResNet of 18 layers, torchvision's form."""
    return ResNet((2, 2, 2, 2), False, in_channels)


@BACKBONES.add_component
def ResNet34(in_channels: int = 3) -> ResNet:
    """ResNet of 34 layers, torchvision's form."""
    return ResNet((3, 4, 6, 3), False, in_channels)


@BACKBONES.add_component
def ResNet50(in_channels: int = 3) -> ResNet:
    """ResNet of 50 layers, torchvision's form."""
    return ResNet((3, 4, 6, 3), True, in_channels)


@BACKBONES.add_component
def ResNet101(in_channels: int = 3) -> ResNet:
    """ResNet of 101 layers, torchvision's form."""
    return ResNet((3, 4, 23, 3), True, in_channels)
