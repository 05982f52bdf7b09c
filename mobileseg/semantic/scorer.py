"""Scores of semantic segmentation, accumulated image by image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mobileseg.data.sample import Sample
from mobileseg.errors import DataError
from mobileseg.scores import Scores
from mobileseg.semantic.metric import BoundaryIoU, ConfusionMatrix, render_table, summary
from mobileseg.structures import SemanticResult

if TYPE_CHECKING:
    from mobileseg.training.task import ProcessGroup

LOGGED = ("miou", "accuracy", "mean_accuracy", "dice", "kappa", "class_iou")


class SemanticScorer:
    """Confusion matrix and, on request, boundary IoU, accumulated over the set.

    Args:
        dataset: with ``classes``, ``num_classes`` and ``ignore_index``.
        boundary: also compute the boundary IoU, which costs about as much as a small network.
    """

    def __init__(self, dataset: Any, *, boundary: bool = False) -> None:
        self.classes = dataset.classes
        self.matrix = ConfusionMatrix(dataset.num_classes, dataset.ignore_index)
        self.edges = BoundaryIoU(dataset.num_classes, dataset.ignore_index) if boundary else None

    def update(self, index: int, sample: Sample, result: np.ndarray | SemanticResult) -> None:
        """Count the pixels of a result, or of uint8 labels [H, W].

        Raises:
            DataError: the image has no label, or prediction and label differ in size.
        """
        if sample.label is None:
            raise DataError(
                f"{sample.meta.get('image_path', 'an image')} has no label to compare with",
                remedy="evaluate on a part of the dataset that has labels",
            )
        labels = result.labels if isinstance(result, SemanticResult) else result
        self.matrix.update(labels, sample.label)
        if self.edges is not None:
            self.edges.update(labels, sample.label)

    def reduce(self, processes: ProcessGroup) -> None:
        """Add the counts of all processes."""
        self.matrix.matrix = processes.sum_counts(self.matrix.matrix)
        if self.edges is not None:
            self.edges.intersection = processes.sum_counts(self.edges.intersection)
            self.edges.union = processes.sum_counts(self.edges.union)

    def scores(self) -> Scores:
        """mIoU decides; values: :func:`mobileseg.semantic.metric.summary` and, if asked for, those of the boundary."""
        values = summary(self.matrix.matrix, self.classes)
        if self.edges is not None:
            values.update(self.edges.summary())
        return Scores(
            metric="mIoU",
            score=values["miou"] or 0.0,
            further={"accuracy": values["accuracy"]},
            details=values,
            logged=LOGGED,
            table=render_table(values),
        )
