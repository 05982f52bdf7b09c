"""Folders of JSON files as labelme writes them (https://github.com/wkentaro/labelme): one per image."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mobileseg.data.base import checked_mode, existing_folder
from mobileseg.data.formats.annotation_json import choose_classes
from mobileseg.data.formats.labelme_json import HINT, LabelmeFiles, image_of, read_labelme
from mobileseg.data.formats.listfile import CLASS_FILE, find_file, read_class_names, read_lines
from mobileseg.data.instance_base import InstanceDataset
from mobileseg.data.io import IMAGE_SUFFIXES
from mobileseg.data.items import Item
from mobileseg.errors import DataError
from mobileseg.registry import DATASETS

logger = logging.getLogger(__name__)


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
        root = existing_folder(dataset_root, "LabelmeInstances", HINT)
        given = {"train": train_path, "val": val_path, "test": test_path}[mode]
        if classes is not None:
            classes = tuple(map(str, choose_classes(classes, classes, str(root))))
        files, source = _files(root, mode, given)
        found = _read(root, files, source, classes)
        if classes is not None and mode == "train":
            choose_classes(classes, sorted(found.used), str(source))
        left_out = {label: count for label, count in found.used.items() if label not in found.classes}
        _warn_of_unused(left_out, source)
        items = [Item(image_of(path, name), path) for path, name in zip(files, found.image_paths, strict=True)]
        super().__init__(
            items,
            found.table,
            mode=mode,
            transforms=transforms,
            classes=found.classes,
            file_names=[str(item.image.relative_to(root)) if item.image.is_relative_to(root) else item.image.name
                        for item in items],
            keep_empty=keep_empty,
            seed=seed,
            source=str(source),
        )  # fmt: skip
        self.left_out = left_out

    @staticmethod
    def count_classes(section: Mapping[str, Any]) -> int | None:
        """Number of classes of a dataset section that does not name them; None when its files cannot be read."""
        root = Path(str(section.get("dataset_root", "")))
        mode = str(section.get("mode", "train"))
        given = section.get(f"{mode}_path")
        try:
            if (root / CLASS_FILE).is_file():
                return len(read_class_names(root / CLASS_FILE))
            return len(_read(root, *_files(root, mode, given if isinstance(given, str) else None), None).classes)
        except DataError:
            return None  # said again, and better, when the dataset is built


def _files(root: Path, mode: str, given: str | None) -> tuple[list[Path], Path]:
    """The JSON files of a part of the dataset, and where they come from: a folder or a list."""
    listed = find_file(given, root) if given is not None else root / f"{mode}.txt"
    if given is None and (root / mode).is_dir():
        files = sorted((root / mode).rglob("*.json"))
        source = root / mode
    elif listed.is_file():
        files = [_json_file(root / line) for _, line in read_lines(listed, HINT)]
        source = listed
    else:
        flat = len(list(root.glob("*.json")))
        seen = f" ({root} itself has {flat} JSON files, which belong to no part)" if flat else ""
        raise DataError(f"there is neither {root / mode} nor {listed}{seen}", remedy=HINT)
    if not files:
        raise DataError(f"{source} names no JSON file of labelme", remedy=HINT)
    return files, source


def _json_file(path: Path) -> Path:
    """The JSON file of a line that names it, its image, or either without a suffix."""
    if path.suffix.lower() == ".json":
        return path
    return path.with_suffix(".json") if path.suffix.lower() in IMAGE_SUFFIXES else path.with_name(f"{path.name}.json")


def _read(root: Path, files: Sequence[Path], source: Path, classes: Sequence[str] | None) -> LabelmeFiles:
    if classes is None and (root / CLASS_FILE).is_file():
        classes = read_class_names(root / CLASS_FILE)
    return read_labelme(root, source, files, classes)


def _warn_of_unused(unused: Mapping[str, int], source: Path) -> None:
    if unused:
        shown = ", ".join(f"{label} ({count})" for label, count in sorted(unused.items())[:8])
        logger.warning("%s: shapes with labels that are no class are left out: %s", source, shown)
