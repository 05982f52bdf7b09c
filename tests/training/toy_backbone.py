"""A plugin for the tests of the engine: a backbone without normalisation, so that a batch is the sum of its images."""

import paddle
from paddle import nn

from mobileseg.backbones.base import FeatureSpec
from mobileseg.registry import BACKBONES


@BACKBONES.add_component
class ToyBackbone(nn.Layer):
    """One convolution for each halving of the resolution."""

    def __init__(self, in_channels: int = 3, width: int = 8) -> None:
        super().__init__()
        inputs = [in_channels, *[width] * 4]
        self.steps = nn.LayerList([nn.Conv2D(channels, width, 3, stride=2, padding=1) for channels in inputs])
        self.feature_info = tuple(FeatureSpec(width, stride) for stride in (8, 16, 32))

    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        features = []
        for step in self.steps:
            x = nn.functional.leaky_relu(step(x))
            features.append(x)
        return features[2:]
