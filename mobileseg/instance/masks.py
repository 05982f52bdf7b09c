"""Masks of instances from prototypes and coefficients (YOLACT, Bolya et al. 2019, arXiv:1904.02689).

A mask is the sigmoid of a linear combination of the prototypes, cut to the predicted box on the grid of the prototypes,
enlarged bilinearly to the image and compared with a threshold. Only what a box can touch is computed; the result is
that of enlarging the whole grid, because outside of the cut everything is 0.
"""

from __future__ import annotations

import math

import numpy as np

from mobileseg.pixels import resize
from mobileseg.structures import InstanceMasks

_MARGIN = 1
"""Cells of the grid that the cut is wider than the box, on every side."""


def assemble_masks(
    prototypes: np.ndarray,
    coefficients: np.ndarray,
    boxes: np.ndarray,
    size: tuple[int, int],
    threshold: float = 0.5,
) -> InstanceMasks:
    """Masks at the size of the image.

    Args:
        prototypes: float32 [k, h, w].
        coefficients: float32 [n, k].
        boxes: float32 [n, 4], x1, y1, x2, y2 in normalised coordinates, corners in any order.
        size: (height, width) of the image.
        threshold: probability above which a pixel belongs to the instance, at least 0.
    """
    kinds, height, width = prototypes.shape
    # The sign is turned in the coefficients: there it costs nothing.
    exponents = (-coefficients @ prototypes.reshape(kinds, -1)).reshape(-1, height, width)
    return enlarge_masks(exponents, boxes, size, threshold)


def enlarge_masks(
    exponents: np.ndarray, boxes: np.ndarray, size: tuple[int, int], threshold: float = 0.5
) -> InstanceMasks:
    """Masks at the size of the image from their negative logits.

    Args:
        exponents: float32 [n, h, w], negative logits; overwritten.
        boxes: float32 [n, 4] as in :func:`assemble_masks`; further than a cell from its box a mask is 0.
        size: (height, width) of the image.
        threshold: probability above which a pixel belongs to the instance, at least 0.
    """
    height, width = exponents.shape[1:]
    rows, columns = _cut(boxes[:, 1], boxes[:, 3], height), _cut(boxes[:, 0], boxes[:, 2], width)
    spans = np.concatenate([_touched(rows, height, size[0]), _touched(columns, width, size[1])], axis=1)
    spans[(rows[:, 0] >= rows[:, 1]) | (columns[:, 0] >= columns[:, 1])] = 0
    tall, broad = spans[:, 1] - spans[:, 0], spans[:, 3] - spans[:, 2]
    narrow = (rows[:, 1] - rows[:, 0]) * size[1] + size[0] * broad < size[0] * size[1]
    broad[~narrow] = size[1]  # whole rows are compared faster than parts of rows
    # One block for all bitmaps: memory that the system hands over page by page costs more than the comparison.
    block = np.empty(int((tall * broad).sum()), np.bool_)
    ends = np.cumsum(tall * broad).tolist()
    enlarger = _Enlarger((height, width), size)
    cuts = np.concatenate([rows, columns], axis=1).tolist()
    regions = []
    with np.errstate(over="ignore"):  # exp of a large number is inf, and 1 / inf is the 0 that it should be
        for index, (top, bottom, left, right) in enumerate(spans.tolist()):
            if bottom == top or right == left:
                regions.append((0, 0, np.zeros((0, 0), np.bool_)))
                continue
            shape = int(tall[index]), int(broad[index])
            bitmap = block[ends[index] - shape[0] * shape[1] : ends[index]].reshape(shape)
            probabilities = enlarger.whole if not narrow[index] else enlarger.columns
            first, values = probabilities(exponents[index], cuts[index], (top, bottom, left, right))
            np.greater(values[top - first : bottom - first], np.float32(threshold), out=bitmap)
            regions.append((top, left, bitmap if narrow[index] else bitmap[:, left:right]))
    return InstanceMasks(size, regions)


