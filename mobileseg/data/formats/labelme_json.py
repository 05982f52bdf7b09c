"""Reading and checking files of labelme (https://github.com/wkentaro/labelme), one per image."""

from __future__ import annotations

import base64
import math
import os
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.data.annotation_cache import CachedSource, Entry, packed_texts, unpacked_texts
from mobileseg.data.annotations import AnnotationRows, AnnotationTable, Rle
from mobileseg.data.formats.annotation_json import read_json
from mobileseg.data.formats.coco_annotations import is_far
from mobileseg.data.instances import Region, Size
from mobileseg.data.io import FileError, decode_label, read_image
from mobileseg.errors import DataError
from mobileseg.limits import MAX_COORDINATE, broken_character, size_fault
from mobileseg.rle import encode_region

HINT = (
    "dataset_root holds the folders train/ and val/, or train.txt and val.txt with one JSON file per line, "
    "relative to dataset_root"
)
_NOT_LABELME = "expected a file of labelme: an object with 'shapes' and 'imagePath'"
_CIRCLE_POINTS = 72
_WITHOUT_AREA = ("line", "linestrip", "point", "points")


class LabelmeFiles(NamedTuple):
    """Checked files of labelme.

    Attributes:
        classes: the labels that are classes.
        used: label -> number of shapes that have it, classes or not.
        image_paths: ``imagePath`` of every file.
        table: the objects of the classes, file by file, numbered from 1.
        sized: whether every file says the size of its image.
    """

    classes: tuple[str, ...]
    used: Mapping[str, int]
    image_paths: list[str]
    table: AnnotationTable
    sized: bool = True

    def entry(self) -> Entry | None:
        """What is kept of it; None where the size of an image was read from the image, which may change."""
        if not self.sized:
            return None
        arrays = {"image_paths": packed_texts(self.image_paths), **self.table.arrays()}
        return Entry({"classes": self.classes, "used": dict(self.used)}, arrays)

    @classmethod
    def of_entry(cls, entry: Entry) -> LabelmeFiles:
        """What was kept."""
        facts, arrays = entry
        table = AnnotationTable.of_arrays(arrays)
        return cls(tuple(facts["classes"]), facts["used"], unpacked_texts(arrays["image_paths"]), table)


def read_labelme(root: Path, source: Path, files: Sequence[Path], classes: Sequence[str] | None) -> LabelmeFiles:
    """Read and check the files of a part of a dataset; what was parsed is kept (`mobileseg.data.annotation_cache`).

    Args:
        root: folder of the dataset.
        source: folder of the part, or list of its files.
        files: the JSON files of the part.
        classes: labels of classes 0, 1, 2, ...; None: all labels of the files and of all others below ``root``, sorted.

    Raises:
        DataError: files are not labelme's, shapes cannot be used, images are missing, or there is no shape at all.
    """
    own = set(files)
    others = [] if classes is not None else [path for path in sorted(root.rglob("*.json")) if path not in own]
    asked = {"format": "labelme", "source": str(source), "classes": classes}
    lists = [source] if source.is_file() else []
    cached = CachedSource(root, asked, [*lists, *files, *others])
    return cached.read(LabelmeFiles, lambda: _parsed(root, files, others, classes))


