"""Scores of a predictor on a dataset; what was annotated stays as it is, predictions come to its size.

What the scores are follows from the dataset: its ``task`` names the scorer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from mobileseg.data.pixel_format import PHOTOGRAPH
from mobileseg.data.sample import Sample
from mobileseg.errors import DataError
from mobileseg.scores import Scores
from mobileseg.training.task import EvaluationDataset, Predictor, ProcessGroup, Scorer, training_of


class SegmenterPredictor:
    """Uses a runtime segmenter: it receives the image as decoded and does its own preprocessing.

    Args:
        segmenter: a :class:`~mobileseg.runtime.segmenter.Segmenter`, or another callable that takes uint8 [H, W, 3]
            RGB and returns one of the results of :mod:`mobileseg.structures`.
    """

    wants_raw = True

    def __init__(self, segmenter: Callable[[np.ndarray], Any]) -> None:
        self.segmenter = segmenter
        self._pixels = getattr(segmenter, "pixels", PHOTOGRAPH)
        self._stream = segmenter.stream() if hasattr(segmenter, "stream") else None

    def begin(self) -> None:
        """Forget the frames of the sequence before."""
        if self._stream is not None:
            self._stream.reset()

    def __call__(self, sample: Sample) -> Any:
        """What the segmenter returns for a decoded sample, the next frame of its sequence."""
        step = self.segmenter if self._stream is None else self._stream.step
        return step(self._pixels.stored(sample.image))


def make_scorer(dataset: Any, **options: Any) -> Scorer:
    """The scorer of the dataset's task, with the options of that task."""
    return training_of(dataset).scorer(dataset, **options)


def begin_sequence(predict: Predictor) -> None:
    """Tell a predictor that keeps something from frame to frame that another sequence begins."""
    getattr(predict, "begin", lambda: None)()


def evaluate(
    predict: Predictor,
    dataset: EvaluationDataset,
    *,
    num_workers: int = 0,
    processes: ProcessGroup | None = None,
    progress: Callable[[int, int], None] | None = None,
    scorer: Scorer | None = None,
) -> Scores:
    """Score a predictor.

    Args:
        predict: a predictor of a network gets samples after the transforms; one with ``wants_raw`` gets them as
            decoded. One with ``begin()`` is told when a sequence of the dataset begins; the samples of a sequence come
            in their order.
        dataset: its transforms belong to evaluation (mode 'val' or 'test').
        num_workers: threads that decode ahead.
        processes: each takes its share of the sequences, all return the scores of the whole; None: this one alone.
        progress: called with (images done, images of this process).
        scorer: takes in the results; None makes the one of the dataset's task.

    Returns:
        The scores of the task (:class:`mobileseg.semantic.scorer.SemanticScorer`,
        :class:`mobileseg.instance.metric.CocoScorer`).

    Raises:
        DataError: the dataset is empty, or an image cannot be scored.
    """
    if len(dataset) == 0:
        raise DataError("the validation dataset is empty", remedy="check val_dataset")
    scorer = make_scorer(dataset) if scorer is None else scorer
    load = dataset.load if getattr(predict, "wants_raw", False) else dataset.prepare
    rank, count = (processes.rank, processes.count) if processes is not None else (0, 1)
    sequences = dataset.sequences()[rank::count]
    indices = [index for sequence in sequences for index in sequence]
    first = {sequence[0] for sequence in sequences}
    start = time.perf_counter()
    for done, (index, sample) in enumerate(zip(indices, _ahead(load, indices, num_workers), strict=True), start=1):
        if index in first:
            begin_sequence(predict)
        scorer.update(index, sample, predict(sample))
        if progress is not None:
            progress(done, len(indices))
    if processes is not None:
        scorer.reduce(processes)
    return replace(scorer.scores(), images=len(dataset), seconds=time.perf_counter() - start)


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
