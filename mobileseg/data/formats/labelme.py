"""Folders of JSON files as labelme writes them (https://github.com/wkentaro/labelme): one per image."""

from __future__ import annotations

import base64
import logging
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.data.annotations import AnnotationRows, AnnotationTable, Rle
from mobileseg.data.base import Item, checked_mode, existing_folder
from mobileseg.data.formats.annotation_json import choose_classes, read_json
from mobileseg.data.formats.coco_annotations import is_far
from mobileseg.data.formats.listfile import CLASS_FILE, find_file, read_class_names, read_lines
from mobileseg.data.instance_base import InstanceDataset
from mobileseg.data.instances import Region, Size
from mobileseg.data.io import IMAGE_SUFFIXES, FileError, decode_label, read_image
from mobileseg.errors import DataError
from mobileseg.limits import MAX_COORDINATE, broken_character, size_fault
from mobileseg.registry import DATASETS
from mobileseg.rle import encode_region

logger = logging.getLogger(__name__)

_HINT = (
    "dataset_root holds the folders train/ and val/, or train.txt and val.txt with one JSON file per line, "
    "relative to dataset_root"
)
_NOT_LABELME = "expected a file of labelme: an object with 'shapes' and 'imagePath'"
_CIRCLE_POINTS = 72
_WITHOUT_AREA = ("line", "linestrip", "point", "points")


@DATASETS.add_component
class LabelmeInstances(InstanceDataset):
    """Objects drawn with labelme: polygons, rectangles, circles and masks.

    Shapes of one label with the same ``group_id`` are parts of one object. Lines and points have no area and are
    left out. ``imagePath`` is relative to the JSON file; ``imageData`` is not used.

    Args:
        dataset_root: the folder.
        transforms: steps of the pipeline.
        mode: 'train', 'val' or 'test'; picks the folder ``dataset_root/MODE`` or the list ``dataset_root/MODE.txt``.
        train_path: list of JSON files, one per line, relative to the working folder or else to ``dataset_root``; so
            are the next two.
        val_path: list file.
        test_path: list file.
        classes: labels to use, which become classes 0, 1, 2, ...; None: those in ``dataset_root/classes.txt``, or all
            labels of all JSON files under ``dataset_root``, sorted.
        keep_empty: train on images without objects too.
        seed: start of all random choices.

    Raises:
        DataError: files are missing or are not labelme's, or shapes cannot be used.
        ConfigError: ``classes`` has a name that no training file has.
    """

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        train_path: str | None = None,
        val_path: str | None = None,
        test_path: str | None = None,
        classes: Sequence[str] | None = None,
        keep_empty: bool = False,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "LabelmeInstances", ("train", "val", "test"))
        root = existing_folder(dataset_root, "LabelmeInstances", _HINT)
        given = {"train": train_path, "val": val_path, "test": test_path}[mode]
        files, source = _files(root, mode, given)
        documents = [_read(path) for path in files]
        names = _class_names(root) if classes is None else choose_classes(classes, classes, str(root))
        used = Counter(shape["label"] for document in documents for shape in document["shapes"])
        if classes is not None and mode == "train":
            choose_classes(classes, sorted(used), source)
        left_out = {label: count for label, count in used.items() if label not in names}
        _warn_of_unused(left_out, source)
        rows, sizes, items = AnnotationRows(), [], []
        for index, (path, document) in enumerate(zip(files, documents, strict=True)):
            image = _image(path, document)
            size = _size(path, image, document)
            for label, rle in _objects(path, document["shapes"], names, size):
                x, y, width, height = coco_mask.toBbox(rle).tolist()
                rows.add(
                    index,
                    names.index(label),
                    identifier=len(rows.ids) + 1,
                    crowd=False,
                    box=(x, y, x + width, y + height),
                    area=float(coco_mask.area(rle)),
                    rle=rle,
                )
            sizes.append(size)
            items.append(Item(image, path))
        super().__init__(
            items,
            AnnotationTable(rows, sizes),
            mode=mode,
            transforms=transforms,
            classes=names,
            file_names=[str(item.image.relative_to(root)) if item.image.is_relative_to(root) else item.image.name
                        for item in items],
            keep_empty=keep_empty,
            seed=seed,
            source=source,
        )  # fmt: skip
        self.left_out = left_out

    @staticmethod
    def count_classes(section: Mapping[str, Any]) -> int | None:
        """Number of classes of a dataset section that does not name them; None when its files cannot be read."""
        try:
            return len(_class_names(Path(str(section.get("dataset_root", "")))))
        except DataError:
            return None  # said again, and better, when the dataset is built


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
    return _image(path, _read(path))


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
    size = _size(path, _image(path, document), document)
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


def _files(root: Path, mode: str, given: str | None) -> tuple[list[Path], str]:
    """The JSON files of a part of the dataset, and where their list comes from."""
    listed = find_file(given, root) if given is not None else root / f"{mode}.txt"
    if given is None and (root / mode).is_dir():
        files = sorted((root / mode).rglob("*.json"))
        source = str(root / mode)
    elif listed.is_file():
        files = [_json_file(root / line) for _, line in read_lines(listed, _HINT)]
        source = str(listed)
    else:
        flat = len(list(root.glob("*.json")))
        seen = f" ({root} itself has {flat} JSON files, which belong to no part)" if flat else ""
        raise DataError(f"there is neither {root / mode} nor {listed}{seen}", remedy=_HINT)
    if not files:
        raise DataError(f"{source} names no JSON file of labelme", remedy=_HINT)
    return files, source


def _json_file(path: Path) -> Path:
    """The JSON file of a line that names it, its image, or either without a suffix."""
    if path.suffix.lower() == ".json":
        return path
    return path.with_suffix(".json") if path.suffix.lower() in IMAGE_SUFFIXES else path.with_name(f"{path.name}.json")


def _class_names(root: Path) -> tuple[str, ...]:
    if (root / CLASS_FILE).is_file():
        return read_class_names(root / CLASS_FILE)
    labels = {shape["label"] for path in sorted(root.rglob("*.json")) for shape in _read(path)["shapes"]}
    if not labels:
        raise DataError(f"the files of labelme under {root} have no shape", remedy="draw objects, or give classes")
    return tuple(sorted(labels))


def _read(path: Path) -> dict[str, Any]:
    """A file of labelme without its ``imageData``."""
    document = read_json(path, _HINT)
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


def _warn_of_unused(unused: Mapping[str, int], source: str) -> None:
    if unused:
        shown = ", ".join(f"{label} ({count})" for label, count in sorted(unused.items())[:8])
        logger.warning("%s: shapes with labels that are no class are left out: %s", source, shown)


def _image(path: Path, document: Mapping[str, Any]) -> Path:
    image = Path(os.path.normpath(path.parent / document["imagePath"].replace("\\", "/")))
    if not os.path.isfile(image):  # also False for a name that no file can have
        raise DataError(
            f"{path}: its image {image} does not exist", remedy="correct imagePath (relative to the JSON file)"
        )
    return image


def _size(path: Path, image: Path, document: Mapping[str, Any]) -> Size:
    height, width = document["imageHeight"], document["imageWidth"]
    if type(height) is int and type(width) is int:
        fault = size_fault(height, width)
        if fault:
            raise DataError(f"{path}: imageWidth and imageHeight cannot be: {fault}",
                            remedy="open and save the image with labelme")  # fmt: skip
        return height, width
    shape = read_image(image).shape  # older versions did not write the size
    return shape[0], shape[1]


def _objects(
    path: Path, shapes: Sequence[Mapping[str, Any]], names: Sequence[str], size: Size
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
