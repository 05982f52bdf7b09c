"""Reading and checking COCO instances documents (Lin et al., ECCV 2014; https://cocodataset.org/#format-data)."""

from __future__ import annotations

import difflib
import json
import mmap
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mobileseg.data.annotation_cache import CachedSource, Entry
from mobileseg.data.annotations import AnnotationRows, AnnotationStore, AnnotationTable
from mobileseg.data.formats.coco_annotations import AnnotationReader, annotation_error, is_integer
from mobileseg.data.formats.json_stream import JsonMembers
from mobileseg.data.instances import Size
from mobileseg.errors import ConfigError, DataError, MobileSegError
from mobileseg.limits import MAX_JSON_BYTES, broken_character, read_regular, shown, size_fault

_NOT_COCO = "expected a COCO instances file: an object with the lists 'images', 'annotations' and 'categories'"
_LARGE_BYTES = 32 << 20
"""From here on a file is read annotation by annotation."""

_EXPORT = "export the annotations as 'COCO instances' (not captions, keypoints without masks, or another tool's JSON)"


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


def read_json(path: Path, remedy: str) -> Any:
    """Parse a JSON file.

    Raises:
        DataError: it is missing, unreadable, no JSON, or nested too deeply.
    """
    try:
        return json.loads(read_regular(path, MAX_JSON_BYTES))
    except FileNotFoundError as error:
        raise DataError(f"the annotation file {path} does not exist", remedy=remedy) from error
    except OSError as error:
        raise DataError(f"the annotation file {path} cannot be read: {error.strerror}", remedy=remedy) from error
    except RecursionError as error:
        raise DataError(f"{path} is nested too deeply to be a file of annotations", remedy=remedy) from error
    except ValueError as error:  # also bytes that are no UTF-8
        raise DataError(f"{path} is no JSON: {error}", remedy="copy or export the file again") from error


def read_coco(path: Path, classes: Sequence[str] | None = None, *, remedy: str = _EXPORT) -> CocoFile:
    """Read and check a COCO instances file.

    Classes are the categories in the order of their ids, or those that ``classes`` names, in that order. What was
    parsed is kept (:mod:`mobileseg.data.annotation_cache`).

    Raises:
        DataError: no COCO file.
        AnnotationError: annotations that cannot be used.
        ConfigError: ``classes`` has a name that is no category.
    """
    if not path.is_file():  # read_json says what is wrong
        return _parsed(path, classes, remedy)
    cached = CachedSource(path, None if classes is None else [str(name) for name in classes])
    entry = cached.load()
    if entry is None:
        found = _parsed(path, classes, remedy)
        if not cached.worthwhile:
            return found
        entry = cached.store(_entry_of(found))
    return _of_entry(entry)


def _entry_of(found: CocoFile) -> Entry:
    names = "\n".join(found.file_names).encode("utf-8")  # no name has a line break
    arrays: dict[str, np.ndarray] = {
        "image_ids": np.array(found.image_ids, np.int64),
        "file_names": np.frombuffer(names, np.uint8),
        "starts": found.table.starts,
        "sizes": found.table.sizes,
        **found.table.store.arrays(),
    }
    return Entry({"classes": found.classes, "category_ids": found.category_ids}, arrays)


def _of_entry(entry: Entry) -> CocoFile:
    facts, arrays = entry
    table = AnnotationTable.of_store(AnnotationStore(arrays), arrays["starts"], arrays["sizes"])
    ids = arrays["image_ids"].tolist()
    names = arrays["file_names"].tobytes().decode("utf-8").split("\n") if ids else []
    return CocoFile(tuple(facts["classes"]), tuple(facts["category_ids"]), ids, names, table)


def _parsed(path: Path, classes: Sequence[str] | None, remedy: str) -> CocoFile:
    if path.is_file() and path.stat().st_size >= _LARGE_BYTES and (found := _streamed(path, classes)):
        return found
    document = read_json(path, remedy)
    lists = document_lists(document, path, ("images", "annotations", "categories"), _NOT_COCO, _EXPORT)
    reading = _Reading(path, classes, lists["images"], lists["categories"])
    problems = list(reading.reader.read(lists["annotations"], reading.rows))
    if problems:
        raise annotation_error(path, problems)
    return reading.found()