def _parsed(root: Path, files: Sequence[Path], others: Sequence[Path], classes: Sequence[str] | None) -> LabelmeFiles:
    rows, sizes, image_paths, used, sized = AnnotationRows(), [], [], Counter[str](), True
    numbers = {name: number for number, name in enumerate(classes or ())}
    for index, path in enumerate(files):
        document = _read(path)
        labels = [shape["label"] for shape in document["shapes"]]
        used.update(labels)
        size = _stated_size(path, document)
        image = image_of(path, document["imagePath"])
        sized = sized and size is not None
        sizes.append(size or _size_of(image))
        image_paths.append(document["imagePath"])
        for label, rle in _objects(path, document["shapes"], labels if classes is None else numbers, sizes[-1]):
            x, y, width, height = coco_mask.toBbox(rle).tolist()
            rows.add(
                index,
                numbers.setdefault(label, len(numbers)),
                identifier=len(rows.ids) + 1,
                crowd=False,
                box=(x, y, x + width, y + height),
                area=float(coco_mask.area(rle)),
                rle=rle,
            )
    table = AnnotationTable(rows, sizes)
    if classes is None:
        classes = sorted({*used, *label_names(others)})
        if not classes:
            raise DataError(f"the files of labelme under {root} have no shape", remedy="draw objects, or give classes")
        order = np.array([classes.index(label) for label in numbers], np.int64)
        table = table.of_other_classes(order[table.classes])
    return LabelmeFiles(tuple(classes), used, image_paths, table, sized)


def label_names(files: Sequence[Path]) -> tuple[str, ...]:
    """All labels of shapes in JSON files of labelme, sorted.

    Raises:
        DataError: a file is not labelme's.
    """
    return tuple(sorted({shape["label"] for path in files for shape in _read(path)["shapes"]}))


def labelled_image(path: Path) -> Path:
    """The image of a JSON file of labelme.

    Raises:
        DataError: the file is not labelme's, or the image does not exist.
    """
    return image_of(path, _read(path)["imagePath"])


def label_mask(path: Path, names: Sequence[str]) -> np.ndarray:
    """The shapes of a JSON file of labelme as one index per pixel; the later of two shapes that overlap is seen.

    Args:
        path: JSON file; its image must be there.
        names: label of index 1, 2, ...; 0 is where no shape is.

    Returns:
        uint8 [H, W].

    Raises:
        DataError: the file is not labelme's, a shape cannot be used, or has a label that is not among the names.
    """
    document = _read(path)
    image = image_of(path, document["imagePath"])
    size = _stated_size(path, document) or _size_of(image)
    indices = np.zeros(size, np.uint8)
    for shape in document["shapes"]:
        if shape["label"] not in names:
            raise DataError(
                f"{path} has a shape '{shape['label']}', the classes are {', '.join(names)}",
                remedy="add the class, or delete the shape in labelme",
            )
        for label, rle in _objects(path, [{**shape, "group_id": None}], names, size):
            indices[coco_mask.decode(rle).astype(bool)] = names.index(label) + 1
    return indices