class _Enlarger:
    """Enlarges cuts of a grid. The working memory is 0 between the calls; results are overwritten by the next one.

    Only as many rows as a cut needs are made. The rows of the image look at those of the grid in a pattern that repeats
    itself (80 rows at 23 of the grid for 480 and 138), so a part that begins and ends with a repetition is enlarged as
    it would be in the whole.

    Args:
        grid: (height, width) of the prototypes.
        size: (height, width) of the image.
    """

    def __init__(self, grid: tuple[int, int], size: tuple[int, int]) -> None:
        self._size = size
        repetitions = math.gcd(grid[0], size[0])
        self._unit = grid[0] // repetitions, size[0] // repetitions
        self._grid = np.zeros(grid, np.float32)
        self._strip = np.zeros((grid[0], size[1]), np.float32)
        self._wide = np.empty((grid[0], size[1]), np.float32)
        self._resized = np.empty(size[0] * size[1], np.float32)

    def whole(self, exponents: np.ndarray, cut: list[int], span: tuple[int, int, int, int]) -> tuple[int, np.ndarray]:
        """Probabilities in all columns: the first row of the image that was made, and the rows, float32 [H', W].

        Args:
            exponents: float32 [h, w], the negative logits; rows of the cut are overwritten.
            cut: top, bottom, left, right on the grid.
            span: top, bottom, left, right of what is asked for, in the image; all columns are made.
        """
        top, bottom, left, right = cut
        self._grid[top:bottom, left:right] = _sigmoid(exponents[top:bottom])[:, left:right]
        made = self._rows(self._grid, cut, span)
        self._grid[top:bottom, left:right] = 0
        return made

    def columns(self, exponents: np.ndarray, cut: list[int], span: tuple[int, int, int, int]) -> tuple[int, np.ndarray]:
        """The same in some columns only, float32 [H', w]: first sideways in the rows of the cut, then up and down.

        Args:
            exponents: as above.
            cut: as above.
            span: as above; the columns that are made.
        """
        top, bottom, left, right = cut
        begin, end = span[2:]
        rows, wide = self._grid[top:bottom], self._wide[: bottom - top]
        rows[:, left:right] = _sigmoid(exponents[top:bottom])[:, left:right]
        resize(rows, (bottom - top, self._size[1]), out=wide)
        rows[:, left:right] = 0
        strip = self._strip[:, : end - begin]
        strip[top:bottom] = wide[:, begin:end]
        made = self._rows(strip, cut, span)
        strip[top:bottom] = 0
        return made

    def _rows(self, grid: np.ndarray, cut: list[int], span: tuple[int, int, int, int]) -> tuple[int, np.ndarray]:
        """Enlarge the repetitions that hold the span and the rows of the cut, one more on both sides for its edges."""
        cells, pixels = self._unit
        first = min(max(cut[0] - 1, 0) // cells, span[0] // pixels)
        last = max(-(-min(cut[1] + 1, len(grid)) // cells), -(-span[1] // pixels))
        width = grid.shape[1] if grid is not self._grid else self._size[1]
        height = (last - first) * pixels
        resized = self._resized[: height * width].reshape(height, width)
        resize(grid[first * cells : last * cells], (height, width), out=resized)
        return first * pixels, resized


def _cut(first: np.ndarray, second: np.ndarray, cells: int) -> np.ndarray:
    """First cell, and the one behind the last, of the cut along one side, int64 [n, 2]; both equal if it is empty."""
    low = np.maximum(np.minimum(first, second) * np.float32(cells) - _MARGIN, 0)
    high = np.minimum(np.maximum(first, second) * np.float32(cells) + _MARGIN, cells)
    # A cell x belongs to the cut where low <= x < high.
    found = np.ceil(np.stack([np.minimum(low, cells), np.maximum(high, 0)], axis=1)).astype(np.int64)
    return np.maximum(found, found[:, :1])


def _touched(cut: np.ndarray, cells: int, pixels: int) -> np.ndarray:
    """First pixel, and the one behind the last, that the enlargement of a cut can make other than 0, int64 [n, 2].

    Pixel x looks at position (x + 0.5) * cells / pixels - 0.5 of the grid, so those less than a cell away from the cut
    are touched; a pixel more on both sides is taken for the rounding.
    """
    scale = pixels / cells
    found = np.stack([np.floor((cut[:, 0] - 0.5) * scale - 0.5), np.ceil((cut[:, 1] + 0.5) * scale - 0.5) + 1], axis=1)
    return np.clip(found, 0, pixels).astype(np.int64)


def _sigmoid(exponents: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(x)), in place."""
    np.exp(exponents, out=exponents)
    exponents += 1
    return np.reciprocal(exponents, out=exponents)
