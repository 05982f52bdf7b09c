"""Masks on a coarse grid: what the tracker compares, at about the resolution of prototypes (NumPy, integers only)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mobileseg.structures import InstanceMasks

SIDE = 160
"""Points along the longer side of an image, at most."""


@dataclass(frozen=True)
class CoarseMask:
    """The points of a grid that a mask covers; everything outside of the bitmap is clear.

    Attributes:
        top: row of the bitmap's first row, in points.
        left: column of the bitmap's first column.
        bitmap: bool [h, w].
        count: points set.
    """

    top: int
    left: int
    bitmap: np.ndarray
    count: int


def spacing(size: tuple[int, int]) -> int:
    """Pixels between the points of the grid of an image of ``size`` = (height, width)."""
    return -(-max(size) // SIDE)


def sample(masks: InstanceMasks) -> list[CoarseMask]:
    """Every mask at the points of the grid: the pixels in the middle of cells of `spacing` pixels.

    Point i lies on pixel ``i * step + step // 2``; nothing is averaged, so the bitmap alone decides.
    """
    step = spacing(masks.size)
    middle = step // 2
    found = []
    for top, left, bitmap in masks.regions:
        row, column = max(0, -((middle - top) // step)), max(0, -((middle - left) // step))  # the first points inside
        points = bitmap[row * step + middle - top :: step, column * step + middle - left :: step].copy()
        found.append(CoarseMask(row, column, points, int(np.count_nonzero(points))))
    return found


def shared(first: CoarseMask, second: CoarseMask, shift: tuple[int, int]) -> int:
    """Points that both cover when the first is moved by ``shift`` = (rows, columns)."""
    top, left = first.top + shift[0], first.left + shift[1]
    y1, y2 = max(top, second.top), min(top + first.bitmap.shape[0], second.top + second.bitmap.shape[0])
    x1, x2 = max(left, second.left), min(left + first.bitmap.shape[1], second.left + second.bitmap.shape[1])
    if y1 >= y2 or x1 >= x2:
        return 0
    one = first.bitmap[y1 - top : y2 - top, x1 - left : x2 - left]
    other = second.bitmap[y1 - second.top : y2 - second.top, x1 - second.left : x2 - second.left]
    return int(np.count_nonzero(one & other))
