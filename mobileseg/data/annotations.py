"""The annotations of many images in a few arrays.

A Python object per number would take gigabytes for the 860,000 objects of COCO, and every worker process would copy
them when it touches their reference counts. Masks stay encoded until an image is loaded.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.data.instances import Instances, Region, Size
from mobileseg.rle import decode_region

Rle = dict[str, Any]


class AnnotationStore:
    """What annotations say, one row each, in arrays that may lie in a file; nothing of it changes.

    Arrays that are mapped from a file are pickled as their places in it, so processes share them.

    Attributes:
        ids, classes, crowd, boxes, areas: see `AnnotationTable`.
        first_polygon, polygon_count: int64 [n], the polygons of a row.
        polygon_starts: int64 [polygons + 1], where in ``numbers`` a polygon begins and the one before it ends.
        numbers: float64, x and y in turns.
        rle_start, rle_length: int64 [n], the run lengths of a row.
        rle_bytes: uint8, COCO's compressed text.
    """

    NAMES: ClassVar[dict[str, type[np.generic]]] = {
        "ids": np.int64,
        "classes": np.int64,
        "crowd": np.bool_,
        "boxes": np.float64,
        "areas": np.float64,
        "first_polygon": np.int64,
        "polygon_count": np.int64,
        "rle_start": np.int64,
        "rle_length": np.int64,
        "polygon_starts": np.int64,
        "numbers": np.float64,
        "rle_bytes": np.uint8,
    }

    ids: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    first_polygon: np.ndarray
    polygon_count: np.ndarray
    rle_start: np.ndarray
    rle_length: np.ndarray
    polygon_starts: np.ndarray
    numbers: np.ndarray
    rle_bytes: np.ndarray

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        for name in self.NAMES:
            setattr(self, name, arrays[name])

    @classmethod
    def of_rows(cls, rows: AnnotationRows, order: np.ndarray) -> AnnotationStore:
        """The annotations in an order; where masks lie stays as it was written."""
        arrays = {name: np.array(memoryview(getattr(rows, name)), kind) for name, kind in cls.NAMES.items()}
        arrays["boxes"] = arrays["boxes"].reshape(-1, 4)
        masks = ("polygon_starts", "numbers", "rle_bytes")
        return cls({name: array if name in masks else array[order] for name, array in arrays.items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name."""
        return {name: getattr(self, name) for name in self.NAMES}

    def __getstate__(self) -> dict[str, Any]:
        return {name: mapped_place(array) or array for name, array in self.arrays().items()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, np.memmap(mode="r", **value) if isinstance(value, dict) else value)


