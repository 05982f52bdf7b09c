"""The stages in which networks with features along a flow are trained (Liu et al. 2021, arXiv:2012.12259).

``base``: the network on frames by themselves, as any instance segmentation model. ``flow``: the flow network on pairs
of images whose flow is known. ``joint``: frames computed whole, then the same frames computed from an earlier one.
``transform`` is ours: flow network and refinement learn to give the features of frames computed whole, which needs
neither annotations nor the second half of the network. What a stage does not train gets no gradient and stays in
evaluation mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import paddle
from paddle import nn

from mobileseg.config.build import build_dataset
from mobileseg.config.classes import require_same_classes
from mobileseg.data.doctor.diagnose import preflight
from mobileseg.errors import ConfigError
from mobileseg.nn.compat import spatial_size
from mobileseg.nn.nested import cast
from mobileseg.training.objective import Objective
from mobileseg.training.steps import Step
from mobileseg.video.losses import FeatureMatching, FlowLoss, TransformLoss, second_phase
from mobileseg.video.yolact_edge import FlowYolact, KeyFrame

BASE, FLOW, JOINT, TRANSFORM = "base", "flow", "joint", "transform"

CRITERIA: dict[str, type[nn.Layer]] = {FLOW: FlowLoss, TRANSFORM: TransformLoss}
"""Losses of the stages that do not learn objects."""

FRAMES = "frames"
"""The step of frames computed whole, which leaves its maps and its batch to the next one."""

MATCHED = ("level4", "level5")
"""Maps that it leaves: the two coarser sums of the pyramid's first phase."""


class StageObjective(Objective):
    """The configured losses of the whole network, of which some parts are held still.

    Args:
        network: what is trained.
        criterion: ``(outputs, batch) -> {name: scalar}``.
        held: parts of the network that stay in evaluation mode.
        partly: see :class:`~mobileseg.training.objective.Objective`.
    """

    network: Any

    def __init__(self, network: nn.Layer, criterion: nn.Layer, held: Sequence[nn.Layer], *, partly: bool) -> None:
        super().__init__(network, criterion)
        self.partly = partly
        self._held = list(held)  # a list, whose layers Paddle does not count again

    def train(self) -> None:
        """Training mode, except for what is held."""
        super().train()
        for part in self._held:
            part.eval()


class FlowObjective(StageObjective):
    """Flow between two images, from laterals that are not trained.

    The batch has ``image`` and ``reference`` float32 [N, 3, H, W], and ``flow`` [N, 2, H, W] for the criterion.
    """

    def forward(self, batch: dict[str, Any]) -> dict[str, paddle.Tensor]:
        network = self.network
        with self.autocast():
            with paddle.no_grad():
                laterals = [network.lateral(batch[name]) for name in ("image", "reference")]
            flows = network.flow_net.flows(*(network.flow_net_pre_convs(lateral) for lateral in laterals))
        losses: dict[str, paddle.Tensor] = self.criterion({"flows": cast(flows, "float32")}, batch)
        return losses


class TransformObjective(StageObjective):
    """Features of two frames, each moved to the other, as far as possible those that were computed there.

    The batch has ``image`` and ``reference`` float32 [N, 3, H, W].
    """

    def forward(self, batch: dict[str, Any]) -> dict[str, paddle.Tensor]:
        network = self.network
        with self.autocast():
            with paddle.no_grad():
                lateral, maps = network.first_phase(paddle.concat([batch["image"], batch["reference"]]))
                computed = maps[1:]
                computed += second_phase(network.fpn, computed)
            reduced = network.flow_net_pre_convs(lateral)
            key = KeyFrame(*(_exchanged(x) for x in (reduced, maps[1], maps[2])))
            moved = network.transform(lateral, reduced, key)[1:]
            moved += second_phase(network.fpn, moved)
        outputs = {"moved": cast(moved, "float32"), "computed": cast(computed, "float32")}
        losses: dict[str, paddle.Tensor] = self.criterion(outputs, batch)
        return losses


