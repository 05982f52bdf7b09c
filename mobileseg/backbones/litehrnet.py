"""Lite-HRNet (Yu et al. 2021, arXiv:2104.06403) in the layout of PaddleSeg's checkpoints.

Branches of strides 4, 8, 16 and 32 run side by side and exchange features after every module. Two habits of the
published implementation are part of its weights and are kept: the sum that fuses the branches counts its
first term twice, and the fusions of the coarser branches start from the already fused finest one.
Unlike the original this one takes images of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.backbones.base import FeatureSpec
from mobileseg.backbones.litehrnet_blocks import Fusion, NormOptions, ShuffleUnit, WeightingBlock, conv_norm, step_down
from mobileseg.nn.blocks import channel_shuffle, resize
from mobileseg.nn.compat import spatial_size
from mobileseg.nn.window import window_expand
from mobileseg.registry import BACKBONES

STEM_CHANNELS = 32
STEM_STRIDE = 4
BLOCKS_PER_MODULE = 2
WIDTHS = (40, 80, 160, 320)
NAIVE_WIDTHS = (30, 60, 120, 240)


class Stem(nn.Layer):
    """To stride 4: a strided convolution, then two strided branches of half the channels each."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        half, options = channels // 2, NormOptions()
        self.conv1 = conv_norm(in_channels, channels, 3, stride=2, act="relu", options=options)
        self.branch1 = nn.Sequential(
            conv_norm(half, half, 3, stride=2, depthwise=True, options=options),
            conv_norm(half, half, 1, act="relu", options=options),
        )
        self.expand_conv = conv_norm(half, channels, 1, act="relu", options=options)
        self.depthwise_conv = conv_norm(channels, channels, 3, stride=2, depthwise=True, options=options)
        self.linear_conv = conv_norm(channels, half, 1, act="relu", options=options)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = self.conv1(x)
        parts = [self.branch1[0].in_channels, self.expand_conv.in_channels]
        left, right = paddle.split(x, parts, axis=1)
        right = self.linear_conv(self.depthwise_conv(self.expand_conv(right)))
        return channel_shuffle(paddle.concat([self.branch1(left), right], axis=1))


class Module(nn.Layer):
    """Blocks on every branch, then the exchange between all branches."""

    def __init__(self, channels: Sequence[int], naive: bool, options: NormOptions) -> None:
        super().__init__()
        self.naive = naive
        if naive:
            units = [[ShuffleUnit(width, options) for _ in range(BLOCKS_PER_MODULE)] for width in channels]
            self.layers = nn.LayerList([nn.Sequential(*branch) for branch in units])
        else:
            self.layers = nn.Sequential(*[WeightingBlock(channels, options) for _ in range(BLOCKS_PER_MODULE)])
        self.fuse_layers = nn.LayerList([Fusion(channels, output) for output in range(len(channels))])

    @property
    def out_channels(self) -> list[int]:
        """Channels of the branches, read from the kernels that lead to them."""
        return [fusion.out_channels for fusion in self.fuse_layers]

    def forward(self, branches: list[paddle.Tensor]) -> list[paddle.Tensor]:
        if self.naive:
            branches = [self.layers[index](x) for index, x in enumerate(branches)]
        else:
            branches = self.layers(branches)
        fused: list[paddle.Tensor] = []
        for output, like in enumerate(branches):
            # The finest branch counts twice, and for the coarser outputs it is the fused one (see the module's text).
            first = branches[0] if output == 0 else self.fuse_layers[output]["0"](fused[0])
            total = first + first
            for source in range(1, len(branches)):
                x = branches[source]
                if source != output:
                    x = self.fuse_layers[output][str(source)](x)
                if source > output:
                    x = window_expand(x, 2 ** (source - output), like)
                total = total + x
            fused.append(total)
        return [F.relu(x) for x in fused]


class HeadProject(nn.Layer):
    """Depthwise and pointwise convolution of one level of the head."""

    def __init__(self, in_channels: int, out_channels: int, options: NormOptions) -> None:
        super().__init__()
        self.depthwise_conv = conv_norm(in_channels, in_channels, 3, depthwise=True, options=options)
        self.pointwise_conv = conv_norm(in_channels, out_channels, 1, act="relu", options=options)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.pointwise_conv(self.depthwise_conv(x))


class IterativeHead(nn.Layer):
    """From coarse to fine: add the upsampled result of the level before, project to the next finer width."""

    def __init__(self, channels: Sequence[int], options: NormOptions) -> None:
        super().__init__()
        coarse_first = [*reversed(channels), channels[0]]
        self.projects = nn.LayerList([HeadProject(*widths, options) for widths in pairwise(coarse_first)])

    def forward(self, branches: list[paddle.Tensor]) -> list[paddle.Tensor]:
        results: list[paddle.Tensor] = []
        for index, project in enumerate(self.projects):
            x = branches[len(branches) - 1 - index]
            if index > 0:
                x = x + resize(results[-1], spatial_size(x), align_corners=True)
            results.append(project(x))
        return results[::-1]


