"""Parts of Lite-HRNet: the weighting and shuffle blocks, and the steps between branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import paddle
from paddle import nn
from paddle.nn import functional as F
from paddle.nn.initializer import Normal
from paddle.regularizer import L2Decay

from mobileseg.nn.blocks import ACTIVATIONS, ConvNormAct, batch_norm, channel_shuffle
from mobileseg.nn.window import window_expand, window_pool

REDUCTION = 8
SPATIAL_REDUCTION = 4


class NormOptions(NamedTuple):
    """How the batch norms of the weighting blocks and of the head are trained."""

    frozen: bool = False
    decay: float = 0.0


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel: int,
    *,
    stride: int = 1,
    depthwise: bool = False,
    act: str | None = None,
    options: NormOptions,
) -> ConvNormAct:
    """Convolution and norm under Lite-HRNet's names."""
    block = ConvNormAct(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        groups=in_channels if depthwise else 1,
        act=act,
        names=("conv", "norm"),
        init=Normal(std=0.001),
    )
    norm = block.norm_layer
    for parameter in (norm.weight, norm.bias):
        parameter.regularizer = L2Decay(options.decay)
        if options.frozen:
            parameter.optimize_attr["learning_rate"] = 0.0
            parameter.stop_gradient = True
    norm._use_global_stats = True if options.frozen else None
    return block


class BiasedConv(nn.Layer):
    """1x1 convolution with bias, and an activation."""

    def __init__(self, in_channels: int, out_channels: int, act: str) -> None:
        super().__init__()
        self.conv = nn.Conv2D(in_channels, out_channels, 1, weight_attr=paddle.ParamAttr(initializer=Normal(std=0.001)))
        self.act = act

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return ACTIVATIONS[self.act](self.conv(x))


class CrossResolutionWeighting(nn.Layer):
    """Channel weights of every branch from all branches, computed on the coarsest grid."""

    def __init__(self, channels: Sequence[int], reduction: int, options: NormOptions) -> None:
        super().__init__()
        total = sum(channels)
        self.conv1 = conv_norm(total, total // reduction, 1, act="relu", options=options)
        self.conv2 = conv_norm(total // reduction, total, 1, act="sigmoid", options=options)

    def forward(self, branches: list[paddle.Tensor]) -> list[paddle.Tensor]:
        pooled = [window_pool(x, 2 ** (len(branches) - 1 - index)) for index, x in enumerate(branches[:-1])]
        weights = self.conv2(self.conv1(paddle.concat([*pooled, branches[-1]], axis=1)))
        split = paddle.split(weights, [int(x.shape[1]) for x in branches], axis=1)
        weighted = []
        for index, x in enumerate(branches[:-1]):
            weighted.append(x * window_expand(split[index], 2 ** (len(branches) - 1 - index), x))
        return [*weighted, branches[-1] * split[-1]]


class SpatialWeighting(nn.Layer):
    """Squeeze-and-excitation of one branch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = BiasedConv(channels, channels // SPATIAL_REDUCTION, "relu")
        self.conv2 = BiasedConv(channels // SPATIAL_REDUCTION, channels, "sigmoid")

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return x * self.conv2(self.conv1(F.adaptive_avg_pool2d(x, 1)))


class WeightingBlock(nn.Layer):
    """Conditional channel weighting of all branches at once; half of each branch passes unchanged."""

    def __init__(self, channels: Sequence[int], options: NormOptions) -> None:
        super().__init__()
        halves = [width // 2 for width in channels]
        self.cross_resolution_weighting = CrossResolutionWeighting(halves, REDUCTION, options)
        self.depthwise_convs = nn.LayerList([conv_norm(c, c, 3, depthwise=True, options=options) for c in halves])
        self.spatial_weighting = nn.LayerList([SpatialWeighting(width) for width in halves])

    def forward(self, branches: list[paddle.Tensor]) -> list[paddle.Tensor]:
        kept, weighted = [], []
        for index, x in enumerate(branches):
            width = self.depthwise_convs[index].in_channels
            left, right = paddle.split(x, [int(x.shape[1]) - width, width], axis=1)
            kept.append(left)
            weighted.append(right)
        weighted = self.cross_resolution_weighting(weighted)
        outputs = []
        for index, x in enumerate(weighted):
            x = self.spatial_weighting[index](self.depthwise_convs[index](x))
            outputs.append(channel_shuffle(paddle.concat([kept[index], x], axis=1)))
        return outputs


class ShuffleUnit(nn.Layer):
    """ShuffleNetV2's basic unit, the block of the naive variants."""

    def __init__(self, channels: int, options: NormOptions) -> None:
        super().__init__()
        half = channels // 2
        self.branch2 = nn.Sequential(
            conv_norm(half, half, 1, act="relu", options=options),
            conv_norm(half, half, 3, depthwise=True, options=options),
            conv_norm(half, half, 1, act="relu", options=options),
        )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        width = self.branch2[0].in_channels
        left, right = paddle.split(x, [int(x.shape[1]) - width, width], axis=1)
        return channel_shuffle(paddle.concat([left, self.branch2(right)], axis=1))


def step_down(in_channels: int, out_channels: int, *, stride: int = 2, relu: bool = True) -> nn.Sequential:
    """Depthwise 3x3 with norm, pointwise with norm, ReLU; children under their position."""
    layers = [
        _plain_conv(in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels),
        batch_norm(in_channels),
        _plain_conv(in_channels, out_channels, 1),
        batch_norm(out_channels),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


def _plain_conv(in_channels: int, out_channels: int, kernel: int, **arguments: int) -> nn.Conv2D:
    weight = paddle.ParamAttr(initializer=Normal(std=0.001))
    return nn.Conv2D(in_channels, out_channels, kernel, weight_attr=weight, bias_attr=False, **arguments)


class Fusion(nn.LayerDict):
    """What output i takes from the other branches j; children are named by j."""

    def __init__(self, channels: Sequence[int], output: int) -> None:
        super().__init__()
        for source, width in enumerate(channels):
            if source > output:
                self[str(source)] = nn.Sequential(_plain_conv(width, channels[output], 1), batch_norm(channels[output]))
            elif source < output:
                steps = [step_down(width, width) for _ in range(output - source - 1)]
                self[str(source)] = nn.Sequential(*steps, step_down(width, channels[output], relu=False))

    @property
    def out_channels(self) -> int:
        """Channels of the output, read from the last kernel that leads to it."""
        kernels = [layer for layer in self.sublayers() if isinstance(layer, nn.Conv2D)]
        return int(kernels[-1].weight.shape[0])
