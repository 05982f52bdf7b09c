"""Scores of a predictor on a dataset; what was annotated stays as it is, predictions come to its size.

What the scores are follows from the dataset: its ``task`` names the scorer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from mobileseg.data.sample import Sample
from mobileseg.errors import DataError
from mobileseg.semantic.metric import BoundaryIoU, ConfusionMatrix, render_table, summary
from mobileseg.structures import SemanticResult


class Predictor(Protocol):
    """Gives the result of one sample in the pixels of its original image.

    For semantic segmentation that is uint8 labels [H, W], for instance segmentation an
    :class:`~mobileseg.structures.InstanceResult`.
    """

    def __call__(self, sample: Sample) -> Any: ...


class EvaluationDataset(Protocol):
    """What evaluation needs of every dataset; each scorer needs more of those of its task."""

    classes: tuple[str, ...]
    num_classes: int

    def __len__(self) -> int: ...

    def load(self, index: int) -> Sample: ...

    def prepare(self, key: int) -> Sample: ...


class ProcessGroup(Protocol):
    """What evaluation needs of :class:`mobileseg.training.distributed.Processes`."""

    rank: int
    count: int

    def sum_counts(self, counts: np.ndarray) -> np.ndarray: ...

    def gather(self, message: bytes) -> list[bytes]: ...


class Scorer(Protocol):
    """Takes in results one by one and turns them into scores."""

    def update(self, index: int, sample: Sample, result: Any) -> None:
        """Take in the result of image ``index`` of the dataset."""

    def reduce(self, processes: ProcessGroup) -> None:
        """Take in what the other processes took in."""

    def scores(self) -> dict[str, Any]:
        """All scores; ``metric`` names the one that decides and ``score`` is its value."""


class SegmenterPredictor:
    """Uses a runtime segmenter: it receives the image as decoded and does its own preprocessing.

    Args:
        segmenter: called with uint8 [H, W, 3] RGB, returns one of the results of :mod:`mobileseg.structures`.
    """

    wants_raw = True

    def __init__(self, segmenter: Callable[[np.ndarray], Any]) -> None:
        self.segmenter = segmenter

    def __call__(self, sample: Sample) -> Any:
        """Result of a decoded sample: labels of a semantic segmenter, otherwise what it returned."""
        result = self.segmenter(np.ascontiguousarray(sample.image.astype(np.uint8)))
        return result.labels if isinstance(result, SemanticResult) else result


class SemanticScorer:
    """Confusion matrix and, on request, boundary IoU, accumulated over the set.

    Args:
        dataset: with ``ignore_index``.
        boundary: also compute the boundary IoU.
    """

    def __init__(self, dataset: Any, *, boundary: bool = False) -> None:
        self.classes = dataset.classes
        self.matrix = ConfusionMatrix(dataset.num_classes, dataset.ignore_index)
        self.edges = BoundaryIoU(dataset.num_classes, dataset.ignore_index) if boundary else None

    def update(self, index: int, sample: Sample, result: np.ndarray) -> None:
        """Count the pixels of uint8 labels [H, W].

        Raises:
            DataError: the image has no label, or prediction and label differ in size.
        """
        if sample.label is None:
            raise DataError(
                f"{sample.meta.get('image_path', 'an image')} has no label to compare with",
                remedy="evaluate on a part of the dataset that has labels",
            )
        self.matrix.update(result, sample.label)
        if self.edges is not None:
            self.edges.update(result, sample.label)

    def reduce(self, processes: ProcessGroup) -> None:
        """Add the counts of all processes."""
        self.matrix.matrix = processes.sum_counts(self.matrix.matrix)
        if self.edges is not None:
            self.edges.intersection = processes.sum_counts(self.edges.intersection)
            self.edges.union = processes.sum_counts(self.edges.union)

    def scores(self) -> dict[str, Any]:
        """See :func:`mobileseg.semantic.metric.summary`; ``metric`` is mIoU."""
        scores = summary(self.matrix.matrix, self.classes)
        if self.edges is not None:
            scores.update(self.edges.summary())
        return {"metric": "mIoU", "score": scores["miou"] or 0.0, **scores}


def make_scorer(dataset: Any, *, boundary: bool = False) -> Scorer:
    """The scorer of the dataset's task; ``boundary`` is for semantic segmentation alone."""
    if task_of(dataset) == "instance":
        from mobileseg.instance.metric import CocoScorer

        return CocoScorer(dataset)
    return SemanticScorer(dataset, boundary=boundary)


def task_of(dataset: Any) -> str:
    """'semantic' or 'instance'; a dataset that does not say is one of labels."""
    return str(getattr(dataset, "task", "semantic"))


def table(scores: dict[str, Any]) -> str:
    """Scores as text, whatever the task."""
    if scores["metric"] == "mIoU":
        return render_table(scores)
    from mobileseg.instance.metric_table import render

    return render(scores)


def evaluate(
    predict: Predictor,
    dataset: EvaluationDataset,
    *,
    num_workers: int = 0,
    boundary: bool = False,
    processes: ProcessGroup | None = None,
    progress: Callable[[int, int], None] | None = None,
    scorer: Scorer | None = None,
) -> dict[str, Any]:
    """Score a predictor.

    Args:
        predict: a predictor of a network gets samples after the transforms; one with ``wants_raw`` gets them as
            decoded.
        dataset: its transforms belong to evaluation (mode 'val' or 'test').
        num_workers: threads that decode ahead.
        boundary: also compute the boundary IoU of labels, which costs about as much as a small network.
        processes: each takes its share of the images, all return the scores of the whole; None: this one alone.
        progress: called with (images done, images of this process).
        scorer: takes in the results; None makes the one of the dataset's task.

    Returns:
        The scores of the task (:func:`mobileseg.semantic.metric.summary`,
        :meth:`mobileseg.instance.metric.CocoScorer.scores`), always with ``metric`` (name of the score that decides),
        ``score`` (its value, 0 when there is nothing to score), ``images`` and ``seconds``; with ``boundary`` the
        ``boundary_iou`` and ``class_boundary_iou``.

    Raises:
        DataError: the dataset is empty, or an image cannot be scored.
    """
    if len(dataset) == 0:
        raise DataError("the validation dataset is empty", remedy="check val_dataset")
    scorer = scorer or make_scorer(dataset, boundary=boundary)
    load = dataset.load if getattr(predict, "wants_raw", False) else dataset.prepare
    rank, count = (processes.rank, processes.count) if processes is not None else (0, 1)
    indices = list(range(rank, len(dataset), count))
    start = time.perf_counter()
    for done, (index, sample) in enumerate(zip(indices, _ahead(load, indices, num_workers), strict=True), start=1):
        scorer.update(index, sample, predict(sample))
        if progress is not None:
            progress(done, len(indices))
    if processes is not None:
        scorer.reduce(processes)
    scores = scorer.scores()
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
