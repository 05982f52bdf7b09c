"""Reading and checking COCO instances documents (Lin et al., ECCV 2014; https://cocodataset.org/#format-data)."""

from __future__ import annotations

import difflib
import json
import math
import mmap
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from pycocotools import mask as coco_mask

from mobileseg.data.annotations import AnnotationRows, AnnotationTable
from mobileseg.data.instances import Size
from mobileseg.errors import ConfigError, DataError
from mobileseg.limits import (
    MAX_COORDINATE,
    MAX_INTEGER,
    MAX_JSON_BYTES,
    broken_character,
    read_regular,
    size_fault,
)
from mobileseg.rle import decode_region

_SHOWN = 5
_FAR = 10  # sides of the image
_NOT_COCO = "expected a COCO instances file: an object with the lists 'images', 'annotations' and 'categories'"
_EXPORT = "export the annotations as 'COCO instances' (not captions, keypoints without masks, or another tool's JSON)"


class AnnotationProblem(NamedTuple):
    """An annotation that cannot be used.

    Attributes:
        code: 'image' (its image is unknown), 'category', 'polygon', 'rle', 'box', 'mask' (none), 'id' (taken twice),
            'crowd'.
        annotation: id of the annotation, or what stands there in its place.
        message: what is wrong, naming the annotation.
        remedy: the smallest fix.
    """

    code: str
    annotation: Any
    message: str
    remedy: str


