"""The stream of batches that training takes, as Paddle tensors."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np
import paddle

from mobileseg.data.loading.batching import SampleOrder, batch_at
from mobileseg.data.loading.workers import batches_from_workers


def batches(
    dataset: Any, order: SampleOrder, start: int, stop: int, *, num_workers: int = 0
) -> Generator[dict[str, paddle.Tensor], None, None]:
    """Batches from position ``start`` up to but excluding ``stop``.

    Args:
        dataset: see :func:`~mobileseg.data.loading.batching.load_batch`.
        order: which samples stand where.
        start: first position.
        stop: position after the last one.
        num_workers: processes that load ahead; 0 loads in this one.

    Raises:
        DataError: what the dataset raised, or samples of different sizes.
        TrainingError: a worker died, or the dataset cannot be sent to it.
    """
    if num_workers:
        source = batches_from_workers(dataset, order, start, stop, num_workers)
    else:
        source = _batches_from_here(dataset, order, start, stop)
    with closing(source):
        for batch in source:
            yield {key: paddle.to_tensor(array) for key, array in batch.items()}


def _batches_from_here(
    dataset: Any, order: SampleOrder, start: int, stop: int
) -> Generator[dict[str, np.ndarray], None, None]:
    for position in range(start, stop):
        yield batch_at(dataset, order, position)
