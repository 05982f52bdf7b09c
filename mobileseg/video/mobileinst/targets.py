"""What the queries of an image are to learn: its objects at the resolution of the masks (NumPy)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mobileseg.pixels import resize

logger = logging.getLogger(__name__)


class Objects(NamedTuple):
    """The objects of one image that queries learn.

    Attributes:
        classes: int64 [n].
        masks: float32 [n, h, w], shares of the pixels that an object covers.
        rows: int64 [n], where they stand among the annotations of the image.
    """

    classes: np.ndarray
    masks: np.ndarray
    rows: np.ndarray


def repeated(objects: Objects, copies: int) -> Objects:
    """Every object several times."""
    return Objects(*(np.concatenate([values] * copies) for values in objects)) if copies > 1 else objects


class ObjectReader:
    """Annotations of a batch to objects, at most as many as there are queries: the largest.

    Args:
        most: number of queries.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.crowded = 0
        """Images so far with more objects than queries."""

    def __call__(self, targets: Mapping[str, np.ndarray], grid: tuple[int, int], scale: int) -> list[Objects]:
        """Objects of every image, without crowds and padding.

        Args:
            targets: ``classes`` int64 [B, M] (-1: padding), ``crowd`` uint8 [B, M], ``masks`` uint8 [B, M, H, W].
            grid: height and width of the mask features.
            scale: how much finer the masks are than the mask features.
        """
        classes, crowd, masks = targets["classes"], targets["crowd"], targets["masks"]
        stride = _stride(masks.shape[2:], grid)
        found = []
        for image in range(len(classes)):
            rows = np.flatnonzero((classes[image] >= 0) & (crowd[image] == 0))
            rows = rows[masks[image, rows].any(axis=(1, 2))]
            if len(rows) > self.most:
                self._tell(len(rows))
                areas = np.count_nonzero(masks[image, rows], axis=(1, 2))
                rows = np.sort(rows[np.argsort(-areas, kind="stable")[: self.most]])
            small = soft_masks(masks[image, rows], grid, stride, scale)
            found.append(Objects(classes[image, rows].astype(np.int64), small, rows))
        return found

    def _tell(self, count: int) -> None:
        """One line for the first image, the tenth, the hundredth, ..."""
        self.crowded += 1
        if str(self.crowded).strip("0") == "1":
            logger.warning(
                "an image has %d objects and the network %d queries: the %d smallest are not learned (image number "
                "%d of this kind); raise num_queries, or crop more",
                count,
                self.most,
                count - self.most,
                self.crowded,
            )


def soft_masks(masks: np.ndarray, grid: tuple[int, int], stride: int, scale: int) -> np.ndarray:
    """Masks at the resolution at which they are learned: bilinear samples, not rounded.

    Args:
        masks: uint8 [n, H, W], 0 or 1; zeros are put behind where the grid reaches further.
        grid: height and width of the mask features.
        stride: pixels per cell of the grid.
        scale: the result has ``scale`` times the grid's height and width.

    Returns:
        float32 [n, height * scale, width * scale].
    """
    count, height, width = masks.shape
    found = np.empty((count, grid[0] * scale, grid[1] * scale), np.float32)
    canvas = np.zeros((grid[0] * stride, grid[1] * stride), np.float32)
    for mask, small in zip(masks, found, strict=True):
        canvas[:height, :width] = mask
        small[:] = resize(canvas, small.shape)
    return found


def class_shares(targets: Mapping[str, np.ndarray], num_classes: int, grid: tuple[int, int]) -> np.ndarray:
    """What share of every cell the objects of a class cover; where several do, the largest share of one.

    Args:
        targets: as :class:`ObjectReader` takes them; crowds count for nothing.
        num_classes: classes.
        grid: height and width of the map.

    Returns:
        float32 [B, num_classes, height, width].
    """
    masks = targets["masks"]
    stride = _stride(masks.shape[2:], grid)
    found = np.zeros((len(masks), num_classes, *grid), np.float32)
    canvas = np.zeros((grid[0] * stride, grid[1] * stride), np.float32)
    for image, row in zip(*np.nonzero((targets["classes"] >= 0) & (targets["crowd"] == 0)), strict=True):
        canvas[: masks.shape[2], : masks.shape[3]] = masks[image, row]
        shares = canvas.reshape(grid[0], stride, grid[1], stride).mean(axis=(1, 3))
        place = found[image, targets["classes"][image, row]]
        np.maximum(place, shares, out=place)
    return found


def _stride(size: Sequence[int], grid: tuple[int, int]) -> int:
    """Pixels per cell: the smallest power of 2 that gives a grid of that size.

    Raises:
        ValueError: none does; masks and predictions are of different images.
    """
    for stride in (1, 2, 4, 8, 16, 32, 64):
        if all(-(-length // stride) == cells for length, cells in zip(size, grid, strict=True)):
            return stride
    raise ValueError(f"a map of {list(grid)} does not belong to masks of {list(size)}")
