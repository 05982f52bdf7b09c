"""PASCAL VOC 2012 (Everingham et al., IJCV 2015), with the additional masks of SBD (Hariharan et al., ICCV 2011)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.data.base import SegmentationDataset, checked_mode, existing_folder
from mobileseg.data.formats.listfile import read_lines
from mobileseg.data.items import Item
from mobileseg.errors import DataError
from mobileseg.registry import DATASETS

_HINT = (
    "download VOCtrainval_11-May-2012.tar from http://host.robots.ox.ac.uk/pascal/VOC/voc2012/ and unpack it; "
    "dataset_root is its folder VOCdevkit"
)
_HINT_AUG = (
    "mode 'trainaug' needs ImageSets/Segmentation/aug.txt and index masks in SegmentationClassAug made from SBD; "
    "use mode 'train' without them"
)
_CLASSES = (
    "background, aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog, horse, "
    "motorbike, person, pottedplant, sheep, sofa, train, tvmonitor"
)


def voc_palette(count: int = 256) -> np.ndarray:
    """The colour map of the VOC development kit, uint8 [count, 3], RGB.

    Bits 0, 1, 2 of the class index are the highest bits of red, green, blue, bits 3, 4, 5 the next ones.
    """
    indices = np.arange(count)
    colours = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        colours[:, bit % 3] |= (((indices >> bit) & 1) << (7 - bit // 3)).astype(np.uint8)
    return colours


@DATASETS.add_component
class PascalVOC(SegmentationDataset):
    """Background and 20 classes of objects; palette PNG labels, 255 = border, ignored.

    Args:
        dataset_root: the folder VOCdevkit, with VOC2012 inside.
        transforms: steps of the pipeline.
        mode: 'train', 'val', 'trainval', or 'trainaug' for the SBD images in addition to 'train'.
        edge: accepted for PaddleSeg's configs; edge losses here derive edges from the label.
        label_map: stored value -> class index.
        seed: start of all random choices.

    Raises:
        DataError: folders or lists are missing.
    """

    CLASSES = tuple(_CLASSES.split(", "))
    PALETTE = voc_palette(len(CLASSES))

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        edge: bool = False,
        label_map: Mapping[Any, Any] | None = None,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "PascalVOC", ("train", "val", "trainval", "trainaug"))
        root = existing_folder(dataset_root, "PascalVOC", _HINT)
        if not (root / "VOC2012").is_dir() and (root / "VOCdevkit" / "VOC2012").is_dir():
            root = root / "VOCdevkit"
        year = existing_folder(root / "VOC2012", "PascalVOC", _HINT)
        lists = year / "ImageSets" / "Segmentation"
        first = lists / f"{'train' if mode == 'trainaug' else mode}.txt"
        items = _items(year, first, "SegmentationClass", _HINT)
        if mode == "trainaug":
            items += _items(year, lists / "aug.txt", "SegmentationClassAug", _HINT_AUG)
        super().__init__(
            items,
            mode=mode,
            transforms=transforms,
            classes=self.CLASSES,
            label_map=label_map,
            palette=self.PALETTE,
            seed=seed,
            source=str(first),
        )


def _items(year: Path, list_file: Path, label_folder: str, hint: str) -> list[Item]:
    if not list_file.is_file():
        raise DataError(f"the list file {list_file} does not exist", remedy=hint)
    names = [name for _, line in read_lines(list_file, hint) for name in line.split()]
    return [Item(year / "JPEGImages" / f"{name}.jpg", year / label_folder / f"{name}.png") for name in names]
