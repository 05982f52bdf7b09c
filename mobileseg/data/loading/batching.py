"""The order of samples, and how samples become a batch.

Which sample stands where follows from (seed, epoch) alone, and what augmentation does to it from (seed, epoch,
index). So a batch is a function of its number: it does not depend on who makes it, and training can continue at any
batch without having kept anything but that number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mobileseg.data.loading.multi_scale import resize_batch
from mobileseg.errors import DataError

Key = tuple[int, int]

_SIZES = 1
"""Tells the draws of sizes from other draws of the same seed and number."""


class SampleOrder:
    """Endless sequence of batches; the epochs follow each other without a gap, incomplete batches are dropped.

    The batches of all processes at one position together are the batch that one process with ``count`` times the
    batch size would take.

    Args:
        size: number of samples in the dataset.
        batch_size: samples per batch and process.
        seed: seed of the run.
        rank: number of this process.
        count: number of processes.
        sizes: (height, width) that the images of a batch are resized to, one of them drawn for each batch, the same in
            all processes; none: they stay as the transforms made them.

    Raises:
        DataError: the dataset is empty or smaller than one batch of all processes.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        count: int = 1,
        sizes: Sequence[tuple[int, int]] = (),
    ) -> None:
        if size == 0:
            raise DataError("the training dataset is empty", remedy="check dataset_root and train_path")
        whole = batch_size * count
        if size < whole:
            raise DataError(
                f"the training dataset has {size} samples, fewer than one batch of {batch_size} x {count} process(es)",
                remedy=f"set batch_size to at most {max(1, size // count)}",
            )
        self.size, self.batch_size, self.seed, self.rank, self.whole = size, batch_size, seed, rank, whole
        self.sizes = tuple(sizes)
        self.batches_per_epoch = size // whole
        self._epoch = -1
        self._permutation = np.empty(0, dtype=np.int64)

    def batch(self, position: int) -> list[Key]:
        """(epoch, index) of every sample of the batch at a position counted from 0 over all epochs."""
        epoch, number = divmod(position, self.batches_per_epoch)
        if epoch != self._epoch:
            self._permutation = np.random.default_rng([self.seed, epoch]).permutation(self.size)
            self._epoch = epoch
        start = number * self.whole + self.rank * self.batch_size
        return [(epoch, int(index)) for index in self._permutation[start : start + self.batch_size]]

    def image_size(self, position: int) -> tuple[int, int] | None:
        """(height, width) of the images of the batch at a position; None: as the transforms made them."""
        if not self.sizes:
            return None
        return self.sizes[np.random.default_rng([self.seed, position, 0, _SIZES]).integers(len(self.sizes))]


def batch_at(dataset: Any, order: SampleOrder, position: int) -> dict[str, np.ndarray]:
    """The batch at a position of the order, in the size that was drawn for it; see :func:`load_batch`."""
    batch = load_batch(dataset, order.batch(position))
    size = order.image_size(position)
    return batch if size is None else resize_batch(batch, size)


def load_batch(dataset: Any, keys: Sequence[Key]) -> dict[str, np.ndarray]:
    """The samples of the keys as one batch.

    Args:
        dataset: ``dataset[(epoch, index)]`` gives a dict of arrays. An attribute ``pad_values`` names those whose first
            axis may differ from sample to sample, see :func:`collate`.
        keys: (epoch, index) of the samples.

    Raises:
        DataError: what the dataset raised, or samples of different sizes.
    """
    return collate([dataset[key] for key in keys], getattr(dataset, "pad_values", {}))


def collate(samples: Sequence[Mapping[str, Any]], pad_values: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Stack the arrays of the samples along a new first axis.

    Args:
        samples: dicts of arrays under the same keys.
        pad_values: fill values of the keys that are padded along their first axis to the longest of the batch (and to
            1 when all are empty) before they are stacked.

    Raises:
        DataError: the samples differ in size in another way.
    """
    batch = {}
    for key in samples[0]:
        arrays = [np.asarray(sample[key]) for sample in samples]
        padded = key in pad_values
        try:
            batch[key] = _padded(arrays, pad_values[key]) if padded else np.stack(arrays)
        except ValueError as error:
            shapes = sorted({str(list(array.shape[padded:])) for array in arrays})
            raise DataError(
                f"samples of one batch differ in size: '{key}' has the shapes {', '.join(shapes)}",
                remedy="end the training transforms with RandomPaddingCrop or Resize to a fixed size",
            ) from error
    return batch


def _padded(arrays: list[np.ndarray], value: float) -> np.ndarray:
    """The arrays along a new first axis, each filled up to the longest; every number is written once."""
    longest = max(1, *(len(array) for array in arrays))
    rows = {array.shape[1:] for array in arrays}
    if len(rows) > 1:
        raise ValueError("rows of different shapes")
    batch = np.empty((len(arrays), longest, *rows.pop()), np.result_type(*arrays))
    for filled, array in zip(batch, arrays, strict=True):
        filled[: len(array)] = array
        filled[len(array) :] = value
    return batch
