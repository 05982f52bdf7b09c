"""The annotations of a COCO document: what each must be, and what is wrong with those that cannot be used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from pycocotools import mask as coco_mask

from mobileseg.data.annotations import AnnotationRows
from mobileseg.data.instances import Size
from mobileseg.errors import DataError
from mobileseg.limits import MAX_COORDINATE, MAX_INTEGER, shown
from mobileseg.rle import decode_region

_SHOWN = 5
_FAR = 10  # sides of the image


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


def annotation_error(path: Path, problems: Sequence[AnnotationProblem]) -> AnnotationError:
    """The error that shows the first of many problems of one file."""
    lines = [f"  {problem.message}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"  ... and {len(problems) - _SHOWN} more")
    one = len(problems) == 1
    head = f"{path}: {len(problems)} annotation{'' if one else 's'} cannot be used:"
    remedies = list(dict.fromkeys(problem.remedy for problem in problems))
    error = AnnotationError("\n".join([head, *lines]), remedy="; ".join(remedies[:3]))
    error.problems = tuple(problems)
    error.source = str(path)
    return error


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number of at most 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER


def _where(entry: Mapping[str, Any]) -> str:
    """An annotation by its own id and that of its image, whatever stands there."""
    return f"annotation {shown(entry.get('id'))} (image {shown(entry.get('image_id'))})"


class AnnotationReader:
    """Checks annotations, one after the other.

    Args:
        image_ids: of the document.
        sizes: of the images, in the same order.
        names: of the categories, by id.
        chosen: id of a category -> class index; annotations of others are left out.
    """

    def __init__(
        self, image_ids: Sequence[int], sizes: Sequence[Size], names: Mapping[int, str], chosen: Mapping[int, int]
    ) -> None:
        self.positions = {identifier: index for index, identifier in enumerate(image_ids)}
        self.sizes = sizes
        self.names = names
        self.chosen = chosen

    def read(self, entries: Iterable[dict[str, Any]], rows: AnnotationRows) -> Iterator[AnnotationProblem]:
        """Add the usable annotations of the chosen classes to ``rows``; yield what is wrong with the others."""
        seen: set[int] = set()
        for entry in entries:
            identifier, image_id, category = entry.get("id"), entry.get("image_id"), entry.get("category_id")
            if not is_integer(identifier) or identifier in seen:
                what = "has the id of another one" if is_integer(identifier) else "has no id that is a whole number"
                yield AnnotationProblem(
                    "id", identifier, f"{_where(entry)} {what}", "number the annotations 1, 2, 3, ..."
                )
                continue
            seen.add(identifier)
            image = self.positions.get(image_id) if is_integer(image_id) else None
            if image is None:
                remedy = "add the image to 'images', or delete the annotation"
                yield AnnotationProblem(
                    "image", identifier, f"{_where(entry)}: {_no_image(image_id, self.positions)}", remedy
                )
                continue
            if not is_integer(category) or category not in self.names:
                remedy = "add the category to 'categories', or correct category_id"
                yield AnnotationProblem(
                    "category", identifier, f"{_where(entry)}: there is no category {shown(category)}", remedy
                )
                continue
            if category not in self.chosen:
                continue
            size = self.sizes[image]
            fault = box_fault(entry.get("bbox"))
            if fault:
                yield AnnotationProblem(
                    "box", identifier, f"{_where(entry)}: {fault}", "write bbox as [x, y, width, height] in pixels"
                )
                continue
            crowd = entry.get("iscrowd") or 0
            if crowd not in (0, 1) or isinstance(crowd, str):
                fault = f"{_where(entry)}: iscrowd is {shown(crowd)}, neither 0 nor 1"
                yield AnnotationProblem("crowd", identifier, fault, "write iscrowd: 0, or 1 for a group")
                continue
            polygons, rle, fault, code = mask_of(entry.get("segmentation"), size)
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
                area=area_of(entry.get("area"), polygons, rle, size),
                polygons=polygons,
                rle=rle,
            )


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_COORDINATE**2


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether all are finite numbers; the sum tells it at a tenth of the time of one look at each."""
    try:
        return math.isfinite(sum(values))
    except (TypeError, OverflowError):
        return False


def area_of(stated: Any, polygons: list[list[float]], rle: dict[str, Any] | None, size: Size) -> float:
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
        f"image_id is {shown(value)}, the images count in whole numbers"
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


def box_fault(box: Any) -> str:
    """What is wrong with a 'bbox', '' when nothing is."""
    if not isinstance(box, list) or len(box) != 4 or not are_numbers(box) or is_beyond(box):
        return f"bbox is {ascii(box)[:60]}, not four numbers within {MAX_COORDINATE:g}"
    if box[2] < 0 or box[3] < 0:
        return f"bbox {box} has a negative size"
    return ""


def mask_of(value: Any, size: Size) -> tuple[list[list[float]], dict[str, Any] | None, str, str]:
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
        if not are_numbers(polygon):
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
    if not isinstance(counts, list) or not all(is_integer(count) and count >= 0 for count in counts):
        return None, "its RLE has counts that are neither text nor a list of whole numbers"
    total = sum(counts)
    if total != size[0] * size[1]:
        return None, f"its RLE describes {total} pixels but the image has {size[0] * size[1]}"
    return coco_mask.frPyObjects({"size": list(size), "counts": counts}, *size), ""
