"""Training and evaluation of semantic segmentation; the contract is :class:`mobileseg.training.task.TrainingTask`."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from mobileseg.data.sample import Sample
from mobileseg.errors import ConfigError, DataError
from mobileseg.semantic.predictor import NetworkPredictor, TestOptions
from mobileseg.semantic.scorer import SemanticScorer
from mobileseg.structures import SemanticResult
from mobileseg.training.objective import Objective
from mobileseg.training.steps import Step
from mobileseg.training.task import Predictor

logger = logging.getLogger(__name__)

ACCEPTS: tuple[str, ...] = ()
RESIZABLE = True
IMITATED = ("logits",)


def steps(network: paddle.nn.Layer, criterion: Any, dataset: Any, settings: Mapping[str, Any]) -> list[Step]:
    """One step: the configured losses of the network's outputs."""
    return [Step(Objective(network, criterion), dataset)]


def predictor(
    network: paddle.nn.Layer, settings: Mapping[str, Any], test_config: Mapping[str, Any]
) -> NetworkPredictor:
    """Labels; flips, scales and window by ``test_config``."""
    return NetworkPredictor(network, TestOptions.from_section(test_config))


def scorer(dataset: Any, *, boundary: bool = False) -> SemanticScorer:
    """mIoU and its relatives; ``boundary`` adds the boundary IoU."""
    return SemanticScorer(dataset, boundary=boundary)


def require(dataset: Any, where: str) -> None:
    """Every image needs a label; a warning where there is nothing to tell apart.

    Raises:
        DataError: names the first image without a label.
    """
    if getattr(dataset, "num_classes", 0) == 1:
        logger.warning(
            "%s has one class: a network gives it to every pixel, and its mIoU is 1 whatever it learnt; "
            "write num_classes: 2 and label what is not of the class as the other one",
            where,
        )
    bare = [item for item in getattr(dataset, "items", ()) if item.label is None]
    if bare:
        raise DataError(
            f"{len(bare)} of {len(dataset)} images of {where} have no label, the first is {bare[0].image}",
            remedy="write 'image label' in every line of the list file, or leave these images out",
        )


def scorer_options(flags: argparse.Namespace, test_config: Mapping[str, Any]) -> dict[str, Any]:
    """The boundary IoU is computed unless ``--no_boundary`` is given.

    Raises:
        ConfigError: ``--save_results``, which is for objects.
    """
    if flags.save_results:
        raise ConfigError(
            "--save_results writes objects, but the dataset has labels",
            remedy="leave it out; `mobileseg predict` writes label images",
        )
    return {"boundary": not flags.no_boundary}


def evaluated_with(settings: Mapping[str, Any], test_config: Mapping[str, Any]) -> dict[str, Any]:
    """Flips, scales and window."""
    return {"test_config": dict(test_config)}


def save_results(scorer: SemanticScorer, path: Path) -> str:
    """Labels have no file of results: :func:`scorer_options` refuses to ask for one."""
    raise ConfigError("labels have no file of results", remedy="`mobileseg predict` writes label images")


def renamed(predict: Predictor, indices: np.ndarray) -> Predictor:
    """Labels with the indices of a dataset.

    Raises:
        ConfigError: the dataset lacks a class, and a pixel must have one.
    """
    if indices.min() < 0:
        raise ConfigError(
            f"{np.count_nonzero(indices < 0)} classes of the model are not in the dataset, and each pixel needs one",
            remedy="give the dataset all classes of the model (classes: [...], and label_map for its values)",
        )
    return RenamedLabels(predict, indices.astype(np.uint8))


class RenamedLabels:
    """A predictor of labels with other class indices.

    Args:
        predict: gives labels, or a result that has them.
        indices: uint8 [classes]: new index of every class.
    """

    def __init__(self, predict: Predictor, indices: np.ndarray) -> None:
        self.predict = predict
        self.indices = indices
        self.wants_raw = getattr(predict, "wants_raw", False)

    def __call__(self, sample: Sample) -> np.ndarray:
        """Labels uint8 [H, W]."""
        result = self.predict(sample)
        labels = result.labels if isinstance(result, SemanticResult) else result
        renamed: np.ndarray = self.indices[labels]
        return renamed


def classes_in(dataset: Any, index: int) -> Iterable[int]:
    """Values of the label's pixels; none without a label."""
    label = dataset.load(index).label
    return [] if label is None else np.flatnonzero(np.bincount(label.ravel(), minlength=256)).tolist()