def _exchanged(x: paddle.Tensor) -> paddle.Tensor:
    """The halves of a batch, the second first."""
    half = x.shape[0] // 2
    return paddle.concat([x[half:], x[:half]])


class FrameObjective(StageObjective):
    """Annotated frames computed whole; leaves :data:`MATCHED` and its batch."""

    def forward(self, batch: dict[str, Any]) -> dict[str, paddle.Tensor]:
        image = batch["image"]
        with self.autocast():
            _, maps = self.network.first_phase(image)
            outputs = self.network.predictions(maps, spatial_size(image))
        kept = {name: value for name, value in batch.items() if isinstance(value, paddle.Tensor)}
        self.results = kept | dict(zip(MATCHED, cast(maps[1:], "float32"), strict=True))
        losses: dict[str, paddle.Tensor] = self.criterion(cast(outputs, "float32"), batch)
        return losses


class WarpObjective(StageObjective):
    """The frames of the step before, computed from their reference frames as from key frames.

    No gradient goes through the reference frame but for that of its lateral's reduction.

    Args:
        network: what is trained.
        criterion: as above.
        held: as above.
        matching: of the moved maps with those that were computed; None: no such loss.
    """

    def __init__(
        self, network: nn.Layer, criterion: nn.Layer, held: Sequence[nn.Layer], matching: FeatureMatching | None
    ) -> None:
        super().__init__(network, criterion, held, partly=True)
        self.matching = matching

    def forward(self, batch: dict[str, Any]) -> dict[str, paddle.Tensor]:
        network, left = self.network, batch["earlier"][FRAMES]
        image = left["image"]
        with self.autocast():
            with paddle.no_grad():
                lateral, reference = network.first_phase(left["reference"])
            key = KeyFrame(network.flow_net_pre_convs(lateral), reference[1], reference[2])
            maps = network.non_key_frame(image, key)
            outputs = network.predictions(maps, spatial_size(image))
        losses = dict(self.criterion(cast(outputs, "float32"), left))
        if self.matching is not None:
            losses["matching"] = self.matching(cast(maps[1:], "float32"), [left[name] for name in MATCHED])
        return losses


def stage_steps(network: FlowYolact, criterion: Any, dataset: Any, settings: Mapping[str, Any]) -> list[Step]:
    """The steps of an iteration of the configured stage; what it does not train is frozen.

    ``base``: still images where there are some, and frames. ``flow``: pairs. ``joint``: still images where there are
    some, frames, and the same frames from their references. ``transform``: frames and their references.

    Raises:
        ConfigError: loss, datasets and stage do not go together.
        DataError: the still images cannot be trained on.
    """
    section = settings["video"]
    stage = section["stage"]
    _check(stage, criterion, dataset, settings)
    held = held_parts(network, stage, section["freeze"])
    for part in held:
        for parameter in part.parameters():
            parameter.stop_gradient = True
    if stage == FLOW:
        return [Step(FlowObjective(network, criterion, held, partly=False), dataset)]
    if stage == TRANSFORM:
        return [Step(TransformObjective(network, criterion, held, partly=False), dataset, FRAMES)]
    joint = stage == JOINT
    stills = still_images(dataset, settings)
    steps = []
    if stills is not None:
        steps.append(Step(StageObjective(network, criterion, held, partly=joint), stills, "stills"))
    if not joint:
        return [*steps, Step(StageObjective(network, criterion, held, partly=False), dataset, FRAMES)]
    matching = None if section["matching"] is None else FeatureMatching(network.fpn, **section["matching"])
    return [
        *steps,
        Step(FrameObjective(network, criterion, held, partly=True), dataset, FRAMES),
        Step(WarpObjective(network, criterion, held, matching), None, "warp"),
    ]


