"""The stream of batches that training takes, as Paddle tensors."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np
import paddle

from mobileseg.data.loading.batching import SampleOrder, load_batch
from mobileseg.data.loading.workers import batches_from_workers
from mobileseg.errors import DataError


def batches(
    dataset: Any, order: SampleOrder, start: int, stop: int, *, num_workers: int = 0
) -> Generator[dict[str, paddle.Tensor], None, None]:
    """Batches from position ``start`` up to but excluding ``stop``.

    Args:
        dataset: ``dataset[(epoch, index)]`` gives a dict of arrays, as :func:`.load_batch` takes them.
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
        yield load_batch(dataset, order.batch(position))


def require_labels(dataset: Any, name: str) -> None:
    """Refuse a dataset of files some of which have no label, before training has cost anything.

    Raises:
        DataError: names the first image without a label.
    """
    bare = [item for item in getattr(dataset, "items", ()) if item.label is None]
    if bare:
        raise DataError(
            f"{len(bare)} of {len(dataset)} images of {name} have no label, the first is {bare[0].image}",
            remedy="write 'image label' in every line of the list file, or leave these images out",
        )