class AnnotationError(DataError):
    """Annotations of the file ``source`` that cannot be used; ``problems`` has all, the message the first ones."""

    problems: Sequence[AnnotationProblem] = ()
    source: str = ""


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

    Classes are the categories in the order of their ids, or those that ``classes`` names, in that order.

    Raises:
        DataError: no COCO file.
        AnnotationError: annotations that cannot be used.
        ConfigError: ``classes`` has a name that is no category.
    """
    document = read_json(path, remedy)
    lists = _lists(document, path)
    names = _categories(lists["categories"], path)
    chosen = choose_classes(classes, list(names.values()), str(path))
    by_name = {name: identifier for identifier, name in names.items()}
    category_ids = tuple(by_name[name] for name in chosen)
    image_ids, file_names, sizes = _images(lists["images"], path)
    reader = _AnnotationReader(image_ids, sizes, names, {c: i for i, c in enumerate(category_ids)})
    rows = AnnotationRows()
    problems = list(reader.read(lists["annotations"], rows))
    if problems:
        raise annotation_error(path, problems)
    return CocoFile(chosen, category_ids, image_ids, file_names, AnnotationTable(rows, sizes))


def annotation_error(path: Path, problems: Sequence[AnnotationProblem]) -> AnnotationError:
    """The error that shows the first of many problems of one file."""
    shown = [f"  {problem.message}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        shown.append(f"  ... and {len(problems) - _SHOWN} more")
    one = len(problems) == 1
    head = f"{path}: {len(problems)} annotation{'' if one else 's'} cannot be used:"
    remedies = list(dict.fromkeys(problem.remedy for problem in problems))
    error = AnnotationError("\n".join([head, *shown]), remedy="; ".join(remedies[:3]))
    error.problems = tuple(problems)
    error.source = str(path)
    return error


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


def _lists(document: Any, path: Path) -> dict[str, list[Any]]:
    if not isinstance(document, dict):
        kind = "a list" if isinstance(document, list) else type(document).__name__
        hint = " (detections are results, not annotations)" if isinstance(document, list) else ""
        raise DataError(f"{path} holds {kind}{hint}; {_NOT_COCO}", remedy=_EXPORT)
    lists = {}
    for key in ("images", "annotations", "categories"):
        value = document.get(key)
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            seen = f"no '{key}'" if key not in document else f"'{key}' is no list of objects"
            keys = ", ".join(map(str, list(document)[:8]))
            raise DataError(f"{path} has {seen} (its keys: {keys or 'none'}); {_NOT_COCO}", remedy=_EXPORT)
        lists[key] = value
    return lists


def _categories(entries: list[dict[str, Any]], path: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for entry in entries:
        identifier, name = entry.get("id"), entry.get("name")
        if not _is_integer(identifier) or not isinstance(name, str):
            raise DataError(
                f"{path}: a category has id {_shown(identifier)} and name {_shown(name)}; expected a whole number and "
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
        if not _is_integer(identifier) or not isinstance(name, str) or not name:
            raise DataError(
                f"{path}: an image has id {_shown(identifier)} and file_name {_shown(name)}; expected a whole number "
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
        if _is_integer(height) and _is_integer(width):
            fault = size_fault(height, width)
            sizes.append((height, width))
        if fault:
            raise DataError(
                f"{path}: image {identifier} ({name}) has width {_shown(width)} and height {_shown(height)}: {fault}",
                remedy="write the size of the image in pixels",
            )
        ids.append(identifier)
        names.append(name.replace("\\", "/"))  # written on Windows
    if len(set(ids)) != len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise DataError(f"{path}: two images have the id {twice}", remedy="give every image its own id")
    return ids, names, sizes


def _is_integer(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER


def _where(entry: Mapping[str, Any]) -> str:
    """An annotation by its own id and that of its image, whatever stands there."""
    return f"annotation {_shown(entry.get('id'))} (image {_shown(entry.get('image_id'))})"


def _shown(value: Any) -> str:
    """A value that is not what was expected, with its type, shortened."""
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return "a number of more than 64 bits"
    kinds = {str: "text", float: "float", bool: "true or false", type(None): "null", list: "list", dict: "object"}
    kind = kinds.get(type(value))
    return f"{ascii(value)[:60]}{f' ({kind})' if kind else ''}"


class _AnnotationReader:
    def __init__(
        self, image_ids: Sequence[int], sizes: Sequence[Size], names: Mapping[int, str], chosen: Mapping[int, int]
    ) -> None:
        self.positions = {identifier: index for index, identifier in enumerate(image_ids)}
        self.sizes = sizes
        self.names = names
        self.chosen = chosen

    def read(self, entries: Sequence[dict[str, Any]], rows: AnnotationRows) -> Iterator[AnnotationProblem]:
        """Add the usable annotations of the chosen classes to ``rows``; yield what is wrong with the others."""
        seen: set[int] = set()
        for entry in entries:
            identifier, image_id, category = entry.get("id"), entry.get("image_id"), entry.get("category_id")
            if not _is_integer(identifier) or identifier in seen:
                what = "has the id of another one" if _is_integer(identifier) else "has no id that is a whole number"
                yield AnnotationProblem(
                    "id", identifier, f"{_where(entry)} {what}", "number the annotations 1, 2, 3, ..."
                )
                continue
            seen.add(identifier)
            image = self.positions.get(image_id) if _is_integer(image_id) else None
            if image is None:
                remedy = "add the image to 'images', or delete the annotation"
                yield AnnotationProblem(
                    "image", identifier, f"{_where(entry)}: {_no_image(image_id, self.positions)}", remedy
                )
                continue
            if not _is_integer(category) or category not in self.names:
                remedy = "add the category to 'categories', or correct category_id"
                yield AnnotationProblem(
                    "category", identifier, f"{_where(entry)}: there is no category {_shown(category)}", remedy
                )
                continue
            if category not in self.chosen:
                continue
            size = self.sizes[image]
            fault = _box_fault(entry.get("bbox"))
            if fault:
                yield AnnotationProblem(
                    "box", identifier, f"{_where(entry)}: {fault}", "write bbox as [x, y, width, height] in pixels"
                )
                continue
            crowd = entry.get("iscrowd") or 0
            if crowd not in (0, 1) or isinstance(crowd, str):
                fault = f"{_where(entry)}: iscrowd is {_shown(crowd)}, neither 0 nor 1"
                yield AnnotationProblem("crowd", identifier, fault, "write iscrowd: 0, or 1 for a group")
                continue
            polygons, rle, fault, code = _mask(entry.get("segmentation"), size)
            if fault:
                remedy = "draw the object again, or delete the annotation"
                yield AnnotationProblem(code, identifier, f"{_where(entry)}: {fault}", remedy)
                continue
            x, y, width, height = entry["bbox"]
            rows.add(
                image,
                self.chosen[category],
                identifier=identifier,
                crowd=bool(crowd),
                box=(x, y, x + width, y + height),
                area=_area(entry.get("area"), polygons, rle, size),
                polygons=polygons,
                rle=rle,
            )


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_COORDINATE**2


def _are_numbers(values: Sequence[Any]) -> bool:
    """Whether all are finite numbers; the sum tells it at a tenth of the time of one look at each."""
    try:
        return math.isfinite(sum(values))
    except (TypeError, OverflowError):
        return False


def _area(stated: Any, polygons: list[list[float]], rle: dict[str, Any] | None, size: Size) -> float:
    """The stated area, or the pixels of the mask where none is stated that could be one."""
    if _is_number(stated):
        return float(stated)
    if rle is not None and isinstance(rle["counts"], str):
        try:
            return float(decode_region(rle)[2].sum())
        except ValueError:  # said when the mask is used
            return 0.0
    drawn = coco_mask.merge(coco_mask.frPyObjects(polygons, *size)) if polygons else rle
    return float(coco_mask.area(drawn))


def _no_image(value: Any, known: Mapping[int, int]) -> str:
    """Why there is no image of that id; an id written as text or as a fraction is the usual reason."""
    try:
        meant = int(value) if isinstance(value, str | float) else None
    except (ValueError, OverflowError):
        meant = None
    return (
        f"image_id is {_shown(value)}, the images count in whole numbers"
        if meant in known
        else ("there is no image with that id")
    )


def is_beyond(values: Sequence[float]) -> bool:
    """Whether one of the numbers is none that a coordinate can be."""
    return max(values) > MAX_COORDINATE or min(values) < -MAX_COORDINATE


def is_far(polygon: Sequence[float], size: Size) -> bool:
    """Whether coordinates lie so far outside an image of that size that drawing them would take all memory."""
    limit = _FAR * max(size)
    return max(polygon) > limit or min(polygon) < -limit


def _box_fault(box: Any) -> str:
    if not isinstance(box, list) or len(box) != 4 or not _are_numbers(box) or is_beyond(box):
        return f"bbox is {ascii(box)[:60]}, not four numbers within {MAX_COORDINATE:g}"
    if box[2] < 0 or box[3] < 0:
        return f"bbox {box} has a negative size"
    return ""


def _mask(value: Any, size: Size) -> tuple[list[list[float]], dict[str, Any] | None, str, str]:
    """(polygons, RLE, fault, code) of a 'segmentation' for an image of that size."""
    if isinstance(value, dict):
        rle, fault = _rle(value, size)
        return [], rle, fault, "rle"
    if not isinstance(value, list) or not value:
        return [], None, f"it has no mask (segmentation is {ascii(value)[:40]})", "mask"
    for polygon in value:
        if not isinstance(polygon, list):
            return [], None, "segmentation is no list of polygons [[x1, y1, x2, y2, ...], ...]", "polygon"
        count = len(polygon)
        if count % 2 or count < 6:
            points = f"{count / 2:g} point{'' if count == 2 else 's'}"
            return [], None, f"a polygon has {points}; it takes at least 3", "polygon"
        if not _are_numbers(polygon):
            return [], None, "a polygon has coordinates that are no finite numbers", "polygon"
        if is_far(polygon, size):
            seen = f"a polygon reaches from {min(polygon):g} to {max(polygon):g}, far outside the image"
            return [], None, seen, "polygon"
    return value, None, "", ""


def _rle(value: dict[str, Any], size: Size) -> tuple[dict[str, Any] | None, str]:
    counts, stated = value.get("counts"), value.get("size")
    if not isinstance(stated, list) or stated != list(size):
        seen = ascii(stated)[:40]
        return None, f"its RLE is for the size {seen} ([height, width]) but the image is {list(size)}"
    if isinstance(counts, str):
        if not counts.isascii():
            return None, "its RLE has counts that are not COCO's compressed text"
        return {"size": list(size), "counts": counts}, ""
    if not isinstance(counts, list) or not all(_is_integer(count) and count >= 0 for count in counts):
        return None, "its RLE has counts that are neither text nor a list of whole numbers"
    total = sum(counts)
    if total != size[0] * size[1]:
        return None, f"its RLE describes {total} pixels but the image has {size[0] * size[1]}"
    return coco_mask.frPyObjects({"size": list(size), "counts": counts}, *size), ""
