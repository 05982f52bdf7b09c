"""The objects of one image: boxes, classes and masks that move together.

A mask is kept as the bitmap of the rectangle that holds its object. What lies outside costs nothing, so cropping,
padding and mirroring 100 objects on a large canvas take as long as the objects are large, not the canvas.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

Size = tuple[int, int]


class Region(NamedTuple):
    """A mask: its bitmap and where that lies in the image.

    Attributes:
        top: row of the bitmap's first row.
        left: column of the bitmap's first column.
        bitmap: uint8 [h, w], 0 or 1; an object without a pixel has h = w = 0.
    """

    top: int
    left: int
    bitmap: np.ndarray

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x1, y1, x2, y2) of the bitmap; x2 and y2 are the edges behind the last column and row."""
        height, width = self.bitmap.shape
        return self.left, self.top, self.left + width, self.top + height

    def trimmed(self) -> Region:
        """The smallest region with the same pixels."""
        x, y, width, height = cv2.boundingRect(self.bitmap) if self.bitmap.size else (0, 0, 0, 0)
        if (height, width) == self.bitmap.shape:
            return self
        return Region(self.top + y, self.left + x, self.bitmap[y : y + height, x : x + width])


@dataclass
class Instances:
    """Objects of one image; every method that moves them returns new ones and drops those without a pixel left.

    Boxes start as they were annotated and are moved as continuous coordinates; where a step cuts or turns a mask, its
    box becomes the tight one of what is left.

    Attributes:
        size: height and width of the image in pixels.
        boxes: float32 [n, 4], (x1, y1, x2, y2) in pixels; x2 and y2 are right and lower edges, so a box over all
            pixels is (0, 0, W, H).
        classes: int64 [n], index of the class.
        crowd: bool [n], whether the mask covers a group that was not taken apart (COCO's ``iscrowd``).
        ids: int64 [n], ids of the annotations.
        regions: masks, one per object.
    """

    size: Size
    boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    ids: np.ndarray
    regions: list[Region]

    @classmethod
    def empty(cls, size: Size) -> Instances:
        """No objects in an image of that size."""
        return cls.from_regions(size, [], [])

    @classmethod
    def from_regions(
        cls,
        size: Size,
        regions: Iterable[Region],
        classes: Sequence[int] | np.ndarray,
        *,
        crowd: Sequence[bool] | np.ndarray | None = None,
        ids: Sequence[int] | np.ndarray | None = None,
        boxes: np.ndarray | None = None,
    ) -> Instances:
        """Objects of given masks; without ``boxes`` these are the tight ones, without ``ids`` 1, 2, 3, ..."""
        regions = list(regions)
        count = len(regions)
        if boxes is None:
            boxes = np.array([region.box for region in regions], np.float32)
        return cls(
            size=(int(size[0]), int(size[1])),
            boxes=np.asarray(boxes, np.float32).reshape(count, 4),
            classes=np.asarray(classes, np.int64).reshape(count),
            crowd=np.zeros(count, bool) if crowd is None else np.asarray(crowd, bool).reshape(count),
            ids=np.arange(1, count + 1) if ids is None else np.asarray(ids, np.int64).reshape(count),
            regions=regions,
        )

    @classmethod
    def from_masks(
        cls,
        masks: np.ndarray,
        classes: Sequence[int] | np.ndarray,
        *,
        crowd: Sequence[bool] | np.ndarray | None = None,
        ids: Sequence[int] | np.ndarray | None = None,
        boxes: np.ndarray | None = None,
    ) -> Instances:
        """Like :meth:`from_regions` for masks [n, H, W] of any type, zero outside the objects."""
        regions = [Region(0, 0, (mask != 0).astype(np.uint8)).trimmed() for mask in masks]
        return cls.from_regions((masks.shape[1], masks.shape[2]), regions, classes, crowd=crowd, ids=ids, boxes=boxes)

    def __len__(self) -> int:
        return len(self.regions)

    @property
    def masks(self) -> np.ndarray:
        """uint8 [n, H, W], 0 or 1; drawn at every access."""
        masks = np.zeros((len(self), *self.size), np.uint8)
        for mask, region in zip(masks, self.regions, strict=True):
            x1, y1, x2, y2 = region.box
            mask[y1:y2, x1:x2] = region.bitmap
        return masks

    def areas(self) -> np.ndarray:
        """int64 [n], pixels of every mask."""
        return np.array([cv2.countNonZero(r.bitmap) if r.bitmap.size else 0 for r in self.regions], np.int64)

    def select(self, keep: Sequence[bool] | Sequence[int] | np.ndarray) -> Instances:
        """The objects that a boolean mask or a list of indices names."""
        chosen = np.asarray(keep)
        indices = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        return Instances(
            size=self.size,
            boxes=self.boxes[indices],
            classes=self.classes[indices],
            crowd=self.crowd[indices],
            ids=self.ids[indices],
            regions=[self.regions[index] for index in indices],
        )

    def flip(self, axis: int) -> Instances:
        """Mirror left and right (``axis`` 1) or top and bottom (``axis`` 0)."""
        regions = [_flipped(region, axis, self.size) for region in self.regions]
        boxes = self.boxes.copy()
        first, last = (0, 2) if axis == 1 else (1, 3)
        length = self.size[1] if axis == 1 else self.size[0]
        boxes[:, first], boxes[:, last] = length - self.boxes[:, last], length - self.boxes[:, first]
        return self._moved(self.size, regions, boxes)

    def place(self, top: int, left: int, size: Size) -> Instances:
        """The objects on a canvas of ``size`` that holds the whole image with its corner at (``top``, ``left``)."""
        regions = [Region(region.top + top, region.left + left, region.bitmap) for region in self.regions]
        return self._moved(size, regions, self.boxes + np.array([left, top, left, top], np.float32))

    def crop(self, top: int, left: int, height: int, width: int) -> Instances:
        """What is left of the objects inside a rectangle of the image."""
        boxes: np.ndarray = self.boxes - np.array([left, top, left, top], np.float32)
        np.clip(boxes, 0, np.array([width, height, width, height], np.float32), out=boxes)
        regions = []
        for index, region in enumerate(self.regions):
            part = _cut(region, top, left, height, width)
            if part.bitmap.shape != region.bitmap.shape:
                boxes[index] = part.box
            regions.append(part)
        return self._moved((height, width), regions, boxes)

    def resize(self, size: Size) -> Instances:
        """Scale to another size: masks bilinear with half-pixel centres, set where at least one half."""
        if size == self.size:
            return self
        (old_height, old_width), (height, width) = self.size, size
        scale = np.array([width / old_width, height / old_height] * 2)
        regions = [_resized(region, self.size, size) for region in self.regions]
        return self._moved(size, regions, (self.boxes * scale).astype(np.float32))

    def warp(self, matrix: np.ndarray, size: Size) -> Instances:
        """Map by an affine matrix; boxes become the tight ones of the new masks.

        Args:
            matrix: float64 [2, 3], from pixel centres of the image to pixel centres of the canvas.
            size: height and width of the canvas.
        """
        regions = [_warped(region, matrix, size) for region in self.regions]
        return self._moved(size, regions, np.array([region.box for region in regions], np.float32).reshape(-1, 4))

    def without(self, cover: Region) -> Instances:
        """The same objects, in their order, without the pixels that a region covers; the box of one that loses any
        becomes tight, and one that loses all stays as an object without a pixel."""
        boxes = self.boxes.copy()
        regions = []
        for index, region in enumerate(self.regions):
            part = _uncovered(region, cover)
            if part is not region:
                boxes[index] = part.box
            regions.append(part)
        return Instances(self.size, boxes, self.classes, self.crowd, self.ids, regions)

    def joined(self, other: Instances) -> Instances:
        """These objects and then those of another one for the same image."""
        return Instances(
            size=self.size,
            boxes=np.concatenate([self.boxes, other.boxes]),
            classes=np.concatenate([self.classes, other.classes]),
            crowd=np.concatenate([self.crowd, other.crowd]),
            ids=np.concatenate([self.ids, other.ids]),
            regions=[*self.regions, *other.regions],
        )

    def _moved(self, size: Size, regions: list[Region], boxes: np.ndarray) -> Instances:
        moved = Instances(size, boxes, self.classes, self.crowd, self.ids, regions)
        alive = np.array([region.bitmap.size > 0 for region in regions], bool)
        return moved if alive.all() else moved.select(alive)


