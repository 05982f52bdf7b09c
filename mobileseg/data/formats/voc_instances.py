"""PASCAL VOC objects (Everingham et al., IJCV 2015) and those of SBD (Hariharan et al., ICCV 2011)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.data.base import checked_mode, existing_folder
from mobileseg.data.formats.annotation_json import choose_classes
from mobileseg.data.formats.listfile import find_file, read_lines
from mobileseg.data.formats.voc import PascalVOC
from mobileseg.data.instance_base import InstanceDataset
from mobileseg.data.instances import Instances, Region
from mobileseg.data.io import FileError, MissingFileError, read_bytes, read_label
from mobileseg.data.items import Item
from mobileseg.errors import DataError, DependencyError
from mobileseg.registry import DATASETS

VOID = 255
_HINT = (
    "dataset_root is the folder VOCdevkit (or VOC2012) of PASCAL VOC, or the folder benchmark_RELEASE (or its folder "
    "dataset) of SBD, http://home.bharathh.info/pubs/codes/SBD/download.html"
)
_ID_STEP = 256  # ids of the objects of one image follow each other; an index mask has at most 254


@DATASETS.add_component
class VocInstances(InstanceDataset):
    """The 20 classes of PASCAL VOC, from VOC's index masks or SBD's .mat files, whichever dataset_root holds.

    VOC gives an object's number per pixel in SegmentationObject and the class in SegmentationClass; pixels of its
    borders (255) belong to no object. SBD gives both in ``inst/NAME.mat``.

    Args:
        dataset_root: VOCdevkit or VOC2012; benchmark_RELEASE or its folder dataset.
        transforms: steps of the pipeline.
        mode: 'train', 'val', or for VOC 'trainval'.
        list_file: names of the images, one per line, in place of the mode's own list (relative to the working folder
            or else to the folder of the images' lists), for example ``train_noval.txt``.
        classes: names of the classes to use, which become classes 0, 1, 2, ...; None: all 20.
        keep_empty: train on images without objects of these classes too.
        seed: start of all random choices.

    Raises:
        DataError: folders, lists or files are missing.
        ConfigError: ``classes`` has an unknown name.
    """

    CLASSES = PascalVOC.CLASSES[1:]

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        list_file: str | None = None,
        classes: Sequence[str] | None = None,
        keep_empty: bool = False,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "VocInstances", ("train", "val", "trainval"))
        root = existing_folder(dataset_root, "VocInstances", _HINT)
        folder, self._is_sbd = _layout(root)
        lists = folder if self._is_sbd else folder / "ImageSets" / "Segmentation"
        path = lists / f"{mode}.txt" if list_file is None else find_file(list_file, lists)
        if not path.is_file():
            raise DataError(f"the list file {path} does not exist", remedy=_HINT)
        names = [name for _, line in read_lines(path, _HINT) for name in line.split()]
        items = [_sbd_item(folder, name) if self._is_sbd else _voc_item(folder, name) for name in names]
        _require_files(items)
        chosen = choose_classes(classes, self.CLASSES, "PASCAL VOC")
        self._class_of = {self.CLASSES.index(name) + 1: index for index, name in enumerate(chosen)}
        super().__init__(
            items,
            None,
            mode=mode,
            transforms=transforms,
            classes=chosen,
            category_ids=list(self._class_of),
            keep_empty=keep_empty,
            seed=seed,
            source=str(path),
        )
        if classes is not None and not self.evaluates and not keep_empty:
            self.keep_images_with_objects()  # reads all masks; with all classes every image has an object

    def objects(self, index: int) -> Instances:
        """The objects of an image in its original size, without reading its pixels.

        Raises:
            DataError: a file that is missing or damaged, or an object without a class.
        """
        path = self.items[index].label
        assert path is not None  # set for every item above
        numbers, categories = _read_sbd(path) if self._is_sbd else _read_voc(path)
        regions, classes, ids = [], [], []
        for number in np.unique(numbers):
            if number in (0, VOID):
                continue
            category = categories.get(int(number))
            if category not in range(1, len(self.CLASSES) + 1):
                raise DataError(
                    f"{path}: object {number} has the class {category}, not one of 1..{len(self.CLASSES)}",
                    remedy="download the annotations again",
                )
            if category in self._class_of:
                regions.append(Region(0, 0, (numbers == number).view(np.uint8)).trimmed())
                classes.append(self._class_of[category])
                ids.append(self.image_id(index) * _ID_STEP + int(number))
        return Instances.from_regions((numbers.shape[0], numbers.shape[1]), regions, classes, ids=ids)


def _layout(root: Path) -> tuple[Path, bool]:
    """The folder that everything is in, and whether it is SBD's."""
    for folder in (root, root / "dataset", root / "benchmark_RELEASE" / "dataset"):
        if (folder / "inst").is_dir():
            return folder, True
    for folder in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        if (folder / "SegmentationObject").is_dir():
            return folder, False
    raise DataError(f"{root} has neither SegmentationObject/ (PASCAL VOC) nor inst/ (SBD)", remedy=_HINT)


def _voc_item(folder: Path, name: str) -> Item:
    return Item(folder / "JPEGImages" / f"{name}.jpg", folder / "SegmentationObject" / f"{name}.png")


def _sbd_item(folder: Path, name: str) -> Item:
    return Item(folder / "img" / f"{name}.jpg", folder / "inst" / f"{name}.mat")


def _require_files(items: Sequence[Item]) -> None:
    """Refuse lists whose files are not there; each folder is listed once."""
    there = {folder: set(folder.iterdir()) for folder in {path.parent for item in items for path in item if path}
             if folder.is_dir()}  # fmt: skip
    missing = [path for item in items for path in item if path and path not in there.get(path.parent, ())]
    if missing:
        raise MissingFileError(
            f"{len(missing)} files of the list do not exist, the first is {missing[0]}",
            remedy="unpack the whole archive, or take the names out of the list",
        )


def _read_voc(path: Path) -> tuple[np.ndarray, dict[int, int]]:
    """uint8 [H, W] number of the object of every pixel, and the class of every object."""
    numbers = read_label(path)
    class_file = path.parent.parent / "SegmentationClass" / path.name
    values = read_label(class_file)
    if values.shape != numbers.shape:
        raise DataError(f"{path} and {class_file} differ in size", remedy="download the annotations again")
    counts = np.zeros((256, 256), np.int64)
    np.add.at(counts, (numbers.ravel(), values.ravel()), 1)
    counts[:, [0, VOID]] = 0  # an object's class is the one that most of its pixels have
    return numbers, {int(n): int(counts[n].argmax()) for n in np.flatnonzero(counts.any(axis=1))}


def _read_sbd(path: Path) -> tuple[np.ndarray, dict[int, int]]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise DependencyError(f"reading {path.name} of SBD needs SciPy", remedy="pip install scipy") from error
    try:
        content = loadmat(io.BytesIO(read_bytes(path, "annotation")), variable_names=["GTinst"])["GTinst"][0, 0]
        numbers = np.asarray(content["Segmentation"], np.uint8)
        categories = np.asarray(content["Categories"], np.int64).ravel()
    except Exception as error:  # SciPy lets through whatever damaged bytes lead to
        raise FileError(
            f"{path} is no annotation of SBD (.mat with GTinst.Segmentation and GTinst.Categories): {error}",
            remedy="download the annotations again",
        ) from error
    return numbers, {number: int(category) for number, category in enumerate(categories, start=1)}