def _read(path: Path) -> dict[str, Any]:
    """A file of labelme without its ``imageData``."""
    document = read_json(path, HINT)
    shapes = document.get("shapes") if isinstance(document, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise DataError(
            f"{path} has no list 'shapes'; {_NOT_LABELME}", remedy="take other JSON files out of the folder"
        )
    if not isinstance(document.get("imagePath"), str):
        raise DataError(f"{path} has no imagePath; {_NOT_LABELME}", remedy="open and save the image with labelme")
    for number, shape in enumerate(shapes):
        label = shape.get("label")
        if not isinstance(label, str) or not label.strip() or broken_character(label):
            raise DataError(
                f"{path}: shape {number} has the label {ascii(label)[:60]}; expected a text",
                remedy="name the shape in labelme, or delete it",
            )
        shape["label"] = label.strip()  # a blank at the end would make a class of its own
    return {key: document.get(key) for key in ("shapes", "imagePath", "imageHeight", "imageWidth")}


def image_of(path: Path, image_path: str) -> Path:
    """The image that a JSON file names.

    Raises:
        DataError: it does not exist.
    """
    image = os.path.normpath(os.path.join(path.parent, image_path.replace("\\", "/")))
    if not os.path.isfile(image):  # also False for a name that no file can have
        raise DataError(
            f"{path}: its image {image} does not exist", remedy="correct imagePath (relative to the JSON file)"
        )
    return Path(image)


def _stated_size(path: Path, document: Mapping[str, Any]) -> Size | None:
    """None where the file does not say it; older versions did not."""
    height, width = document["imageHeight"], document["imageWidth"]
    if type(height) is not int or type(width) is not int:
        return None
    fault = size_fault(height, width)
    if fault:
        raise DataError(f"{path}: imageWidth and imageHeight cannot be: {fault}",
                        remedy="open and save the image with labelme")  # fmt: skip
    return height, width


def _size_of(image: Path) -> Size:
    height, width = read_image(image).shape[:2]
    return height, width


def _objects(
    path: Path, shapes: Sequence[Mapping[str, Any]], names: Container[str], size: Size
) -> list[tuple[str, Rle]]:
    """(label, mask) of every object of one image; the parts of a group are united."""
    parts: dict[Any, list[Rle]] = {}
    for number, shape in enumerate(shapes):
        label, group = shape["label"], shape.get("group_id")
        if label not in names or shape.get("shape_type", "polygon") in _WITHOUT_AREA:
            continue
        key = (label, "shape", number) if group is None else (label, "group", str(group))
        parts.setdefault(key, []).append(_mask(path, number, shape, size))
    return [(key[0], coco_mask.merge(masks)) for key, masks in parts.items()]


def _mask(path: Path, number: int, shape: Mapping[str, Any], size: Size) -> Rle:
    kind = shape.get("shape_type", "polygon")
    where = f"{path}: shape {number} ({shape.get('label')}, {kind})"
    points = _points(where, shape.get("points"))
    if kind == "mask":
        return encode_region(size, *_stored_mask(where, shape, points, size))
    if kind == "rectangle" and len(points) == 2:
        (x1, y1), (x2, y2) = points
        points = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    elif kind == "circle" and len(points) == 2:
        radius = math.dist(points[0], points[1])
        angles = np.arange(_CIRCLE_POINTS) * (2 * math.pi / _CIRCLE_POINTS)
        points = points[0] + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    elif kind not in ("polygon", "rectangle"):  # newer versions write turned rectangles with four points
        raise DataError(f"{where} has {len(points)} points or a type that is not known",
                        remedy="use polygon, rectangle, circle or mask")  # fmt: skip
    if len(points) < 3:
        count = f"{len(points)} point{'' if len(points) == 1 else 's'}"
        raise DataError(f"{where} has {count}; it takes at least 3", remedy="draw it again, or delete it in labelme")
    polygon = points.ravel().tolist()
    if is_far(polygon, size):
        raise DataError(f"{where} reaches far outside the image", remedy="draw it again, or delete it in labelme")
    return coco_mask.merge(coco_mask.frPyObjects([polygon], *size))


def _points(where: str, value: Any) -> np.ndarray:
    """float64 [n, 2]."""
    try:
        points = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        points = np.array(np.nan)
    if points.shape[1:] != (2,) or not (np.abs(points) <= MAX_COORDINATE).all():
        raise DataError(f"{where} has points that are no pairs of numbers", remedy="draw it again in labelme")
    return points


def _stored_mask(where: str, shape: Mapping[str, Any], points: np.ndarray, size: Size) -> Region:
    """The bitmap of a shape of type 'mask': a PNG in base64 with its corner at the first point."""
    try:
        bitmap = (decode_label(base64.b64decode(shape["mask"]), where) > 0).astype(np.uint8)
        left, top = (round(value) for value in points[0])
    except (KeyError, ValueError, TypeError, IndexError, FileError) as error:
        raise DataError(f"{where} has a mask that cannot be decoded: {error}", remedy="draw it again") from error
    full = np.zeros(size, np.uint8)
    height, width = bitmap.shape
    if top < 0 or left < 0:
        bitmap, top, left = bitmap[max(-top, 0) :, max(-left, 0) :], max(top, 0), max(left, 0)
        height, width = bitmap.shape
    target = full[top : top + height, left : left + width]
    target[:] = bitmap[: target.shape[0], : target.shape[1]]
    return Region(0, 0, full)
