"""Training and evaluation of video instance segmentation; see :class:`mobileseg.training.task.TrainingTask`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import paddle

from mobileseg.errors import ConfigError, DataError
from mobileseg.instance import training as instances
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.predictor import refuse_views
from mobileseg.tasks import INSTANCE
from mobileseg.training.steps import Step
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.mobileinst.model import MobileInst
from mobileseg.video.mobileinst.options import KernelOptions, QueryOptions
from mobileseg.video.mobileinst.training import QueryObjective, QueryPredictor
from mobileseg.video.predictor import VideoPredictor
from mobileseg.video.scorer import VideoScorer, save_track_results
from mobileseg.video.stages import stage_steps
from mobileseg.video.yolact_edge import FlowYolact

ACCEPTS: tuple[str, ...] = (INSTANCE,)
"""A still image is a video of one frame."""

IMITATED = instances.IMITATED
renamed = instances.renamed
scorer_options = instances.scorer_options


def steps(network: paddle.nn.Layer, criterion: Any, dataset: Any, settings: Mapping[str, Any]) -> list[Step]:
    """Those of the configured stage (:func:`mobileseg.video.stages.stage_steps`); of MobileInst one, by its loss.

    Raises:
        ConfigError: loss, datasets and stage do not go together, or the network has no such stages.
        DataError: the still images cannot be trained on.
    """
    if isinstance(network, MobileInst):
        return [Step(QueryObjective(network, criterion), dataset)]
    if not isinstance(network, FlowYolact):
        raise ConfigError(f"{type(network).__name__} is not trained in the stages of video.stage")
    return stage_steps(network, criterion, dataset, settings)


def predictor(
    network: paddle.nn.Layer, settings: Mapping[str, Any], test_config: Mapping[str, Any]
) -> VideoPredictor | QueryPredictor:
    """Objects of the frames of a sequence, by the sections ``keyframes`` and ``detection``, or ``queries`` and
    ``kernels``."""
    refuse_views(test_config)
    keyframes = KeyframeOptions(**settings["keyframes"])
    if isinstance(network, MobileInst):
        queries, kernels = QueryOptions(**settings["queries"]), KernelOptions(**settings["kernels"])
        return QueryPredictor(network, queries, kernels, keyframes)
    return VideoPredictor(network, DetectionOptions(**settings["detection"]), keyframes)


def scorer(dataset: Any) -> VideoScorer:
    """AP of frames and scores of tracks; results without track ids get them from the tracker."""
    return VideoScorer(dataset)


def require(dataset: Any, where: str) -> None:
    """A dataset that is evaluated has videos; pairs with flow have no objects to find.

    Raises:
        DataError: it has none.
    """
    if where == "val_dataset" and not hasattr(dataset, "videos"):
        raise DataError(
            f"{where} ({type(dataset).__name__}) has no videos with objects, so there is nothing to score",
            remedy="evaluate on videos, or train with --no_eval",
        )


def evaluated_with(settings: Mapping[str, Any], test_config: Mapping[str, Any]) -> dict[str, Any]:
    """Thresholds, NMS and the rule of key frames."""
    return {name: settings[name] for name in ("detection", "queries", "kernels", "keyframes")}


def save_results(scorer: VideoScorer, path: Path) -> str:
    """Write every track that was found in YouTube-VIS' results format."""
    return save_track_results(scorer, path)


def classes_in(dataset: Any, index: int) -> Iterable[int]:
    """Classes of the annotated objects of a frame; none where it is not annotated."""
    return instances.classes_in(dataset, index) if dataset.annotated(index) else ()
