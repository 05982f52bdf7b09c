"""Training and evaluation of video instance segmentation; see :class:`mobileseg.training.task.TrainingTask`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import paddle

from mobileseg.errors import ConfigError, DataError
from mobileseg.files import write_whole
from mobileseg.instance import training as instances
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.predictor import refuse_views
from mobileseg.tasks import INSTANCE
from mobileseg.training.steps import Step
from mobileseg.video.keyframes import KeyframeOptions
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
    """Those of the configured stage, see :func:`mobileseg.video.stages.stage_steps`.

    Raises:
        ConfigError: loss, datasets and stage do not go together, or the network has no such stages.
        DataError: the still images cannot be trained on.
    """
    if not isinstance(network, FlowYolact):
        raise ConfigError(f"{type(network).__name__} is not trained in the stages of video.stage")
    return stage_steps(network, criterion, dataset, settings)


def predictor(network: paddle.nn.Layer, settings: Mapping[str, Any], test_config: Mapping[str, Any]) -> VideoPredictor:
    """Objects of the frames of a sequence, by the sections ``detection`` and ``keyframes``."""
    refuse_views(test_config)
    detection, keyframes = DetectionOptions(**settings["detection"]), KeyframeOptions(**settings["keyframes"])
    return VideoPredictor(network, detection, keyframes)


def scorer(dataset: Any) -> VideoScorer:
    """AP of frames, and scores of tracks where results have track ids."""
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
    return {name: settings[name] for name in ("detection", "keyframes")}


def save_results(scorer: VideoScorer, path: Path) -> str:
    """Write what was found: tracks in YouTube-VIS' format, or objects in COCO's where results have no track ids."""
    try:
        return save_track_results(scorer, path)
    except DataError:  # no track ids
        results = scorer.results()
    write_whole(path, json.dumps(results, separators=(",", ":")))
    return f"{len(results)} objects written to {path} in COCO's results format (there are no track ids)"


def classes_in(dataset: Any, index: int) -> Iterable[int]:
    """Classes of the annotated objects of a frame; none where it is not annotated."""
    return instances.classes_in(dataset, index) if dataset.annotated(index) else ()
