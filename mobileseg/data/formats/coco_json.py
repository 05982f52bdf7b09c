"""Reading and checking COCO instances documents (Lin et al., ECCV 2014; https://cocodataset.org/#format-data)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mobileseg.data.annotation_cache import CachedSource, Entry, packed_texts, unpacked_texts
from mobileseg.data.annotations import AnnotationRows, AnnotationTable
from mobileseg.data.formats.annotation_json import DocumentForm, choose_classes, read_categories, read_document
from mobileseg.data.formats.coco_annotations import AnnotationProblem, AnnotationReader, is_integer
from mobileseg.data.instances import Size
from mobileseg.errors import DataError
from mobileseg.limits import broken_character, shown, size_fault

_EXPORT = "export the annotations as 'COCO instances' (not captions, keypoints without masks, or another tool's JSON)"
_FORM = DocumentForm(
    "images",
    "expected a COCO instances file: an object with the lists 'images', 'annotations' and 'categories'",
    _EXPORT,
)


class CocoFile(NamedTuple):
    """A checked COCO document.

    Attributes:
        classes: names of the chosen classes.
        category_ids: their COCO ids.
        image_ids: ids of all images, in the order of the file.
        file_names: their names.
        table: the objects of the chosen classes.
    """

    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    image_ids: list[int]
    file_names: list[str]
    table: AnnotationTable

    def entry(self) -> Entry:
        """What is kept of it."""
        arrays = {
            "image_ids": np.array(self.image_ids, np.int64),
            "file_names": packed_texts(self.file_names),
            **self.table.arrays(),
        }
        return Entry({"classes": self.classes, "category_ids": self.category_ids}, arrays)

    @classmethod
    def of_entry(cls, entry: Entry) -> CocoFile:
        """What was kept."""
        facts, arrays = entry
        return cls(
            tuple(facts["classes"]),
            tuple(facts["category_ids"]),
            arrays["image_ids"].tolist(),
            unpacked_texts(arrays["file_names"]),
            AnnotationTable.of_arrays(arrays),
        )


def read_coco(path: Path, classes: Sequence[str] | None = None, *, remedy: str = _EXPORT) -> CocoFile:
    """Read and check a COCO instances file.

    Classes are the categories in the order of their ids, or those that ``classes`` names, in that order. What was
    parsed is kept (:mod:`mobileseg.data.annotation_cache`).

    Raises:
        DataError: no COCO file.
        AnnotationError: annotations that cannot be used.
        ConfigError: ``classes`` has a name that is no category.
    """
    asked = {"format": "coco", "classes": None if classes is None else [str(name) for name in classes]}
    return CachedSource(path, asked).read(CocoFile, lambda: _parsed(path, classes, remedy))


def _parsed(path: Path, classes: Sequence[str] | None, remedy: str) -> CocoFile:
    return read_document(path, _FORM, lambda *lists: _CocoReading(path, classes, *lists), remedy=remedy)


class _CocoReading:
    """A document whose annotations are being read."""

    def __init__(
        self,
        path: Path,
        classes: Sequence[str] | None,
        images: list[dict[str, Any]],
        categories: Sequence[dict[str, Any]],
    ) -> None:
        names = read_categories(categories, path)
        self._chosen = choose_classes(classes, list(names.values()), str(path))
        by_name = {name: identifier for identifier, name in names.items()}
        self._category_ids = tuple(by_name[name] for name in self._chosen)
        self._image_ids, self._file_names, self._sizes = _images(images, path)
        indices = {category: index for index, category in enumerate(self._category_ids)}
        self._reader = AnnotationReader(self._image_ids, self._sizes, names, indices)
        self._rows = AnnotationRows()

    def read(self, annotations: Iterable[dict[str, Any]]) -> Iterator[AnnotationProblem]:
        return self._reader.read(annotations, self._rows)

    def found(self) -> CocoFile:
        table = AnnotationTable(self._rows, self._sizes)
        return CocoFile(self._chosen, self._category_ids, self._image_ids, self._file_names, table)


def _images(entries: list[dict[str, Any]], path: Path) -> tuple[list[int], list[str], list[Size]]:
    ids: list[int] = []
    names: list[str] = []
    sizes: list[Size] = []
    for entry in entries:
        identifier, name = entry.get("id"), entry.get("file_name")
        height, width = entry.get("height"), entry.get("width")
        if not is_integer(identifier) or not isinstance(name, str) or not name:
            raise DataError(
                f"{path}: an image has id {shown(identifier)} and file_name {shown(name)}; expected a whole number "
                "and a text",
                remedy="write id, file_name, width and height for every image",
            )
        broken = broken_character(name)
        if broken:
            raise DataError(
                f"{path}: the file_name of image {identifier} has the character {broken}, which no file name can have: "
                f"{name!a}",
                remedy="write the name of the file as it is",
            )
        fault = "expected whole numbers"
        if is_integer(height) and is_integer(width):
            fault = size_fault(height, width)
            sizes.append((height, width))
        if fault:
            raise DataError(
                f"{path}: image {identifier} ({name}) has width {shown(width)} and height {shown(height)}: {fault}",
                remedy="write the size of the image in pixels",
            )
        ids.append(identifier)
        names.append(name.replace("\\", "/"))  # written on Windows
    if len(set(ids)) != len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise DataError(f"{path}: two images have the id {twice}", remedy="give every image its own id")
    return ids, names, sizes
