"""A backbone of four strided convolutions, registered as a plugin."""

from __future__ import annotations

import paddle
from paddle import nn

from mobileseg.backbones.base import FeatureSpec
from mobileseg.registry import BACKBONES


def stage(channels_in: int, channels_out: int) -> nn.Sequential:
    """Half the height and width: float32 [N, channels_in, H, W] to [N, channels_out, ceil(H/2), ceil(W/2)]."""
    convolution = nn.Conv2D(channels_in, channels_out, 3, stride=2, padding=1, bias_attr=False)
    return nn.Sequential(convolution, nn.BatchNorm2D(channels_out), nn.ReLU())


@BACKBONES.add_component
class TinyBackbone(nn.Layer):
    """Features of strides 4, 8, 16 and 32.

    Args:
        width: channels of the feature of stride 4; every later one has twice as many.
        in_channels: channels of the image.
    """

    def __init__(self, width: int = 16, in_channels: int = 3) -> None:
        super().__init__()
        channels = [width, 2 * width, 4 * width, 8 * width]
        self.stem = stage(in_channels, width)
        self.stages = nn.LayerList([stage(a, b) for a, b in zip([width, *channels], channels, strict=False)])
        self.feature_info = tuple(FeatureSpec(count, 4 * 2**index) for index, count in enumerate(channels))

    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        """Features of float32 [N, in_channels, H, W], finest first."""
        features = []
        x = self.stem(x)
        for layers in self.stages:
            x = layers(x)
            features.append(x)
        return features