def _streamed(path: Path, classes: Sequence[str] | None) -> CocoFile | None:
    """As `_parsed`, with one annotation in memory at a time; None for a file that has faults or another order.

    COCO's own files have the images before the annotations and the categories behind them.
    """
    reading: _Reading | None = None
    seen: dict[str, Any] = {}
    try:
        members = JsonMembers(path)
        for key in members:
            if key in seen:
                return None
            if key != "annotations":
                seen[key] = members.value()
                continue
            seen[key] = []
            categories = seen["categories"] if "categories" in seen else members.last("categories")
            lists = {"images": seen["images"], "categories": categories, "annotations": []}
            document_lists(lists, path, tuple(lists), _NOT_COCO, _EXPORT)
            reading = _Reading(path, classes, lists["images"], categories)
            if any(True for _ in reading.reader.read(members.entries(), reading.rows)):
                return None
        if reading is None or seen["categories"] != categories:
            return None
    except (MobileSegError, OSError, ValueError, KeyError, RecursionError):
        return None  # the file is read as a whole, and what is wrong with it is said
    del members  # the text
    return reading.found()


class _Reading:
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
        self.reader = AnnotationReader(self._image_ids, self._sizes, names, indices)
        self.rows = AnnotationRows()

    def found(self) -> CocoFile:
        """The whole, once all annotations are in the rows."""
        table = AnnotationTable(self.rows, self._sizes)
        return CocoFile(self._chosen, self._category_ids, self._image_ids, self._file_names, table)


def choose_classes(wanted: Sequence[str] | None, known: Sequence[str], source: str) -> tuple[str, ...]:
    """The class names of a dataset: all known ones, or the wanted ones in their order.

    Raises:
        ConfigError: a wanted name that is not known (with the nearest ones), or one that is named twice.
    """
    if wanted is None:
        return tuple(known)
    if isinstance(wanted, str) or not wanted:
        raise ConfigError(f"classes is {wanted!r}; expected a list of names", remedy=f"write classes: [{known[0]}]")
    if len(set(wanted)) != len(wanted):
        raise ConfigError(f"classes names one class twice: {list(wanted)}", remedy="write every name once")
    for name in wanted:
        if name not in known:
            lowered = {other.lower(): other for other in known}
            near = [lowered[hit] for hit in difflib.get_close_matches(str(name).lower(), lowered, n=3, cutoff=0.5)]
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known[:100])}"
            raise ConfigError(f"classes has '{name}', which is no class of {source}", remedy=hint)
    return tuple(wanted)


def count_categories(path: Path) -> int | None:
    """Number of categories, found without parsing the whole file; None when they are not found that way."""
    if not path.is_file():  # a pipe would never answer
        return None
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            place = data.rfind(b'"categories"')
            start = data.find(b"[", place)
            if place < 0 or start < 0 or data[place + len('"categories"') : start].strip() != b":":
                return None
            end = re.search(rb"\]\s*[,}]", data[start : start + (1 << 24)])
            found = json.loads(data[start : start + end.start() + 1]) if end else None
    except (OSError, ValueError, RecursionError):
        return None
    return len(found) if isinstance(found, list) else None


def document_lists(
    document: Any, path: Path, keys: Sequence[str], expected: str, remedy: str
) -> dict[str, list[dict[str, Any]]]:
    """The lists of objects under some keys of a document.

    Args:
        document: parsed JSON.
        path: of the file, for messages.
        keys: that the document must have.
        expected: what the file should be, for messages.
        remedy: what to do when it is something else.

    Raises:
        DataError: a key is missing, or is no list of objects.
    """
    if not isinstance(document, dict):
        kind = "a list" if isinstance(document, list) else type(document).__name__
        hint = " (detections are results, not annotations)" if isinstance(document, list) else ""
        raise DataError(f"{path} holds {kind}{hint}; {expected}", remedy=remedy)
    lists = {}
    for key in keys:
        value = document.get(key)
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            seen = f"no '{key}'" if key not in document else f"'{key}' is no list of objects"
            found = ", ".join(map(str, list(document)[:8]))
            raise DataError(f"{path} has {seen} (its keys: {found or 'none'}); {expected}", remedy=remedy)
        lists[key] = value
    return lists


def read_categories(entries: Sequence[dict[str, Any]], path: Path) -> dict[int, str]:
    """Names of the categories by id, in the order of their ids.

    Raises:
        DataError: an entry that is none, one that stands there twice, or no entry at all.
    """
    names: dict[int, str] = {}
    for entry in entries:
        identifier, name = entry.get("id"), entry.get("name")
        if not is_integer(identifier) or not isinstance(name, str):
            raise DataError(
                f"{path}: a category has id {shown(identifier)} and name {shown(name)}; expected a whole number and "
                "a text",
                remedy='write {"id": 1, "name": "..."} for every category',
            )
        if identifier in names or name in names.values():
            raise DataError(
                f"{path}: the category {identifier} '{name}' stands there twice", remedy="give each its own id and name"
            )
        names[identifier] = name
    if not names:
        raise DataError(f"{path} has no categories", remedy=_EXPORT)
    return dict(sorted(names.items()))


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
