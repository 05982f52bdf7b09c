"""COCO instances: one JSON file of annotations and a folder of images."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.data.annotations import AnnotationTable
from mobileseg.data.base import checked_mode, existing_folder
from mobileseg.data.formats.annotation_json import count_categories
from mobileseg.data.formats.coco_json import CocoFile, read_coco
from mobileseg.data.formats.listfile import find_file
from mobileseg.data.instance_base import InstanceDataset
from mobileseg.data.items import Item
from mobileseg.errors import DataError
from mobileseg.registry import DATASETS

logger = logging.getLogger(__name__)

_HINT = (
    "dataset_root holds annotations/instances_MODE*.json and the images; other places: annotation_file, image_dir. "
    "COCO 2017 itself: https://cocodataset.org/#download"
)
_PATTERNS = ("instances_{mode}2017.json", "instances_{mode}2014.json", "instances_{mode}.json", "{mode}.json")


@DATASETS.add_component
class CocoInstances(InstanceDataset):
    """Objects from a COCO instances file, with polygons, RLE of both kinds and crowd regions.

    Args:
        dataset_root: folder that holds ``annotations/`` and the images.
        transforms: steps of the pipeline.
        mode: 'train', 'val' or 'test'; picks the file.
        annotation_file: JSON file, relative to the working folder or else to ``dataset_root``; without it
            ``annotations/instances_{mode}2017.json``, ``..._{mode}2014.json`` or ``..._{mode}.json``.
        image_dir: folder of the images, likewise; without it the first of ``{mode}2017``, ``images/{mode}2017``,
            ``images`` and ``dataset_root`` itself (named after the annotation file) that holds them.
        classes: names of the categories to use, which become classes 0, 1, 2, ...; None: all, in the order of
            their ids.
        keep_empty: train on images without objects too.
        seed: start of all random choices.

    Raises:
        DataError: files are missing, the JSON is not COCO's, or annotations cannot be used.
        ConfigError: ``classes`` has an unknown name.
    """

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        annotation_file: str | None = None,
        image_dir: str | None = None,
        classes: Sequence[str] | None = None,
        keep_empty: bool = False,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "CocoInstances", ("train", "val", "test"))
        root = existing_folder(dataset_root, "CocoInstances", _HINT)
        path = _annotation_file(root, mode, annotation_file)
        found = self._read(path, classes)
        folder = _image_folder(root, path, image_dir, found.file_names)
        _require_images(folder, found, path)
        if mode == "train":
            _warn_of_flat_boxes(found.table, path)
        super().__init__(
            [Item(folder / name, path) for name in found.file_names],
            found.table,
            mode=mode,
            transforms=transforms,
            classes=found.classes,
            category_ids=found.category_ids,
            image_ids=found.image_ids,
            file_names=found.file_names,
            keep_empty=keep_empty,
            seed=seed,
            source=str(path),
        )

    def _read(self, path: Path, classes: Sequence[str] | None) -> CocoFile:
        return read_coco(path, classes, remedy=_HINT)

    @staticmethod
    def count_classes(section: Mapping[str, Any]) -> int | None:
        """Number of classes of a dataset section that does not name them; None when it cannot be known cheaply."""
        root = Path(str(section.get("dataset_root", "")))
        given = section.get("annotation_file")
        mode = str(section.get("mode", "train"))
        return count_categories(_annotation_file(root, mode, given if isinstance(given, str) else None))


def _warn_of_flat_boxes(table: AnnotationTable, path: Path) -> None:
    flat = np.flatnonzero((table.boxes[:, 2:] <= table.boxes[:, :2]).any(axis=1))
    if len(flat):
        logger.warning(
            "%s: %d annotation%s with a box of zero width or height, the first has id %d; not used for training "
            "('mobileseg doctor data CONFIG' lists them)",
            path,
            len(flat),
            "" if len(flat) == 1 else "s",
            table.ids[flat[0]],
        )


def _annotation_file(root: Path, mode: str, given: str | None) -> Path:
    if given is not None:
        return find_file(given, root)
    names = [pattern.format(mode=mode) for pattern in _PATTERNS]
    places = [root / "annotations" / name for name in names] + [root / name for name in names]
    return next((place for place in places if place.is_file()), places[0])


def _image_folder(root: Path, annotations: Path, given: str | None, names: Sequence[str]) -> Path:
    if given is not None:
        return existing_folder(find_file(given, root), "CocoInstances", "check image_dir")
    part = annotations.stem.removeprefix("instances_")
    folders = [root / part, root / "images" / part, root / "images", root, annotations.parent]
    for folder in folders:
        if any((folder / name).is_file() for name in names[:20]):
            return folder
    return next((folder for folder in folders if folder.is_dir()), root)


def _require_images(folder: Path, found: CocoFile, path: Path) -> None:
    """Refuse annotations whose images are not there; each folder is listed once."""
    listed: dict[str, set[str]] = {}
    missing = []
    for index, name in enumerate(found.file_names):
        parent, base = os.path.split(name)
        if parent not in listed:
            place = folder / parent
            listed[parent] = set(os.listdir(place)) if place.is_dir() else set()
        if base not in listed[parent]:
            missing.append(index)
    if missing:
        first = missing[0]
        raise DataError(
            f"{len(missing)} of {len(found.file_names)} images of {path} are missing, the first is "
            f"{folder / found.file_names[first]} (id {found.image_ids[first]})",
            remedy="set image_dir to the folder that file_name is relative to, or take the images out of the file",
        )
