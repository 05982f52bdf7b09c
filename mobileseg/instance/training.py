"""Training and evaluation of instance segmentation; the contract is :class:`mobileseg.training.task.TrainingTask`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from mobileseg.data.sample import Sample
from mobileseg.errors import ConfigError
from mobileseg.files import write_whole
from mobileseg.instance.metric import CocoScorer
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.predictor import InstancePredictor, refuse_views
from mobileseg.structures import InstanceResult
from mobileseg.training.objective import Objective
from mobileseg.training.steps import Step
from mobileseg.training.task import Predictor

ACCEPTS: tuple[str, ...] = ()
RESIZABLE = True
IMITATED = ("head",)


def steps(network: paddle.nn.Layer, criterion: Any, dataset: Any, settings: Mapping[str, Any]) -> list[Step]:
    """One step: the configured loss of the network's outputs."""
    return [Step(Objective(network, criterion), dataset)]


def predictor(
    network: paddle.nn.Layer, settings: Mapping[str, Any], test_config: Mapping[str, Any]
) -> InstancePredictor:
    """Objects, by the thresholds of the section ``detection``."""
    refuse_views(test_config)
    return InstancePredictor(network, DetectionOptions(**settings["detection"]))


def scorer(dataset: Any) -> CocoScorer:
    """COCO AP of masks and boxes."""
    return CocoScorer(dataset)


def require(dataset: Any, where: str) -> None:
    """Nothing is required: an image without objects is a sample like any other."""


def scorer_options(flags: argparse.Namespace, test_config: Mapping[str, Any]) -> dict[str, Any]:
    """There are none.

    Raises:
        ConfigError: flips, scales or a window, ``--no_boundary``, or a file of results in a folder that is not there.
    """
    refuse_views(test_config)
    if flags.no_boundary:
        raise ConfigError("--no_boundary: objects have no boundary IoU", remedy="leave --no_boundary out")
    if flags.save_results and not Path(flags.save_results).parent.is_dir():
        raise ConfigError(f"--save_results: there is no folder {Path(flags.save_results).parent}", remedy="make it")
    return {}


def evaluated_with(settings: Mapping[str, Any], test_config: Mapping[str, Any]) -> dict[str, Any]:
    """Thresholds and NMS."""
    return {"detection": settings["detection"]}


def save_results(scorer: CocoScorer, path: Path) -> str:
    """Write every object that was found in COCO's results format."""
    results = scorer.results()
    write_whole(path, json.dumps(results, separators=(",", ":")))
    return f"{len(results)} objects written to {path} in COCO's results format"


def renamed(predict: Predictor, indices: np.ndarray) -> Predictor:
    """Objects with the class indices of a dataset; those of a class that it does not have are left out."""
    return RenamedObjects(predict, indices)


class RenamedObjects:
    """A predictor of objects with other class indices.

    Args:
        predict: gives objects.
        indices: int64 [classes]: new index of every class, -1 to leave its objects out.
    """

    def __init__(self, predict: Predictor, indices: np.ndarray) -> None:
        self.predict = predict
        self.indices = indices
        self.wants_raw = getattr(predict, "wants_raw", False)

    def begin(self) -> None:
        """A sequence begins."""
        getattr(self.predict, "begin", lambda: None)()

    def __call__(self, sample: Sample) -> InstanceResult:
        """Objects of a sample."""
        found: InstanceResult = self.predict(sample)
        classes = self.indices[found.classes]
        return replace(found, classes=classes).take(np.flatnonzero(classes >= 0))


def classes_in(dataset: Any, index: int) -> Iterable[int]:
    """Classes of the annotated objects."""
    return [int(label) for label in dataset.objects(index).classes]