class LiteHRNet(nn.Layer):
    """Lite-HRNet; features of strides 4, 8, 16 and 32.

    The weights that PaddleSeg trained were trained with ``freeze_norm=True, freeze_at=0``, its defaults; in
    evaluation these options change nothing. With ``freeze_at=0`` a decoder that uses the stride-4 feature sends no
    gradient into the backbone through it.

    Args:
        modules: modules of each of the three stages.
        channels: widths of the four branches.
        naive: ShuffleNet units in place of conditional channel weighting.
        in_channels: channels of the image.
        use_head: project the branches from coarse to fine; the features then are narrower.
        freeze_norm: keep the statistics, scales and shifts of the blocks' and the head's batch norms as loaded.
        freeze_at: position of a feature through which no gradient flows back; -1 for none.
        norm_decay: weight decay of the batch norms of blocks and head.
        return_idx: positions of the features to return.
    """

    def __init__(
        self,
        modules: Sequence[int],
        channels: Sequence[int] = WIDTHS,
        naive: bool = False,
        in_channels: int = 3,
        use_head: bool = False,
        freeze_norm: bool = False,
        freeze_at: int = -1,
        norm_decay: float = 0.0,
        return_idx: Sequence[int] = (0, 1, 2, 3),
    ) -> None:
        super().__init__()
        wrong = [index for index in return_idx if index not in range(len(channels))]
        if wrong or not return_idx:
            raise ValueError(f"return_idx must name features 0 to {len(channels) - 1}, got {list(return_idx)}")
        options = NormOptions(freeze_norm, norm_decay)
        self.freeze_at = freeze_at
        self.return_idx = tuple(sorted(set(return_idx)))
        self.stem = Stem(in_channels, STEM_CHANNELS)
        before: Sequence[int] = (STEM_CHANNELS,)
        for stage, count in enumerate(modules):
            widths = channels[: stage + 2]
            self.add_sublayer(f"transition{stage}", _transition(before, widths))
            self.add_sublayer(f"stage{stage}", nn.Sequential(*[Module(widths, naive, options) for _ in range(count)]))
            before = widths
        self.stages = len(modules)
        self.naive = naive
        self.use_head = use_head
        if use_head:
            self.head_layer = IterativeHead(channels, options)

    @property
    def feature_info(self) -> tuple[FeatureSpec, ...]:
        """Channels and strides of the outputs, finest first."""
        if self.use_head:
            widths = [project.pointwise_conv.out_channels for project in self.head_layer.projects][::-1]
        else:
            widths = self._sub_layers[f"stage{self.stages - 1}"][-1].out_channels
        return tuple(FeatureSpec(widths[index], STEM_STRIDE << index) for index in self.return_idx)

    def blocked_form(self) -> nn.Layer:
        """The same features in fewer operators that move data (see :func:`mobileseg.nn.graphs.blocked_form`)."""
        from mobileseg.backbones.litehrnet_blocked import BlockedLiteHRNet

        return self if self.naive else BlockedLiteHRNet(self)

    # Nothing in here depends on values of tensors, and rewriting 700 small layers would take most of an export's time.
    @paddle.jit.not_to_static
    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        branches = [self.stem(x)]
        for stage in range(self.stages):
            transition = self._sub_layers[f"transition{stage}"]
            inputs = []
            for index in range(stage + 2):
                source = branches[min(index, len(branches) - 1)]
                inputs.append(transition[str(index)](source) if str(index) in transition else source)
            branches = self._sub_layers[f"stage{stage}"](inputs)
        if self.use_head:
            branches = self.head_layer(branches)
        features = []
        for index in self.return_idx:
            feature = branches[index]
            features.append(feature.detach() if self.training and index == self.freeze_at else feature)
        return features


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.LayerDict:
    """Layers between two stages, named by the branch they lead to; a branch without one passes unchanged."""
    layers = nn.LayerDict()
    for index, width in enumerate(after):
        if index >= len(before):
            layers[str(index)] = nn.Sequential(step_down(before[-1], width))
        elif before[index] != width:
            layers[str(index)] = step_down(before[index], width, stride=1)
    return layers


@BACKBONES.add_component
def Lite_HRNet_18(
    in_channels: int = 3,
    use_head: bool = False,
    freeze_norm: bool = False,
    freeze_at: int = -1,
    norm_decay: float = 0.0,
    return_idx: Sequence[int] = (0, 1, 2, 3),
) -> LiteHRNet:
    """Lite-HRNet of 2, 4 and 2 modules."""
    return LiteHRNet((2, 4, 2), WIDTHS, False, in_channels, use_head, freeze_norm, freeze_at, norm_decay, return_idx)


@BACKBONES.add_component
def Lite_HRNet_30(
    in_channels: int = 3,
    use_head: bool = False,
    freeze_norm: bool = False,
    freeze_at: int = -1,
    norm_decay: float = 0.0,
    return_idx: Sequence[int] = (0, 1, 2, 3),
) -> LiteHRNet:
    """Lite-HRNet of 3, 8 and 3 modules."""
    return LiteHRNet((3, 8, 3), WIDTHS, False, in_channels, use_head, freeze_norm, freeze_at, norm_decay, return_idx)


@BACKBONES.add_component
def Lite_HRNet_naive(
    in_channels: int = 3,
    use_head: bool = False,
    freeze_norm: bool = False,
    freeze_at: int = -1,
    norm_decay: float = 0.0,
    return_idx: Sequence[int] = (0, 1, 2, 3),
) -> LiteHRNet:
    """HRNet of ShuffleNet units, the narrow baseline of the paper."""
    return LiteHRNet(
        (2, 4, 2), NAIVE_WIDTHS, True, in_channels, use_head, freeze_norm, freeze_at, norm_decay, return_idx
    )


@BACKBONES.add_component
def Lite_HRNet_wider_naive(
    in_channels: int = 3,
    use_head: bool = False,
    freeze_norm: bool = False,
    freeze_at: int = -1,
    norm_decay: float = 0.0,
    return_idx: Sequence[int] = (0, 1, 2, 3),
) -> LiteHRNet:
    """HRNet of ShuffleNet units, the wide baseline of the paper."""
    return LiteHRNet((2, 4, 2), WIDTHS, True, in_channels, use_head, freeze_norm, freeze_at, norm_decay, return_idx)