def held_parts(network: FlowYolact, stage: str, freeze: str) -> list[nn.Layer]:
    """The parts that a stage does not train, or does not reach.

    Args:
        network: the network.
        stage: 'base', 'flow', 'joint' or 'transform'.
        freeze: in the joint stage: 'published' holds backbone and laterals, as the published code does, 'paper' the
            backbone alone.
    """
    net = network.flow_net
    refinement = [] if network.spa is None else [network.spa]
    if stage == BASE:
        return [network.flow_net_pre_convs, net, *refinement]
    whole = [
        network.backbone, network.fpn, network.proto_net, network.prediction_layers, network.semantic_seg_conv
    ]  # fmt: skip
    if stage == FLOW:
        unreached = [part for head in net.motion_heads() for part in (head.scale, head.bias)]
        return [*whole, *refinement, *unreached]
    if stage == TRANSFORM:
        return [*whole, *net.pretrained_alone()]
    laterals = [network.fpn.lat_layers] if freeze == "published" else []
    return [network.backbone, *laterals, *net.pretrained_alone()]


def _check(stage: str, criterion: Any, dataset: Any, settings: Mapping[str, Any]) -> None:
    if type(criterion) in CRITERIA.values() or stage in CRITERIA:
        wanted = CRITERIA.get(stage)
        if type(criterion) is not wanted:
            raise ConfigError(
                f"the stage {stage} of video.stage does not learn by {type(criterion).__name__}",
                remedy=f"write loss.types: [{{type: {wanted.__name__ if wanted else 'YolactLoss'}}}], or another stage",
            )
    pairs = callable(getattr(dataset, "flow", None))
    if pairs != (stage == FLOW):
        raise ConfigError(
            f"the stage {stage} of video.stage trains on {'pairs of images with flow' if stage == FLOW else 'objects'},"
            f" and train_dataset ({type(dataset).__name__}) gives {'flow' if pairs else 'none'}",
            remedy="give it FlyingChairs in the stage flow, and videos with objects in the others",
        )
    referring = stage in (JOINT, TRANSFORM)
    if referring and getattr(dataset, "reference", None) is None:
        raise ConfigError(
            f"the stage {stage} needs an earlier frame beside every annotated one, and train_dataset gives none",
            remedy="add reference: [2, 5] to train_dataset, of videos",
        )
    if not referring and getattr(dataset, "reference", None) is not None:
        raise ConfigError(
            f"the stage {stage} does not use the reference frames of train_dataset",
            remedy="remove reference, or set video.stage: joint or transform",
        )
    if getattr(dataset, "clip", None) is not None:
        raise ConfigError("this network learns from frames, not from clips", remedy="remove clip from train_dataset")
    if stage in CRITERIA and settings["stills_dataset"] is not None:
        raise ConfigError(f"the stage {stage} has no still images", remedy="set stills_dataset: null")
    if stage != BASE and settings["distill"] is not None:
        raise ConfigError(
            f"a teacher is imitated on images by themselves, not in the stage {stage}",
            remedy="distil in the stage base, or set distill: null",
        )


def still_images(dataset: Any, settings: Mapping[str, Any]) -> Any:
    """The dataset of ``stills_dataset``, None without one.

    Raises:
        ConfigError: it has no objects, or other classes than ``dataset``.
        DataError: it cannot be trained on.
    """
    if settings["stills_dataset"] is None:
        return None
    stills = build_dataset(settings["stills_dataset"], seed=settings["seed"])
    if callable(getattr(stills, "flow", None)) or not hasattr(stills, "objects"):
        raise ConfigError(
            f"stills_dataset ({type(stills).__name__}) has no objects", remedy="use one such as CocoInstances"
        )
    preflight(stills)
    require_same_classes(
        dataset.classes,
        stills.classes,
        ("train_dataset", "stills_dataset"),
        "give both the same classes in the same order (classes: [...])",
    )
    return stills
