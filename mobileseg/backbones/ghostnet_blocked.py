"""GhostNet for engines that keep channels in blocks (:func:`mobileseg.nn.graphs.blocked_form`).

The two parts of what a ghost module makes are padded to whole blocks, so that such an engine joins them as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.nn.reordered import Conv, Kernel, alone, block_kernel, moved, reads, weighted, wide, writes

if TYPE_CHECKING:
    from mobileseg.backbones.ghostnet import GhostBottleneck, GhostModule, GhostNet, GhostSqueezeExcite

_WORTH = 1.5
"""Padding that makes a tensor larger than that costs more than it saves."""


def half_order(channels: int) -> np.ndarray:
    """The order of one half of a ghost module's output, of ``channels`` channels."""
    padded = wide(channels)
    return padded if len(padded) <= _WORTH * channels else np.arange(channels)


def pair(half: np.ndarray) -> np.ndarray:
    """The order of both halves joined."""
    return np.concatenate([half, np.where(half >= 0, half + np.count_nonzero(half >= 0), -1)])


class BlockedGhostModule(nn.Layer):
    """A ghost module on channels in an order; `after` is that of its output."""

    def __init__(self, module: GhostModule, order: np.ndarray) -> None:
        super().__init__()
        half = half_order(module.primary_conv.out_channels)
        self.after = pair(half)
        self.relu = module.primary_conv.act is not None
        self.primary = Conv(writes(reads(block_kernel(module.primary_conv), order), half))
        self.cheap = Conv(alone(block_kernel(module.cheap_operation), half), depthwise=True)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        primary = self.primary(x)
        primary = F.relu(primary) if self.relu else primary
        cheap = self.cheap(primary)
        return paddle.concat([primary, F.relu(cheap) if self.relu else cheap], axis=1)


class BlockedSqueezeExcite(nn.Layer):
    """Squeeze-and-excitation on channels in an order; linear layers are convolutions of one pixel."""

    def __init__(self, block: GhostSqueezeExcite, order: np.ndarray) -> None:
        super().__init__()
        squeeze = _linear(block.squeeze)
        hidden = wide(len(squeeze[1]))
        self.conv1 = Conv(writes(reads(squeeze, order), hidden))
        self.conv2 = Conv(writes(reads(_linear(block.excitation), hidden), order))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        gate = self.conv2(F.relu(self.conv1(F.adaptive_avg_pool2d(x, 1))))
        return weighted(x, paddle.clip(gate, 0.0, 1.0))


def _linear(layer: nn.Linear) -> Kernel:
    return layer.weight.numpy().T[:, :, None, None], layer.bias.numpy()


class BlockedGhostBottleneck(nn.Layer):
    """A bottleneck on channels in an order; `after` is that of its output."""

    def __init__(self, block: GhostBottleneck, order: np.ndarray) -> None:
        super().__init__()
        self.first = BlockedGhostModule(block.ghost_module_1, order)
        hidden = self.first.after
        self.depthwise = None if block.depthwise_conv is None else _depthwise(block.depthwise_conv, hidden)
        self.gate = None if block.se_block is None else BlockedSqueezeExcite(block.se_block, hidden)
        self.second = BlockedGhostModule(block.ghost_module_2, hidden)
        self.after = self.second.after
        self.shortcut = None
        if block.shortcut_depthwise is not None and block.shortcut_conv is not None:
            kernel = writes(reads(block_kernel(block.shortcut_conv), order), self.after)
            self.shortcut = nn.Sequential(_depthwise(block.shortcut_depthwise, order), Conv(kernel))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = self.first(x)
        for layer in (self.depthwise, self.gate):
            y = y if layer is None else layer(y)
        return self.second(y) + (x if self.shortcut is None else self.shortcut(x))


def _depthwise(block: nn.Layer, order: np.ndarray) -> Conv:
    return Conv(alone(block_kernel(block), order), stride=int(block.convolution._stride[0]), depthwise=True)


class BlockedGhostNet(nn.Layer):
    """The features of a GhostNet.

    Args:
        backbone: whose weights are taken.
    """

    def __init__(self, backbone: GhostNet) -> None:
        super().__init__()
        units = [backbone._sub_layers[name] for name in backbone._units]
        order = pair(half_order(units[0].ghost_module_2.primary_conv.out_channels))
        self.stem = Conv(writes(block_kernel(backbone.conv1), order), stride=2)
        self.units, self.features = nn.LayerList(), nn.LayerDict()
        for index, (unit, step) in enumerate(zip(units, backbone.chain()[1:], strict=True)):
            self.units.append(BlockedGhostBottleneck(unit, order))
            order = self.units[-1].after
            if step.feature:
                self.features[str(index)] = Conv(moved(order, 1.0))

    @paddle.jit.not_to_static
    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        x = F.relu(self.stem(x))
        features = []
        for index, unit in enumerate(self.units):
            x = unit(x)
            if str(index) in self.features:
                features.append(self.features[str(index)](x))
        return features
