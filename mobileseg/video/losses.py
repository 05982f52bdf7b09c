"""What video networks learn beside their objects: flow, and features that moved as features that were computed.

Both follow YolactEdge (Liu et al. 2021, arXiv:2012.12259) and its published code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import paddle
import paddle.nn.functional as F
from paddle import nn

from mobileseg.errors import ConfigError
from mobileseg.instance.fpn import FPN
from mobileseg.nn.blocks import ACTIVATIONS, resize
from mobileseg.nn.compat import spatial_size
from mobileseg.registry import LOSSES
from mobileseg.tasks import VIDEO

Places = Literal["L", "P", "L+P"]
Measure = Literal["cosine", "smooth_l1"]

_SMALLEST_NORM = 1e-8
"""Of features whose direction is compared, as in the published code's framework."""


class StageCriterion(nn.Layer):
    """The criterion of a stage that does not learn objects.

    Args:
        weight: factor.

    Raises:
        ConfigError: a negative weight.
    """

    is_criterion = True
    task = VIDEO

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        if weight < 0:
            raise ConfigError(f"{type(self).__name__}: weight must not be below 0, got {weight}")
        self.weight = weight


@LOSSES.add_component
class FlowLoss(StageCriterion):
    """Mean end-point error of the flow at every level, summed over the levels; the criterion of the flow stage.

    Args:
        weight: factor.
    """

    def forward(
        self, outputs: Mapping[str, Sequence[paddle.Tensor]], batch: Mapping[str, paddle.Tensor]
    ) -> dict[str, paddle.Tensor]:
        """The loss as ``flow``, a float32 scalar.

        Args:
            outputs: ``flows``, float32 [N, 2, h, w] of every level.
            batch: ``flow``, float32 [N, 2, H, W], true and in the network's unit
                (:data:`mobileseg.video.warp.FLOW_SCALE`).
        """
        errors = [_end_point_error(flow, batch["flow"]) for flow in outputs["flows"]]
        return {"flow": self.weight * paddle.add_n(errors)}


def _end_point_error(flow: paddle.Tensor, truth: paddle.Tensor) -> paddle.Tensor:
    """Mean distance of a flow from the truth at its size."""
    squared = (flow - resize(truth, spatial_size(flow))).square().sum(axis=1)
    # The root has no slope at 0; a flow that is right to the bit gets no gradient, as in the published code.
    right = squared == 0
    distance = paddle.where(right, squared, paddle.where(right, paddle.ones_like(squared), squared).sqrt())
    return distance.mean()


@LOSSES.add_component
class TransformLoss(StageCriterion):
    """How far moved features are from computed ones, in direction and length; the criterion of the transform stage.

    Of a pair of maps 1 minus the cosine over the channels, meaned over places, and the squared distance over the
    squared length of the computed map; the mean over all pairs.

    Args:
        weight: factor.
    """

    def forward(
        self, outputs: Mapping[str, Sequence[paddle.Tensor]], batch: Mapping[str, paddle.Tensor]
    ) -> dict[str, paddle.Tensor]:
        """The loss as ``direction`` and ``distance``, float32 scalars.

        Args:
            outputs: ``moved`` and ``computed``, float32 [N, C, h, w] of every level; the latter detached.
            batch: not read.
        """
        pairs = list(zip(outputs["moved"], outputs["computed"], strict=True))
        factor = self.weight / len(pairs)
        return {
            "direction": factor * paddle.add_n([_cosine_distance(*pair) for pair in pairs]),
            "distance": factor * paddle.add_n([_relative_distance(*pair) for pair in pairs]),
        }


class FeatureMatching(nn.Layer):
    """How far the maps of a frame that was not computed whole are from those of the same frame computed whole.

    The two coarser sums of the pyramid's first phase are compared as they are (L) and after the second phase's
    convolution and activation (P), whose weights get no gradient from this; the mean over all pairs.

    Args:
        fpn: the pyramid; not trained here.
        places: 'L', 'P' or 'L+P'.
        measure: 'cosine' is 1 minus the cosine over the channels, meaned over places; 'smooth_l1' is summed over
            places and meaned over images and channels.
        weight: factor.
        published_conv_quirk: the coarsest level goes through the finest level's convolution, as in the published code.
    """

    def __init__(
        self,
        fpn: FPN,
        places: Places = "L+P",
        measure: Measure = "cosine",
        weight: float = 1.0,
        published_conv_quirk: bool = False,
    ) -> None:
        super().__init__()
        self._fpn = [fpn]  # in a list, so that its parameters are not this layer's
        self.places = places
        self.measure = measure
        self.weight = weight
        self.published_conv_quirk = published_conv_quirk

    def forward(self, maps: Sequence[paddle.Tensor], targets: Sequence[paddle.Tensor]) -> paddle.Tensor:
        """The loss, a float32 scalar.

        Args:
            maps: float32 [N, C, h, w] of the two coarser levels, finer first.
            targets: the same of the frame computed whole; detached.
        """
        pairs = []
        if self.places != "P":
            pairs += list(zip(maps, targets, strict=True))
        if self.places != "L":
            quirk = self.published_conv_quirk
            pairs += zip(
                second_phase(self._fpn[0], maps, quirk), second_phase(self._fpn[0], targets, quirk), strict=True
            )
        distance = _cosine_distance if self.measure == "cosine" else _smooth_l1
        return self.weight * paddle.add_n([distance(*pair) for pair in pairs]) / len(pairs)


def second_phase(fpn: FPN, maps: Sequence[paddle.Tensor], published_conv_quirk: bool = False) -> list[paddle.Tensor]:
    """The two coarser maps behind the second phase's convolutions, their weights held still.

    Args:
        fpn: the pyramid.
        maps: float32 [N, C, h, w] of the two coarser levels, finer first.
        published_conv_quirk: see :class:`FeatureMatching`.
    """
    count = len(fpn.pred_layers)
    # Layers are counted from the coarsest level, whose number is 0.
    numbers = [level + 1 if published_conv_quirk else count - 2 - level for level in range(len(maps))]
    act = ACTIVATIONS[fpn.act]
    return [act(held_still(fpn.pred_layers[number], x)) for number, x in zip(numbers, maps, strict=True)]


def held_still(layer: nn.Layer, x: paddle.Tensor) -> paddle.Tensor:
    """A layer's output, differentiable in ``x`` alone; running statistics of its norms do not change."""
    trained = [parameter for parameter in layer.parameters() if not parameter.stop_gradient]
    modes = [(one, one.training) for one in layer.sublayers(include_self=True)]
    try:
        for parameter in trained:
            parameter.stop_gradient = True
        for one, _ in modes:
            one.training = False
        return layer(x)
    finally:
        for parameter in trained:
            parameter.stop_gradient = False
        for one, training in modes:
            one.training = training


def _cosine_distance(one: paddle.Tensor, other: paddle.Tensor) -> paddle.Tensor:
    return (1.0 - F.cosine_similarity(one, other, axis=1, eps=_SMALLEST_NORM)).mean()


def _smooth_l1(one: paddle.Tensor, other: paddle.Tensor) -> paddle.Tensor:
    return F.smooth_l1_loss(one, other, reduction="sum") / (one.shape[0] * one.shape[1])


def _relative_distance(one: paddle.Tensor, other: paddle.Tensor) -> paddle.Tensor:
    return (one - other).square().mean() / (other.square().mean() + _SMALLEST_NORM)