def _flipped(region: Region, axis: int, size: Size) -> Region:
    height, width = region.bitmap.shape
    if axis == 1:
        return Region(region.top, size[1] - region.left - width, np.ascontiguousarray(region.bitmap[:, ::-1]))
    return Region(size[0] - region.top - height, region.left, np.ascontiguousarray(region.bitmap[::-1]))


def _cut(region: Region, top: int, left: int, height: int, width: int) -> Region:
    x1, y1, x2, y2 = region.box
    first_row, last_row = max(y1, top), min(y2, top + height)
    first_column, last_column = max(x1, left), min(x2, left + width)
    if first_row >= last_row or first_column >= last_column:
        return Region(0, 0, region.bitmap[:0, :0])
    part = region.bitmap[first_row - y1 : last_row - y1, first_column - x1 : last_column - x1]
    moved = Region(first_row - top, first_column - left, np.ascontiguousarray(part))
    return moved if part.shape == region.bitmap.shape else moved.trimmed()


def _resized(region: Region, old: Size, new: Size) -> Region:
    rows = _taps(region.top, region.bitmap.shape[0], old[0], new[0])
    columns = _taps(region.left, region.bitmap.shape[1], old[1], new[1])
    framed = cv2.copyMakeBorder(np.ascontiguousarray(region.bitmap), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    values = _interpolated(_interpolated(framed.astype(np.float32), rows).T, columns).T
    bitmap = np.ascontiguousarray(values >= 0.5).view(np.uint8)
    return Region(rows.start, columns.start, bitmap).trimmed()


def _uncovered(region: Region, cover: Region) -> Region:
    """What is seen of a region below another; the region itself when they share no pixel."""
    (x1, y1, x2, y2), (left, top, right, bottom) = region.box, cover.box
    rows, columns = (max(y1, top), min(y2, bottom)), (max(x1, left), min(x2, right))
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        return region
    over = cover.bitmap[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left]
    bitmap = region.bitmap.copy()
    part = bitmap[rows[0] - y1 : rows[1] - y1, columns[0] - x1 : columns[1] - x1]
    if not (part & over).any():
        return region
    part[over > 0] = 0
    return Region(region.top, region.left, bitmap).trimmed()


class _Taps(NamedTuple):
    start: int
    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray


def _taps(start: int, length: int, old: int, new: int) -> _Taps:
    """Along one axis, the new positions that a stretch of old ones can reach, and what each interpolates between.

    ``low`` and ``high`` index the stretch with a frame of one zero at both ends.
    """
    scale = old / new
    first = max(0, int(np.floor((start - 0.5) / scale - 0.5)))
    last = min(new, int(np.ceil((start + length + 0.5) / scale - 0.5)) + 1)
    source = np.clip((np.arange(first, last) + 0.5) * scale - 0.5, 0, old - 1)
    below = np.floor(source).astype(np.int64)
    above = np.minimum(below + 1, old - 1)
    low, high = (np.clip(position - start + 1, 0, length + 1) for position in (below, above))
    return _Taps(first, low, high, (source - below).astype(np.float32)[:, None])


def _interpolated(values: np.ndarray, taps: _Taps) -> np.ndarray:
    low = values[taps.low]
    return low + (values[taps.high] - low) * taps.weight


def _warped(region: Region, matrix: np.ndarray, size: Size) -> Region:
    x1, y1, x2, y2 = region.box
    corners = np.array([[x1 - 1, y1 - 1], [x2, y1 - 1], [x1 - 1, y2], [x2, y2]], np.float64)
    reached = corners @ matrix[:, :2].T + matrix[:, 2]
    left, top = np.clip(np.floor(reached.min(axis=0)).astype(int), 0, (size[1], size[0]))
    right, bottom = np.clip(np.ceil(reached.max(axis=0)).astype(int) + 1, 0, (size[1], size[0]))
    if right <= left or bottom <= top or not region.bitmap.size:
        return Region(0, 0, np.zeros((0, 0), np.uint8))
    local = matrix.astype(np.float64).copy()
    local[:, 2] += local[:, :2] @ (x1, y1) - (left, top)
    grey = np.ascontiguousarray(region.bitmap) * np.uint8(254)
    warped = cv2.warpAffine(grey, local, (int(right - left), int(bottom - top)), flags=cv2.INTER_LINEAR)
    return Region(int(top), int(left), (warped >= 127).view(np.uint8)).trimmed()
