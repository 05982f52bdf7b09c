"""Cityscapes (Cordts et al., CVPR 2016, https://www.cityscapes-dataset.com)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mobileseg.data.base import SegmentationDataset, checked_mode, existing_folder
from mobileseg.data.items import Item
from mobileseg.errors import DataError
from mobileseg.registry import DATASETS

# name, id in *_labelIds.png, colour; the position in this table is the training index
_CLASSES: tuple[tuple[str, int, tuple[int, int, int]], ...] = (
    ("road", 7, (128, 64, 128)),
    ("sidewalk", 8, (244, 35, 232)),
    ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)),
    ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)),
    ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)),
    ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)
_HINT = (
    "download leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip from https://www.cityscapes-dataset.com "
    "and unpack both into dataset_root"
)


@DATASETS.add_component
class Cityscapes(SegmentationDataset):
    """19 classes of street scenes, 2048x1024 (width x height).

    Reads ``leftImg8bit/MODE/CITY/*_leftImg8bit.png`` with ``gtFine/MODE/CITY/*_gtFine_labelTrainIds.png``;
    where those have not been made, ``*_gtFine_labelIds.png`` of the download are read and mapped.

    Args:
        dataset_root: folder with leftImg8bit and gtFine.
        transforms: steps of the pipeline.
        mode: 'train', 'val' or 'test' (no labels that count).
        edge: accepted for PaddleSeg's configs; edge losses here derive edges from the label.
        label_map: stored value -> class index, in place of the built-in one.
        seed: start of all random choices.

    Raises:
        DataError: folders or labels are missing.
    """

    CLASSES = tuple(name for name, _, _ in _CLASSES)
    PALETTE = np.array([colour for _, _, colour in _CLASSES], np.uint8)

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        edge: bool = False,
        label_map: Mapping[Any, Any] | None = None,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "Cityscapes", ("train", "val", "test"))
        root = existing_folder(dataset_root, "Cityscapes", _HINT)
        image_root = existing_folder(root / "leftImg8bit" / mode, "Cityscapes", _HINT)
        label_root = existing_folder(root / "gtFine" / mode, "Cityscapes", _HINT) if mode != "test" else None
        images = sorted(image_root.glob("*/*_leftImg8bit.png"))
        items = [Item(image, None) for image in images]
        if label_root is not None and images:
            stems = [f"{image.parent.name}/{image.name.removesuffix('_leftImg8bit.png')}_gtFine" for image in images]
            kind = "labelTrainIds"
            if not any((label_root / f"{stem}_{kind}.png").is_file() for stem in stems):
                kind = "labelIds"
                ids = dict.fromkeys(range(256), 255) | {stored: index for index, (_, stored, _) in enumerate(_CLASSES)}
                label_map = ids if label_map is None else label_map
            items = [Item(image, label_root / f"{stem}_{kind}.png") for image, stem in zip(images, stems, strict=True)]
            missing = [item.label for item in items if item.label is not None and not item.label.is_file()]
            if missing:
                raise DataError(
                    f"{len(missing)} of {len(images)} images in {image_root} have no label, first: {missing[0]}",
                    remedy=_HINT,
                )
        super().__init__(
            items,
            mode=mode,
            transforms=transforms,
            classes=self.CLASSES,
            label_map=label_map,
            palette=self.PALETTE,
            seed=seed,
            source=str(image_root),
        )
