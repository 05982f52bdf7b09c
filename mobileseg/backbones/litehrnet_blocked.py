"""Lite-HRNet for engines that keep channels in blocks (:func:`mobileseg.nn.graphs.blocked_form`): no channel is moved.

The blocks of :mod:`mobileseg.backbones.litehrnet_blocks` split the channels of every branch, change one part, join and
shuffle; that and the rearranging around it takes such an engine as long as the convolutions. Here a branch stays one
tensor of whole blocks of channels. What a block leaves alone is multiplied by one and convolved with an identity, and a
shuffle is written into the order of the weights that come next.

Equal to the network in evaluation up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.backbones.litehrnet_blocks import SpatialWeighting, WeightingBlock
from mobileseg.nn.compat import spatial_size
from mobileseg.nn.reordered import Conv, alone, block_kernel, folded, moved, reads, weighted, wide, writes
from mobileseg.nn.window import window_expand, window_pool

if TYPE_CHECKING:
    from mobileseg.backbones.litehrnet import LiteHRNet, Module, Stem


def shuffled(order: np.ndarray) -> np.ndarray:
    """The order of a branch after its two halves were interleaved."""
    half = np.count_nonzero(order >= 0) // 2
    return np.where(order >= 0, 2 * (order % half) + order // half, -1)


class BlockedStem(nn.Layer):
    """The stem, whose first convolution is two; `after` is the order of its output."""

    def __init__(self, stem: Stem) -> None:
        super().__init__()
        weight, bias = block_kernel(stem.conv1)
        width = stem.branch1[0].in_channels
        self.left, self.right = (
            nn.Sequential(Conv((weight[part], bias[part]), stride=2), nn.ReLU())
            for part in (slice(None, width), slice(width, None))
        )
        self.branch1, self.expand_conv = stem.branch1, stem.expand_conv
        self.depthwise_conv, self.linear_conv = stem.depthwise_conv, stem.linear_conv
        self.after = shuffled(np.arange(stem.branch1[1].out_channels + stem.linear_conv.out_channels))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        right = self.linear_conv(self.depthwise_conv(self.expand_conv(self.right(x))))
        return paddle.concat([self.branch1(self.left(x)), right], axis=1)


class BlockedSpatialWeighting(nn.Layer):
    """Weights [N, C, 1, 1] of the channels of a branch from their means: one for those that a block leaves alone."""

    def __init__(self, block: SpatialWeighting, order: np.ndarray, first: int) -> None:
        super().__init__()
        squeeze = folded(block.conv1.conv, None)
        hidden = wide(len(squeeze[1]))
        self.conv1 = Conv(writes(reads(squeeze, order, first), hidden))
        self.conv2 = Conv(writes(reads(folded(block.conv2.conv, None), hidden), order, first))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return F.sigmoid(self.conv2(F.relu(self.conv1(F.adaptive_avg_pool2d(x, 1)))))


class State(NamedTuple):
    """A branch between two blocks.

    Attributes:
        x: [N, C, H, W], before its weights are applied.
        pooled: [N, C, h, w] on the coarsest grid of the module; ``x`` itself where it is that.
        weights: [N, C, 1, 1] that ``x`` is still to be multiplied by, None when there are none. They are applied on the
            coarsest grid, where that does the same.
    """

    x: paddle.Tensor
    pooled: paddle.Tensor
    weights: paddle.Tensor | None = None

    def done(self) -> paddle.Tensor:
        """The branch, [N, C, H, W]."""
        return weighted(self.x, self.weights)


class BlockedWeighting(nn.Layer):
    """A weighting block on whole branches.

    Args:
        block: what it computes.
        orders: of the channels of the branches; `after` is what the shuffle at the end makes of them.
    """

    def __init__(self, block: WeightingBlock, orders: Sequence[np.ndarray]) -> None:
        super().__init__()
        self.after = [shuffled(order) for order in orders]
        changed = [convolution.in_channels for convolution in block.depthwise_convs]
        places = [(order, np.count_nonzero(order >= 0) - width) for order, width in zip(orders, changed, strict=True)]
        offsets = [sum(changed[:index]) for index in range(len(changed))]
        cross = block.cross_resolution_weighting
        weight, bias = block_kernel(cross.conv1)
        hidden = wide(len(bias))
        squeeze, gates = [], []
        for place, width, offset in zip(places, changed, offsets, strict=True):
            part = weight[:, offset : offset + width], bias if offset == 0 else np.zeros_like(bias)
            squeeze.append(Conv(writes(reads(part, *place), hidden)))
            gates.append(Conv(writes(reads(block_kernel(cross.conv2), hidden), *place, offset)))
        self.squeeze, self.gates = nn.LayerList(squeeze), nn.LayerList(gates)
        self.depthwise = nn.LayerList(
            [
                Conv(alone(block_kernel(layer), *place), depthwise=True)
                for layer, place in zip(block.depthwise_convs, places, strict=True)
            ]
        )
        self.spatial = nn.LayerList(
            [
                BlockedSpatialWeighting(layer, *place)
                for layer, place in zip(block.spatial_weighting, places, strict=True)
            ]
        )

    def forward(self, branches: list[State], pools: bool) -> list[State]:
        """Args: branches finest first; ``pools`` says whether another block follows, which needs `State.pooled`."""
        hidden = None
        for state, squeeze in zip(branches, self.squeeze, strict=True):
            part = squeeze(weighted(state.pooled, state.weights))
            hidden = part if hidden is None else hidden + part
        hidden = F.relu(hidden)
        made = []
        for index, state in enumerate(branches):
            step = 2 ** (len(branches) - 1 - index)
            gate = weighted(F.sigmoid(self.gates[index](hidden)), state.weights)
            x = self.depthwise[index](state.x * (gate if step == 1 else window_expand(gate, step, state.x)))
            pooled = pool(x, step) if pools else x
            whole = all(isinstance(length, int) and length % step == 0 for length in spatial_size(x))
            made.append(State(x, pooled, self.spatial[index](pooled if whole else x)))
        return made


def pool(x: paddle.Tensor, step: int) -> paddle.Tensor:
    """`window_pool`, or ``x`` itself for a step of 1."""
    return x if step == 1 else window_pool(x, step)


class BlockedSteps(nn.Sequential):
    """The steps of half the size from one branch to a coarser one."""

    def __init__(self, layers: Sequence[nn.Layer], before: np.ndarray, after: np.ndarray, factor: float) -> None:
        made: list[nn.Layer] = []
        order = before
        for number, step in enumerate(layers):
            depthwise, norm1, pointwise, norm2, *activation = step
            kernel = alone(folded(depthwise, norm1), order)
            made.append(Conv(kernel, stride=int(depthwise._stride[0]), depthwise=True))
            kernel = reads(folded(pointwise, norm2), order)
            order = after if number == len(layers) - 1 else wide(len(kernel[1]))
            weight, bias = writes(kernel, order)
            if number == len(layers) - 1:
                weight, bias = weight * factor, bias * factor
            made.append(Conv((weight, bias)))
            made += [nn.ReLU()] if activation else []
        super().__init__(*made)


class BlockedModule(nn.Layer):
    """A module of Lite-HRNet on branches in an order, which its outputs keep unless ``natural`` ones are asked for."""

    def __init__(self, module: Module, orders: Sequence[np.ndarray], natural: bool) -> None:
        super().__init__()
        self.blocks = nn.LayerList()
        orders = list(orders)
        for block in module.layers:
            self.blocks.append(BlockedWeighting(block, orders))
            orders = self.blocks[-1].after
        after = [np.arange(np.count_nonzero(order >= 0)) for order in orders] if natural else orders
        self.orders = after
        self.fusions = nn.LayerList()
        for output, fusion in enumerate(module.fuse_layers):
            made = nn.LayerDict()
            for source, order in enumerate(orders):
                if source > output:
                    convolution, norm = fusion[str(source)]
                    made[str(source)] = Conv(writes(reads(folded(convolution, norm), order), after[output]))
                elif source < output:
                    layer = fusion[str(source)]
                    steps = list(layer) if isinstance(layer[0], nn.Sequential) else [layer]
                    # the finest branch counts twice, and is read when it is fused already
                    twice, read = (2.0, after[0]) if source == 0 else (1.0, order)
                    made[str(source)] = BlockedSteps(steps, read, after[output], twice)
                elif natural:
                    made[str(source)] = Conv(moved(order, 2.0 if output == 0 else 1.0))
            self.fusions.append(made)

    def forward(self, branches: list[paddle.Tensor]) -> list[paddle.Tensor]:
        last = len(branches) - 1
        states = [State(x, pool(x, 2 ** (last - index))) for index, x in enumerate(branches)]
        for number, block in enumerate(self.blocks, start=1):
            states = block(states, number < len(self.blocks))
        branches = [state.done() for state in states]
        fused: list[paddle.Tensor] = []
        for output, like in enumerate(branches):
            layers = self.fusions[output]
            own = layers[str(output)](like) if str(output) in layers else like + like if output == 0 else like
            for source in range(output):
                own = own + layers[str(source)](fused[0] if source == 0 else branches[source])
            coarser = None
            for source in range(len(branches) - 1, output, -1):
                x = layers[str(source)](branches[source])
                coarser = x if coarser is None else x + coarser
                finer = branches[source - 1]
                coarser = window_expand(coarser, 2, finer)
            fused.append(own if coarser is None else own + coarser)
        return [F.relu(x) for x in fused]


class BlockedLiteHRNet(nn.Layer):
    """The features of a Lite-HRNet.

    Args:
        backbone: whose weights are taken; of weighting blocks, not naive.
    """

    def __init__(self, backbone: LiteHRNet) -> None:
        super().__init__()
        self.stem = BlockedStem(backbone.stem)
        self.return_idx = backbone.return_idx
        self.head_layer = backbone.head_layer if backbone.use_head else None
        self.transitions, self.stages = nn.LayerList(), nn.LayerList()
        orders = [self.stem.after]
        for stage in range(backbone.stages):
            transition, modules = getattr(backbone, f"transition{stage}"), getattr(backbone, f"stage{stage}")
            made, before = nn.LayerDict(), orders
            for index in range(stage + 2):
                source = before[min(index, len(before) - 1)]
                if str(index) in transition:
                    layer = transition[str(index)]
                    steps = [layer] if isinstance(layer[0], nn.Conv2D) else list(layer)
                    after = wide(int(steps[-1][2].weight.shape[0]))
                    made[str(index)] = BlockedSteps(steps, source, after, 1.0)
                    source = after
                orders = [*orders[:index], source]
            self.transitions.append(made)
            chain = nn.LayerList()
            for number, module in enumerate(modules):
                natural = stage == backbone.stages - 1 and number == len(modules) - 1
                chain.append(BlockedModule(module, orders, natural))
                orders = chain[-1].orders
            self.stages.append(chain)

    @paddle.jit.not_to_static
    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        branches = [self.stem(x)]
        for stage, (transition, modules) in enumerate(zip(self.transitions, self.stages, strict=True)):
            inputs = []
            for index in range(stage + 2):
                source = branches[min(index, len(branches) - 1)]
                inputs.append(transition[str(index)](source) if str(index) in transition else source)
            branches = inputs
            for module in modules:
                branches = module(branches)
        if self.head_layer is not None:
            branches = self.head_layer(branches)
        return [branches[index] for index in self.return_idx]