def mapped_place(array: np.ndarray) -> dict[str, Any] | None:
    """Arguments of `np.memmap` that give the same array in another process; None when it is not all of a map."""
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap):
        return None
    return {"filename": array.filename, "dtype": array.dtype, "shape": array.shape, "offset": array.offset}


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

    Args:
        rows: the objects, of any order.
        sizes: of the images.
    """

    def __init__(self, rows: AnnotationRows, sizes: Sequence[Size] | np.ndarray) -> None:
        images = np.array(memoryview(rows.images), np.int64)
        order = np.argsort(images, kind="stable")
        self.sizes = np.array(sizes, np.int64).reshape(-1, 2)
        self.starts = np.searchsorted(images[order], np.arange(len(self.sizes) + 1))
        self._store = AnnotationStore.of_rows(rows, order)
        self._chosen: np.ndarray | None = None  # rows of the store; None: all

    @classmethod
    def of_store(cls, store: AnnotationStore, starts: np.ndarray, sizes: np.ndarray) -> AnnotationTable:
        """The table of annotations that are in the order of their images."""
        table = object.__new__(cls)
        table.sizes, table.starts, table._store, table._chosen = sizes, starts, store, None
        return table

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, of a table from which nothing was chosen."""
        assert self._chosen is None, "the arrays of the store are those of another table"
        return {"starts": self.starts, "sizes": self.sizes, **self._store.arrays()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> AnnotationTable:
        """The table whose `arrays` these are."""
        return cls.of_store(AnnotationStore(arrays), arrays["starts"], arrays["sizes"])

    @property
    def store(self) -> AnnotationStore:
        """The annotations that this table is chosen from."""
        return self._store

    def __getstate__(self) -> dict[str, Any]:
        """Without what `_column` keeps, which workers can do without."""
        return {name: getattr(self, name) for name in ("sizes", "starts", "_store", "_chosen")}

    @cached_property
    def ids(self) -> np.ndarray:  # see the class
        return self._column("ids")

    @cached_property
    def classes(self) -> np.ndarray:
        return self._column("classes")

    @cached_property
    def crowd(self) -> np.ndarray:
        return self._column("crowd")

    @cached_property
    def boxes(self) -> np.ndarray:
        return self._column("boxes")

    @cached_property
    def areas(self) -> np.ndarray:
        return self._column("areas")

    def _column(self, name: str) -> np.ndarray:
        column: np.ndarray = getattr(self._store, name)
        return column if self._chosen is None else column[self._chosen]

    def _rows_of_store(self, image: int) -> np.ndarray | slice:
        part = slice(int(self.starts[image]), int(self.starts[image + 1]))
        return part if self._chosen is None else self._chosen[part]

    def __len__(self) -> int:
        return len(self._store.ids if self._chosen is None else self._chosen)

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
        return self._polygons(self._row(row))

    def rle(self, row: int, size: Size) -> Rle:
        """The mask of an object as a compressed COCO RLE (``counts`` are bytes), drawn if it is given as polygons."""
        at, store = self._row(row), self._store
        if store.polygon_count[at]:
            return coco_mask.merge(coco_mask.frPyObjects(self._polygons(at), *size))
        start = int(store.rle_start[at])
        counts = store.rle_bytes[start : start + int(store.rle_length[at])]
        return {"size": list(size), "counts": counts.tobytes()}

    def _row(self, row: int) -> int:
        return row if self._chosen is None else int(self._chosen[row])

    def _polygons(self, at: int) -> list[list[float]]:
        first = int(self._store.first_polygon[at])
        starts = self._store.polygon_starts[first : first + int(self._store.polygon_count[at]) + 1]
        return [self._store.numbers[start:stop].tolist() for start, stop in pairwise(starts)]

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
                raise ValueError(f"{self._store.ids[self._row(row)]}: {error}") from error
        part, store = self._rows_of_store(image), self._store
        limits = np.array([size[1], size[0], size[1], size[0]], np.float64)
        return Instances.from_regions(
            size,
            regions,
            np.array(store.classes[part]),
            crowd=np.array(store.crowd[part]),
            ids=np.array(store.ids[part]),
            boxes=np.clip(np.asarray(store.boxes[part]), 0, limits),
        )

    def of_other_classes(self, classes: np.ndarray) -> AnnotationTable:
        """The table with another class index, int64 [n], for every object."""
        column = np.array(self._store.classes)
        column[slice(None) if self._chosen is None else self._chosen] = classes
        store = AnnotationStore({**self._store.arrays(), "classes": column})
        table = AnnotationTable.of_store(store, self.starts, self.sizes)
        table._chosen = self._chosen
        return table

    def select_images(self, chosen: Sequence[int] | np.ndarray) -> AnnotationTable:
        """The table of some images, in that order."""
        picked = np.asarray(chosen, np.int64)
        starts, counts = self.starts[picked], np.diff(self.starts)[picked]
        ends = np.cumsum(counts)
        rows = np.repeat(starts - (ends - counts), counts) + np.arange(int(counts.sum()))
        return self._taken(rows, np.concatenate([[0], ends]), self.sizes[picked])

    def place_images(self, places: np.ndarray, sizes: np.ndarray) -> AnnotationTable:
        """The table with its images among others that have no objects.

        Args:
            places: int64 [images], ascending, where each image comes to stand.
            sizes: int64 [all images, 2], height and width.
        """
        counts = np.zeros(len(sizes), np.int64)
        counts[places] = np.diff(self.starts)
        table = AnnotationTable.of_store(self._store, np.concatenate([[0], np.cumsum(counts)]), sizes)
        table._chosen = self._chosen
        return table

    def select_rows(self, keep: np.ndarray) -> AnnotationTable:
        """The table with some of the objects, bool [n]; all images stay."""
        return self._taken(np.flatnonzero(keep), np.concatenate([[0], np.cumsum(keep)])[self.starts], self.sizes)

    def _taken(self, rows: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> AnnotationTable:
        table = AnnotationTable.of_store(self._store, starts, sizes)
        table._chosen = rows if self._chosen is None else self._chosen[rows]
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
