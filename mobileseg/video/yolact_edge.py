"""YolactEdge and its counterpart for phones: YOLACT that computes coarse features on key frames alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import paddle
from paddle import nn

from mobileseg.backbones.base import Backbone, ChainPart, split
from mobileseg.errors import ConfigError
from mobileseg.instance.fpn import onto
from mobileseg.instance.model import InstanceNetwork, MobileYolact, Yolact
from mobileseg.names import IMAGE
from mobileseg.nn.compat import spatial_size
from mobileseg.nn.graphs import Deployment, GraphInput, NetworkGraph
from mobileseg.registry import NETWORKS
from mobileseg.tasks import VIDEO
from mobileseg.video.flow_net import FlowNet, MotionMaps, PreConvs, Refinement
from mobileseg.video.matching_flow import MatchingFeatures, MatchingFlow, SeparableRefinement
from mobileseg.video.names import BETWEEN, DEEP, FLOW, HEADS, KEY, LEVELS, NONKEY, OUTPUTS, STEM
from mobileseg.video.warp import warp

Maps = list[paddle.Tensor]


class KeyFrame(NamedTuple):
    """What later frames need of a key frame, float32 [N, c, h, w] each.

    Attributes:
        reduced: its lateral, reduced for the flow network.
        level4: sum of the pyramid's first phase, at twice the finest stride.
        level5: the same, at four times the finest stride.
    """

    reduced: paddle.Tensor
    level4: paddle.Tensor
    level5: paddle.Tensor


class FlowYolact(InstanceNetwork):
    """What the networks with features that move along a flow share.

    A key frame runs everything. Any other frame runs the backbone to its first used feature only; the sums of the
    pyramid's first phase at the two coarser levels are those of the key frame, warped along the flow that a small
    network finds between the two frames, and refined. Everything from the second phase on is the same for both.
    :meth:`forward` is the network on images without memory, which are key frames all.

    Args:
        num_classes: classes without the background.
        backbone: one whose parts follow each other (:func:`mobileseg.backbones.base.split`).
        input_size: see :class:`~mobileseg.instance.model.InstanceNetwork`, as all that follow up to foreground_prior.
        fpn_channels: width of pyramid, protonet and head.
        num_prototypes: number of prototype masks.
        proto_convs: convolutions of the protonet.
        anchor_scales: sides in pixels of the anchors.
        anchor_ratios: width over height of the anchors.
        square_anchors: the anchors' published form.
        foreground_prior: probability of an object before training.
        flow_channels: channels to which the lateral of a frame is reduced for the flow network; 64 for YolactEdge
            (a quarter of the lateral), 32 for MobileYolactEdge.
        flow_widths: channels of the flow network's levels, finest first; [64, 128, 256] and [48, 64].
        refine: correct the warped maps by the present frame's features. The published ``minimal`` network does not.

    Raises:
        ConfigError: the arguments contradict each other, or the backbone cannot be split.
    """

    task = VIDEO
    refinement: Callable[[int], nn.Layer]
    """Makes what corrects the warped maps, from the width of the pyramid."""
    refined_below_finest: bool
    """Whether the finest map is the sum of the lateral and the corrected map, or the one that was only moved."""
    usual_flow_channels: int
    usual_flow_widths: tuple[int, ...]

    def __init__(
        self,
        num_classes: int,
        backbone: Backbone,
        input_size: int | None = None,
        fpn_channels: int | None = None,
        num_prototypes: int = 32,
        proto_convs: Sequence[int] | None = None,
        anchor_scales: Sequence[float] | None = None,
        anchor_ratios: Sequence[float] = (1.0, 0.5, 2.0),
        square_anchors: bool = False,
        foreground_prior: float | None = None,
        flow_channels: int | None = None,
        flow_widths: Sequence[int] | None = None,
        refine: bool = True,
    ) -> None:
        super().__init__(
            num_classes,
            backbone,
            input_size,
            fpn_channels,
            num_prototypes,
            proto_convs,
            anchor_scales,
            anchor_ratios,
            square_anchors,
            foreground_prior,
        )
        split(self.backbone, self.indices[0])  # refused before anything is trained
        reduced = self.usual_flow_channels if flow_channels is None else flow_channels
        widths = self.usual_flow_widths if flow_widths is None else tuple(flow_widths)
        usual = list(self.usual_flow_widths)
        if reduced < 1 or len(widths) != len(usual) or min(widths) < 1:
            raise ConfigError(
                f"flow_channels is {reduced} and flow_widths is {list(widths)}",
                remedy=f"give a positive number and {len(usual)} of them, as {self.usual_flow_channels} and {usual}",
            )
        steps = self.strides[1] // self.strides[0], self.strides[2] // self.strides[1]
        self.flow_net_pre_convs, self.flow_net = self.flow_parts(self.fpn.channels, reduced, widths, steps)
        self.spa = type(self).refinement(self.fpn.channels) if refine else None

    @staticmethod
    def flow_parts(
        channels: int, reduced: int, widths: Sequence[int], steps: tuple[int, int]
    ) -> tuple[nn.Layer, nn.Layer]:
        """What reduces a frame's lateral for the flow network, and the flow network.

        Args:
            channels: width of the pyramid.
            reduced: channels that are left.
            widths: of the flow network.
            steps: strides of the two coarser levels of the pyramid, each in pixels of the next finer one.
        """
        raise NotImplementedError

    def components(self) -> dict[str, nn.Layer]:
        """The parts of the network that is deployed, by name; each can have a precision of its own."""
        laterals = self.fpn.lat_layers
        parts = {
            "backbone": self.backbone,
            "fpn1": nn.LayerList(list(laterals)[:-1]),
            "lateral": laterals[len(laterals) - 1],
            "flow": nn.LayerList([self.flow_net_pre_convs, self.flow_net]),
            "spa": self.spa,
            "fpn2": nn.LayerList([self.fpn.pred_layers, self.fpn.downsample_layers]),
            "protonet": self.proto_net,
            "head": self.prediction_layers,
        }
        return {name: layer for name, layer in parts.items() if layer is not None}

    def first_phase(self, x: paddle.Tensor) -> tuple[paddle.Tensor, Maps]:
        """The finest lateral of an image [N, 3, H, W], and the sums of the pyramid's first phase, all computed."""
        features = self.backbone(x)
        used = [features[index] for index in self.indices]
        lateral = self.fpn.lateral(used[0])
        return lateral, self.fpn.merge_onto(lateral, used[1:])

    def key_frame(self, x: paddle.Tensor) -> tuple[Maps, KeyFrame]:
        """Sums of the pyramid's first phase for a key frame, float32 [N, 3, H, W], and what is to be remembered."""
        lateral, maps = self.first_phase(x)
        return maps, KeyFrame(self.flow_net_pre_convs(lateral), maps[1], maps[2])

    def lateral(self, x: paddle.Tensor) -> paddle.Tensor:
        """The lateral of an image [N, 3, H, W] at the finest level: all of the backbone that a non-key frame runs."""
        stem, _ = split(self.backbone, self.indices[0])
        return self.fpn.lateral(stem(x)[-1])

    def non_key_frame(self, x: paddle.Tensor, key: KeyFrame) -> Maps:
        """Sums of the pyramid's first phase for float32 [N, 3, H, W], from those of a key frame."""
        lateral = self.lateral(x)
        return self.transform(lateral, self.flow_net_pre_convs(lateral), key)

    def transform(self, lateral: paddle.Tensor, reduced: paddle.Tensor, key: KeyFrame) -> Maps:
        """The partial feature transform: maps of all levels from a lateral and a key frame.

        Args:
            lateral: float32 [N, C, h, w] of the present frame.
            reduced: what the flow network takes of it.
            key: of the key frame.
        """
        motions = self.flow_net(reduced, key.reduced)
        moved = [moved_map(level, motion) for level, motion in zip((key.level4, key.level5), motions)]  # noqa: B905
        refined = moved if self.spa is None else self.spa(lateral, moved)
        return [onto(lateral, (refined if self.refined_below_finest else moved)[0]), *refined]

    def predictions(self, maps: Maps, size: Sequence[int | paddle.Tensor]) -> dict[str, paddle.Tensor]:
        """The outputs of :meth:`forward` from the maps of either kind of frame.

        Args:
            maps: float32 [N, C, h, w] of the three levels, finest first.
            size: height and width of the image.
        """
        return self.predict(self.fpn.predict(maps), size)

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """As :meth:`InstanceNetwork.forward`: an image is a key frame."""
        _, maps = self.first_phase(x)
        return self.predictions(maps, spatial_size(x))

    def graphs(self, size: tuple[int, int]) -> Deployment:
        """Four graphs that hold every weight once: what both kinds of frame begin and end with, and what differs.

        Args:
            size: (height, width) of the image.
        """
        fine, middle, coarse = ([-(-side // stride) for side in size] for stride in self.strides[:3])
        width, reduced = self.fpn.channels, self.flow_net_pre_convs.channels
        compared = fine if self.flow_net_pre_convs.step == 1 else middle
        info = self.backbone.feature_info[self.indices[0]]
        image = GraphInput(IMAGE, (1, 3, *size))
        feature = GraphInput("feature", (1, info.channels, *fine))
        lateral = GraphInput("lateral", (1, width, *fine))
        kept = (
            GraphInput("key_reduced", (1, reduced, *compared)),
            GraphInput("key_level4", (1, width, *middle)),
            GraphInput("key_level5", (1, width, *coarse)),
        )
        levels = tuple(
            GraphInput(name, (1, width, *sides)) for name, sides in zip(LEVELS, (fine, middle, coarse), strict=True)
        )
        stem, deep = split(self.backbone, self.indices[0])
        flow_inputs = (lateral, GraphInput("reduced", (1, reduced, *compared)), *kept)
        return Deployment(
            (
                NetworkGraph(STEM, _Stem(self, stem), (image,), BETWEEN[STEM]),
                NetworkGraph(DEEP, _Deep(self, deep), (feature, lateral), LEVELS),
                NetworkGraph(FLOW, _Flow(self), flow_inputs, LEVELS),
                NetworkGraph(HEADS, _Heads(self, size), levels, OUTPUTS),
            ),
            {KEY: (STEM, DEEP, HEADS), NONKEY: (STEM, FLOW, HEADS)},
            {KEY: {"key_reduced": "reduced", "key_level4": "level4", "key_level5": "level5"}},
        )


def moved_map(level: paddle.Tensor, motion: MotionMaps) -> paddle.Tensor:
    """A map of the key frame at its place in the present one, float32 [N, C, h, w]."""
    return warp(level, motion.flow) * motion.scale + motion.bias


class _Stem(nn.Layer):
    """Graph of both kinds of frame: the backbone to its first used feature, and what is made of it."""

    def __init__(self, network: FlowYolact, stem: ChainPart) -> None:
        super().__init__()
        self.stem = stem
        self.lateral = network.fpn.finest_lateral
        self.reduce = network.flow_net_pre_convs

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        feature = self.stem(x)[-1]
        lateral = self.lateral(feature)
        return {"feature": feature, "lateral": lateral, "reduced": self.reduce(lateral)}


class _Deep(nn.Layer):
    """Graph of key frames: the rest of the backbone, and the pyramid's first phase."""

    def __init__(self, network: FlowYolact, deep: ChainPart) -> None:
        super().__init__()
        self.deep = deep
        self.fpn = network.fpn
        # Positions among the features behind the first used one.
        self.indices = [index - network.indices[0] - 1 for index in network.indices[1:]]

    def forward(self, feature: paddle.Tensor, lateral: paddle.Tensor) -> dict[str, paddle.Tensor]:
        features = self.deep(feature)
        maps = self.fpn.merge_onto(lateral, [features[index] for index in self.indices])
        return _named(maps)


class _Flow(nn.Layer):
    """Graph of the other frames: flow, warp and refinement."""

    def __init__(self, network: FlowYolact) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        lateral: paddle.Tensor,
        reduced: paddle.Tensor,
        key_reduced: paddle.Tensor,
        key_level4: paddle.Tensor,
        key_level5: paddle.Tensor,
    ) -> dict[str, paddle.Tensor]:
        return _named(self.network.transform(lateral, reduced, KeyFrame(key_reduced, key_level4, key_level5)))


class _Heads(nn.Layer):
    """Graph of both kinds of frame: the pyramid's second phase, protonet and head."""

    def __init__(self, network: FlowYolact, size: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        self.size = size

    def forward(self, level3: paddle.Tensor, level4: paddle.Tensor, level5: paddle.Tensor) -> dict[str, paddle.Tensor]:
        return self.network.predictions([level3, level4, level5], self.size)


def _named(maps: Maps) -> dict[str, paddle.Tensor]:
    return {LEVELS[index]: maps[index] for index in range(len(LEVELS))}


@NETWORKS.add_component
class YolactEdge(FlowYolact, Yolact):
    """YolactEdge (Liu et al. 2021, arXiv:2012.12259): YOLACT for video.

    Parameter names outside the backbone are those of the published weights, which were trained with
    ``square_anchors``; ``refine: false`` is the published minimal network. For the arguments see
    :class:`FlowYolact`.
    """

    refinement = Refinement
    refined_below_finest = False
    usual_flow_channels = 64
    usual_flow_widths = (64, 128, 256)

    @staticmethod
    def flow_parts(
        channels: int, reduced: int, widths: Sequence[int], steps: tuple[int, int]
    ) -> tuple[nn.Layer, nn.Layer]:
        fine, middle, coarse = widths
        return PreConvs(channels, reduced), FlowNet(reduced, channels, (fine, middle, coarse), steps)


@NETWORKS.add_component
class MobileYolactEdge(FlowYolact, MobileYolact):
    """YolactEdge for phones: its memory on mobileYOLACT's separable layers, with a flow that is found by matching.

    The published flow network would cost more multiply-adds at 320x320 than the part of MobileNetV2 that it saves, and
    it learns to see motion in a hundred thousand iterations; this one
    (:class:`~mobileseg.video.matching_flow.MatchingFlow`) is cheap, and sees it soon. For the arguments see
    :class:`FlowYolact`.
    """

    refinement = SeparableRefinement
    refined_below_finest = True
    usual_flow_channels = 32
    usual_flow_widths = (48, 64)

    @staticmethod
    def flow_parts(
        channels: int, reduced: int, widths: Sequence[int], steps: tuple[int, int]
    ) -> tuple[nn.Layer, nn.Layer]:
        return MatchingFeatures(channels, reduced, steps[0]), MatchingFlow(reduced, channels, widths, steps[1])
