"""Which images activations are calibrated with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mobileseg.errors import CompressionError, DataError
from mobileseg.training.task import training_of

if TYPE_CHECKING:
    from mobileseg.data.base import ImageDataset

_POOL = 4
"""Images that are looked at for every one that is taken."""


def choose_images(dataset: ImageDataset, count: int) -> list[int]:
    """Images of a dataset that show every class about equally often.

    Of evenly spaced candidates, four times as many as are wanted, the one is taken next whose classes were seen least:
    the largest sum over its classes of 1 / (1 + images taken with that class).

    Args:
        dataset: of labels or of objects.
        count: how many; a smaller dataset gives all it has.

    Returns:
        Indices in the order in which they were taken, so that a shorter choice is the beginning of a longer one as
        long as the candidates are the same.

    Raises:
        CompressionError: ``count`` is 0.
        DataError: a label cannot be read.
    """
    require_images(count)
    count = min(count, len(dataset))
    size = min(len(dataset), _POOL * count)
    pool = [index * len(dataset) // size for index in range(size)]
    present = np.stack([_classes_of(dataset, index) for index in pool])
    seen = np.zeros(dataset.num_classes)
    taken: list[int] = []
    left = np.ones(size, np.bool_)
    for _ in range(count):
        value = np.where(left, (present / (1.0 + seen)).sum(axis=1), -1.0)
        best = int(value.argmax())
        left[best] = False
        seen += present[best]
        taken.append(pool[best])
    return taken


def require_images(count: int) -> None:
    """Raises CompressionError when there are none."""
    if count < 1:
        raise CompressionError(
            "0 images: without images the ranges of the activations are not known, and int8 kernels need them",
            remedy="compress.quantize.images: 32 (`mobileseg compress search` shows the accuracy by number of images)",
        )


def coverage(dataset: ImageDataset, indices: Sequence[int]) -> dict[str, int]:
    """Class name -> how many of the images show it."""
    counts = np.sum([_classes_of(dataset, index) for index in indices], axis=0)
    return {name: int(number) for name, number in zip(dataset.classes, counts, strict=True)}


def read_chosen(dataset: ImageDataset, indices: Sequence[int]) -> list[np.ndarray]:
    """The pixels of images, uint8 [h,w,3] RGB each.

    Raises:
        DataError: names the first image that cannot be read.
    """
    pixels = []
    for index in indices:
        try:
            pixels.append(dataset.pixels.read(dataset.items[index].image))
        except DataError as error:
            raise DataError(
                f"an image to calibrate with cannot be used: {error.message}",
                remedy=error.remedy or "take it out of the dataset's list",
            ) from error
    return pixels


def _classes_of(dataset: Any, index: int) -> np.ndarray:
    """bool [K]: the classes that an image shows."""
    shown = np.asarray(list(training_of(dataset).classes_in(dataset, index)), np.int64)
    found = np.zeros(dataset.num_classes, np.bool_)
    found[shown[shown < dataset.num_classes]] = True
    return found
