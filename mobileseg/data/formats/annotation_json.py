"""Annotation files of JSON: what COCO's, YouTube-VIS's and others have in common."""

from __future__ import annotations

import difflib
import json
import mmap
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from mobileseg.data.formats.coco_annotations import AnnotationProblem, annotation_error, is_integer
from mobileseg.data.formats.json_stream import JsonMembers
from mobileseg.errors import ConfigError, DataError, MobileSegError
from mobileseg.limits import MAX_JSON_BYTES, read_regular, shown

_LARGE_BYTES = 32 << 20
"""From here on a file is read annotation by annotation."""

Found = TypeVar("Found", covariant=True)


class DocumentForm(NamedTuple):
    """What a document should be.

    Attributes:
        first: key of the list that annotations refer to, 'images' or 'videos'.
        expected: what the file should be, for messages.
        remedy: what to do when it is something else.
    """

    first: str
    expected: str
    remedy: str


class AnnotationReading(Protocol[Found]):
    """A document whose annotations are being read."""

    def read(self, annotations: Iterable[dict[str, Any]]) -> Iterator[AnnotationProblem]:
        """Take the annotations that can be used; yield what is wrong with the others."""

    def found(self) -> Found:
        """The whole, once all annotations are taken."""


Begin = Callable[[list[dict[str, Any]], list[dict[str, Any]]], AnnotationReading[Found]]
"""Checks what comes before the annotations: the entries of the first list, and the categories."""


def read_document(
    path: Path, form: DocumentForm, begin: Begin[Found], *, remedy: str, needs_annotations: bool = True
) -> Found:
    """Read a document of images or videos, categories and annotations.

    Args:
        path: the file.
        form: what it should be.
        begin: makes what takes the annotations.
        remedy: what to do when there is no such file.
        needs_annotations: False where ``annotations`` may be missing or null.

    Raises:
        DataError: no such document; what ``begin`` raises.
        AnnotationError: annotations that cannot be used.
    """
    if path.is_file() and path.stat().st_size >= _LARGE_BYTES and (reading := _streamed(path, form, begin)):
        return reading.found()
    document = read_json(path, remedy)
    if isinstance(document, dict) and not needs_annotations and document.get("annotations") is None:
        document["annotations"] = []
    lists = document_lists(document, path, (form.first, "annotations", "categories"), form.expected, form.remedy)
    reading = begin(lists[form.first], lists["categories"])
    problems = list(reading.read(lists["annotations"]))
    if problems:
        raise annotation_error(path, problems)
    return reading.found()


def _streamed(path: Path, form: DocumentForm, begin: Begin[Found]) -> AnnotationReading[Found] | None:
    """All annotations read with one in memory at a time; None for a file that has faults or another order.

    COCO's own files have the images before the annotations and the categories behind them.
    """
    reading: AnnotationReading[Found] | None = None
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
            lists = {form.first: seen[form.first], "categories": categories, "annotations": []}
            document_lists(lists, path, tuple(lists), form.expected, form.remedy)
            reading = begin(lists[form.first], categories)
            if any(True for _ in reading.read(members.entries())):
                return None
        if reading is None or seen["categories"] != categories:
            return None
    except (MobileSegError, OSError, ValueError, KeyError, RecursionError):
        return None  # the file is read as a whole, and what is wrong with it is said
    return reading


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
        raise DataError(f"{path} has no categories", remedy="list at least one under 'categories'")
    return dict(sorted(names.items()))


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
