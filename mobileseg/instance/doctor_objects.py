"""Looking at annotated objects, one at a time: box, mask, and the image that they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.boxes import iou
from mobileseg.data.doctor.scan import Examples, Size
from mobileseg.rle import decode_region

TINY = 2.0  # pixels of the network's input; a smaller object is a quarter of a cell of the finest feature map
_SLACK = 1.0  # pixels that a box or a polygon may reach over the edge: rounding, not a mistake
_BOX_IOU = 0.6  # between a box and the tight box of the mask
_BOX_PIXELS = 3.0  # by which a side must be off before a small object's box is called wrong

Box = tuple[float, float, float, float]


@dataclass
class ObjectSummary:
    """What was found out about the objects of a split.

    Attributes:
        objects: int64 [K], objects per class without crowd regions.
        crowds: int64 [K], crowd regions per class.
        images_with: int64 [K], images in which the class occurs.
        images: images of the split.
        without: images without an annotation.
        problems: examples per code.
        corners: boxes of ``box-mismatch`` that fit when what was read as width and height are x2 and y2.
        fractions: boxes that lie within 0..1.
        fraction_masks: masks without a pixel whose polygons lie within 0..1.
    """

    objects: np.ndarray
    crowds: np.ndarray
    images_with: np.ndarray
    images: int = 0
    without: Examples = field(default_factory=Examples)
    problems: dict[str, Examples] = field(default_factory=dict)
    corners: int = 0
    fractions: int = 0
    fraction_masks: int = 0

    @property
    def total(self) -> int:
        """Annotations of the split."""
        return int(self.objects.sum() + self.crowds.sum())

    def add(self, code: str, where: str, detail: str) -> None:
        """Count one more problem."""
        self.problems.setdefault(code, Examples()).add(where, detail)

    def count(self, code: str) -> int:
        """How often a problem occurs."""
        found = self.problems.get(code)
        return 0 if found is None else found.count


@dataclass(frozen=True)
class _Object:
    """One annotation: its name for the reader, and the row of the table that it is."""

    where: str
    table: Any
    row: int
    size: Size

    @property
    def box(self) -> Box:
        """x1, y1, x2, y2 as annotated."""
        x1, y1, x2, y2 = self.table.boxes[self.row].tolist()
        return x1, y1, x2, y2

    @property
    def crowd(self) -> bool:
        return bool(self.table.crowd[self.row])


def examine(
    dataset: Any, sizes: Mapping[int, Size], seen_as: Size | None, chosen: Sequence[int] | None = None
) -> ObjectSummary:
    """Look at the annotations of a dataset.

    Args:
        dataset: an :class:`~mobileseg.data.instance_base.InstanceDataset`.
        sizes: number of an image -> (height, width) of its file as it is displayed, for images that were read.
        seen_as: (height, width) of the network's input; None: not known, nothing is called tiny.
        chosen: numbers of the images; None: all.
    """
    table, classes = dataset.annotations, dataset.num_classes
    indices = range(len(dataset)) if chosen is None else chosen
    objects, crowds, images_with = np.zeros((3, classes), np.int64)
    summary = ObjectSummary(objects, crowds, images_with, len(indices))
    for index in indices:
        item, size, rows = dataset.items[index], table.size(index), table.rows(index)
        if index in sizes and sizes[index] != size:
            summary.add("size-differs", str(item.image), _sizes(size, sizes[index]))
        if not len(rows):
            summary.without.add(str(item.image))
        labels, crowd = table.classes[rows.start : rows.stop], table.crowd[rows.start : rows.stop]
        summary.objects += np.bincount(labels[~crowd], minlength=classes)
        summary.crowds += np.bincount(labels[crowd], minlength=classes)
        summary.images_with[np.unique(labels)] += 1
        known: dict[tuple[Any, ...], int] = {}
        for row in rows:
            where = f"{item.label}: annotation {table.ids[row]} (image {dataset.image_id(index)}, {item.image.name})"
            one = _Object(where, table, row, size)
            _check_box(summary, one)
            mask = _check_mask(summary, one)
            if mask is not None and seen_as is not None and not one.crowd:
                _check_tiny(summary, one, mask[1], seen_as)
            key = (int(table.classes[row]), one.crowd, one.box, mask)
            if key in known:
                summary.add("annotation-duplicate", where, f"the same as annotation {table.ids[known[key]]}")
            known.setdefault(key, row)
    return summary


def _sizes(written: Size, real: Size) -> str:
    turned = ", turned by 90 degrees" if written == real[::-1] and written != real else ""
    return f"annotated as {written[1]}x{written[0]}, the file is {real[1]}x{real[0]} (width x height){turned}"


def _check_box(summary: ObjectSummary, one: _Object) -> None:
    x1, y1, x2, y2 = one.box
    height, width = one.size
    if x2 <= x1 or y2 <= y1:
        summary.add("box-degenerate", one.where, f"its box {_shown(one.box)} is {x2 - x1:g} wide and {y2 - y1:g} high")
        return
    summary.fractions += _is_share(max(x2, y2), one.size)
    if min(x1, y1) < -_SLACK or x2 > width + _SLACK or y2 > height + _SLACK:
        summary.add("box-outside", one.where, f"its box {_shown(one.box)}, the image is {width}x{height}")


def _check_mask(summary: ObjectSummary, one: _Object) -> tuple[int, Box] | None:
    """Pixels and tight box (x1, y1, x2, y2) of the mask; None when there is no pixel, or it cannot be drawn."""
    height, width = one.size
    polygons = one.table.polygons(one.row)
    over = 0.0
    if polygons:
        columns, rows = (np.concatenate([polygon[start::2] for polygon in polygons]) for start in (0, 1))
        over = float(max(-columns.min(), -rows.min(), columns.max() - width, rows.max() - height))
    rle = one.table.rle(one.row, one.size)
    if not polygons:
        try:
            decode_region(rle)  # lengths that do not fill the image are noticed here alone
        except ValueError as error:
            summary.add("mask-unreadable", one.where, str(error))
            return None
    area = int(coco_mask.area(rle))
    if over > _SLACK:
        how_far = f"by {over:.0f} pixels" if area else "nothing of it is inside"
        summary.add("mask-outside", one.where, f"beyond the image of {width}x{height}, {how_far}")
    elif not area:
        summary.add("mask-empty", one.where, "no pixel belongs to it")
        summary.fraction_masks += bool(polygons) and _is_share(max(map(max, polygons)), one.size)
    if not area:
        return None
    x, y, columns, rows = coco_mask.toBbox(rle).tolist()
    tight = (x, y, x + columns, y + rows)
    x1, y1, x2, y2 = box = one.box
    if x2 > x1 and y2 > y1 and not one.crowd and not fits(box, tight):
        summary.add("box-mismatch", one.where, f"its box {_shown(box)}, that of its mask {_shown(tight)}")
        summary.corners += fits((x1, y1, x2 - x1, y2 - y1), tight)
    return area, tight


def _is_share(largest: float, size: Size) -> bool:
    """Whether coordinates of which this is the largest look like shares of an image of that size."""
    return largest <= 1 + _SLACK / 2 and min(size) > 8


def _check_tiny(summary: ObjectSummary, one: _Object, tight: Box, seen_as: Size) -> None:
    width, height = tight[2] - tight[0], tight[3] - tight[1]
    seen = width * seen_as[1] / one.size[1], height * seen_as[0] / one.size[0]
    if min(seen) < TINY:
        detail = f"{width:.0f}x{height:.0f} pixels, {seen[0]:.1f}x{seen[1]:.1f} in the input (width x height)"
        summary.add("object-tiny", one.where, detail)


def fits(box: Box, tight: Box) -> bool:
    """Whether a box could be meant for a mask with that tight box; both x1, y1, x2, y2."""
    if max(abs(one - other) for one, other in zip(box, tight, strict=True)) <= _BOX_PIXELS:
        return True
    return bool(iou(np.array([box], np.float64), np.array([tight], np.float64))[0] >= _BOX_IOU)


def _shown(box: Box) -> str:
    return "(" + ", ".join(f"{round(value, 1):g}" for value in box) + ")"
