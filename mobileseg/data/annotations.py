"""The annotations of many images in a few arrays.

A Python object per number would take gigabytes for the 860,000 objects of COCO, and every worker process would copy
them when it touches their reference counts. Masks stay encoded until an image is loaded.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.data.instances import Instances, Region, Size
from mobileseg.rle import decode_region

Rle = dict[str, Any]


class AnnotationTable:
    """Objects of images as arrays, in the order of the images.

    Attributes:
        starts: int64 [images + 1], the objects of image i are ``starts[i]`` to ``starts[i + 1]``.
        sizes: int64 [images, 2], height and width of every image.
        ids: int64 [n].
        classes: int64 [n], class index.
        crowd: bool [n].
        boxes: float64 [n, 4], (x1, y1, x2, y2) in pixels, as annotated.
        areas: float64 [n], pixels, as annotated.
    """

    def __init__(self, rows: AnnotationRows, sizes: Sequence[Size] | np.ndarray) -> None:
        self.sizes = np.asarray(sizes, np.int64).reshape(-1, 2)
        order = np.argsort(np.array(rows.images, np.int64), kind="stable")
        images = np.array(rows.images, np.int64)[order]
        self.starts = np.searchsorted(images, np.arange(len(self.sizes) + 1))
        self.ids = np.array(rows.ids, np.int64)[order]
        self.classes = np.array(rows.classes, np.int64)[order]
        self.crowd = np.array(rows.crowd, bool)[order]
        self.boxes = np.array(rows.boxes, np.float64).reshape(-1, 4)[order]
        self.areas = np.array(rows.areas, np.float64)[order]
        # Where the mask of a row lies in the stores below stays as it was written: only the rows are sorted.
        self._first_polygon = np.array(rows.first_polygon, np.int64)[order]
        self._polygon_count = np.array(rows.polygon_count, np.int64)[order]
        self._polygon_starts = np.array(rows.polygon_starts, np.int64)
        self._numbers = np.array(rows.numbers, np.float64)
        self._rle_start = np.array(rows.rle_start, np.int64)[order]
        self._rle_length = np.array(rows.rle_length, np.int64)[order]
        self._rle_bytes = bytes(rows.rle_bytes)

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, image: int) -> range:
        """The objects of an image."""
        return range(int(self.starts[image]), int(self.starts[image + 1]))

    def size(self, image: int) -> Size:
        """Height and width of an image as annotated."""
        return int(self.sizes[image, 0]), int(self.sizes[image, 1])

    def usable(self) -> np.ndarray:
        """bool [n], which objects can be learned from: no crowd, and a box with an inside."""
        return ~self.crowd & (self.boxes[:, 2:] > self.boxes[:, :2]).all(axis=1)

    def polygons(self, row: int) -> list[list[float]]:
        """The polygons [x1, y1, x2, y2, ...] of an object; [] when its mask is an RLE."""
        first = int(self._first_polygon[row])
        starts = self._polygon_starts[first : first + int(self._polygon_count[row]) + 1]
        return [self._numbers[start:stop].tolist() for start, stop in pairwise(starts)]

    def rle(self, row: int, size: Size) -> Rle:
        """The mask of an object as a compressed COCO RLE (``counts`` are bytes), drawn if it is given as polygons."""
        if self._polygon_count[row]:
            return coco_mask.merge(coco_mask.frPyObjects(self.polygons(row), *size))
        start = int(self._rle_start[row])
        counts = self._rle_bytes[start : start + int(self._rle_length[row])]
        return {"size": list(size), "counts": counts}

    def instances(self, image: int) -> Instances:
        """Decode the objects of an image; boxes are cut to it.

        Raises:
            ValueError: an RLE that does not describe a mask of the image's size; the message begins with the id.
        """
        size = self.size(image)
        rows = self.rows(image)
        regions = []
        for row in rows:
            try:
                regions.append(Region(*decode_region(self.rle(row, size))))
            except ValueError as error:
                raise ValueError(f"{self.ids[row]}: {error}") from error
        part = slice(rows.start, rows.stop)
        limits = np.array([size[1], size[0], size[1], size[0]], np.float64)
        return Instances.from_regions(
            size,
            regions,
            self.classes[part],
            crowd=self.crowd[part],
            ids=self.ids[part],
            boxes=np.clip(self.boxes[part], 0, limits),
        )

    def select_images(self, chosen: Sequence[int] | np.ndarray) -> AnnotationTable:
        """The table of some images, in that order."""
        picked = np.asarray(chosen, np.int64)
        rows = np.concatenate([np.arange(self.starts[i], self.starts[i + 1]) for i in picked] or [np.zeros(0, int)])
        table = self._taken(rows)
        table.sizes = self.sizes[picked]
        table.starts = np.concatenate([[0], np.cumsum(np.diff(self.starts)[picked])])
        return table

    def select_rows(self, keep: np.ndarray) -> AnnotationTable:
        """The table with some of the objects, bool [n]; all images stay."""
        table = self._taken(np.flatnonzero(keep))
        table.starts = np.concatenate([[0], np.cumsum(keep)])[self.starts]
        return table

    def _taken(self, rows: np.ndarray) -> AnnotationTable:
        table = object.__new__(AnnotationTable)
        table.__dict__.update(self.__dict__)
        for name in ("ids", "classes", "crowd", "boxes", "areas"):
            setattr(table, name, getattr(self, name)[rows])
        for name in ("_first_polygon", "_polygon_count", "_rle_start", "_rle_length"):
            setattr(table, name, getattr(self, name)[rows])
        return table


class AnnotationRows:
    """Objects while they are being read; one call of :meth:`add` each."""

    def __init__(self) -> None:
        self.images, self.ids, self.classes, self.crowd = array("q"), array("q"), array("q"), array("b")
        self.boxes, self.areas, self.numbers = array("d"), array("d"), array("d")
        self.first_polygon, self.polygon_count, self.polygon_starts = array("q"), array("q"), array("q", [0])
        self.rle_start, self.rle_length, self.rle_bytes = array("q"), array("q"), bytearray()

    def add(
        self,
        image: int,
        class_index: int,
        *,
        identifier: int,
        crowd: bool,
        box: Iterable[float],
        area: float,
        polygons: Sequence[Sequence[float]] = (),
        rle: Rle | None = None,
    ) -> None:
        """Add an object of image number ``image``: polygons, or an RLE whose ``counts`` are bytes or text."""
        self.images.append(image)
        self.classes.append(class_index)
        self.ids.append(identifier)
        self.crowd.append(crowd)
        self.boxes.extend(box)
        self.areas.append(area)
        self.first_polygon.append(len(self.polygon_starts) - 1)
        self.polygon_count.append(len(polygons))
        for polygon in polygons:
            self.numbers.extend(polygon)
            self.polygon_starts.append(len(self.numbers))
        counts = b"" if rle is None else rle["counts"]
        data = counts.encode() if isinstance(counts, str) else counts
        self.rle_start.append(len(self.rle_bytes))
        self.rle_length.append(len(data))
        self.rle_bytes.extend(data)


def coco_document(
    table: AnnotationTable,
    file_names: Sequence[str],
    image_ids: Sequence[int],
    categories: Mapping[int, str],
    category_ids: Sequence[int],
) -> dict[str, Any]:
    """A COCO instances document (``images``, ``annotations``, ``categories``).

    Ids begin at 1 where the source counts from 0: COCO's evaluation takes id 0 for 'not matched'.

    Args:
        table: the objects.
        file_names: one per image.
        image_ids: one per image.
        categories: names of the COCO ids.
        category_ids: COCO id of every class index.
    """
    shift = 1 if len(table) and table.ids.min() <= 0 else 0
    images, annotations = [], []
    for index, (name, identifier) in enumerate(zip(file_names, image_ids, strict=True)):
        size = table.size(index)
        images.append({"id": identifier, "file_name": name, "height": size[0], "width": size[1]})
        for row in table.rows(index):
            x1, y1, x2, y2 = table.boxes[row].tolist()
            segmentation: Any = table.polygons(row)
            if not segmentation:
                rle = table.rle(row, size)
                segmentation = {"size": rle["size"], "counts": rle["counts"].decode("ascii")}
            annotations.append(
                {
                    "id": int(table.ids[row]) + shift,
                    "image_id": identifier,
                    "category_id": int(category_ids[table.classes[row]]),
                    "iscrowd": int(table.crowd[row]),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(table.areas[row]),
                    "segmentation": segmentation,
                }
            )
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": identifier, "name": name} for identifier, name in categories.items()],
    }
