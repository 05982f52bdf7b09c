"""Scores of a predictor on a dataset; the labels stay as they were annotated, predictions come to their size."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from mobileseg.data.sample import Sample
from mobileseg.errors import DataError
from mobileseg.semantic.metric import BoundaryIoU, ConfusionMatrix, summary


class Predictor(Protocol):
    """Gives uint8 labels [H, W] in the size of the sample's original image."""

    def __call__(self, sample: Sample) -> np.ndarray: ...


class EvaluationDataset(Protocol):
    """What evaluation needs of a dataset (:class:`mobileseg.data.base.SegmentationDataset` has it)."""

    classes: tuple[str, ...]
    num_classes: int
    ignore_index: int

    def __len__(self) -> int: ...

    def load(self, index: int) -> Sample: ...

    def prepare(self, key: int) -> Sample: ...


class SegmenterPredictor:
    """Uses a runtime segmenter: it receives the image as decoded and does its own preprocessing.

    Args:
        segmenter: called with uint8 [H, W, 3] RGB, returns a result with ``labels``.
    """

    wants_raw = True

    def __init__(self, segmenter: Callable[[np.ndarray], Any]) -> None:
        self.segmenter = segmenter

    def __call__(self, sample: Sample) -> np.ndarray:
        """Labels of a decoded sample."""
        labels: np.ndarray = self.segmenter(np.ascontiguousarray(sample.image.astype(np.uint8))).labels
        return labels


def evaluate(
    predict: Predictor,
    dataset: EvaluationDataset,
    *,
    num_workers: int = 0,
    boundary: bool = False,
    rank: int = 0,
    count: int = 1,
    reduce: Callable[[np.ndarray], np.ndarray] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Score a predictor.

    Args:
        predict: a :class:`~mobileseg.engine.inference.NetworkPredictor` gets samples after the transforms; one with
            ``wants_raw`` gets them as decoded.
        dataset: its transforms belong to evaluation (mode 'val' or 'test').
        num_workers: threads that decode ahead.
        boundary: also compute the boundary IoU, which costs about as much as a small network.
        rank: process ``rank`` of ``count`` takes every ``count``-th image.
        count: number of processes.
        reduce: sums int64 arrays over the processes.
        progress: called with (images done, images of this process).

    Returns:
        See :func:`mobileseg.semantic.metric.summary`; also ``images``, ``seconds``, with ``boundary`` the
        ``boundary_iou`` and ``class_boundary_iou``.

    Raises:
        DataError: the dataset is empty, an image has no label, or prediction and label differ in size.
    """
    if len(dataset) == 0:
        raise DataError("the validation dataset is empty", remedy="check val_dataset")
    matrix = ConfusionMatrix(dataset.num_classes, dataset.ignore_index)
    edges = BoundaryIoU(dataset.num_classes, dataset.ignore_index) if boundary else None
    load = dataset.load if getattr(predict, "wants_raw", False) else dataset.prepare
    indices = list(range(rank, len(dataset), count))
    start = time.perf_counter()
    for done, sample in enumerate(_ahead(load, indices, num_workers), start=1):
        if sample.label is None:
            raise DataError(
                f"{sample.meta.get('image_path', 'an image')} has no label to compare with",
                remedy="evaluate on a part of the dataset that has labels",
            )
        labels = predict(sample)
        matrix.update(labels, sample.label)
        if edges is not None:
            edges.update(labels, sample.label)
        if progress is not None:
            progress(done, len(indices))
    if reduce is not None:
        matrix.matrix = reduce(matrix.matrix)
        if edges is not None:
            edges.intersection, edges.union = reduce(edges.intersection), reduce(edges.union)
    scores = summary(matrix.matrix, dataset.classes)
    if edges is not None:
        scores.update(edges.summary())
    scores["images"] = len(dataset)
    scores["seconds"] = time.perf_counter() - start
    return scores


def _ahead(load: Callable[[int], Sample], indices: list[int], num_workers: int) -> Iterator[Sample]:
    """Samples in order, a few of them decoded ahead; threads suffice, OpenCV and NumPy release the interpreter."""
    if num_workers < 1:
        yield from map(load, indices)
        return
    with ThreadPoolExecutor(num_workers) as pool:
        waiting: deque[Future[Sample]] = deque()
        rest = iter(indices)
        try:
            for index in rest:
                waiting.append(pool.submit(load, index))
                if len(waiting) > 2 * num_workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
