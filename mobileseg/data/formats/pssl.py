"""Pseudo labels of ImageNet for pre-training (Li et al., 'Distilling Ensemble of Explanations', ICIP 2023)."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.data.base import ImageDataset, SegmentationDataset, checked_mode, existing_folder
from mobileseg.data.formats.listfile import read_class_names, read_list
from mobileseg.data.io import read_image
from mobileseg.data.items import Item
from mobileseg.data.sample import Sample
from mobileseg.errors import DataError
from mobileseg.registry import DATASETS
from mobileseg.viz.palette import palette

_CLASSES = 1001
_BACKGROUND = 1000
_IGNORE = 1001
_MAX_MEMBER = 1 << 28  # bytes of an unpacked label; the largest images of ImageNet stay far below
_HINT = "pssl_root holds train.txt, imagenet_lsvrc_2015_synsets.txt and train/ with the .npz labels of PSSL"


@DATASETS.add_component
class PSSLDataset(SegmentationDataset):
    """1000 classes of ImageNet and a background; labels are .npz files with 1 (object), 0 (background), -1 (ignored).

    Args:
        imagenet_root: folder of ImageNet, with train/.
        pssl_root: folder of the labels.
        transforms: steps of the pipeline.
        mode: 'train'; there is no other part.
        edge: accepted for PaddleSeg's configs; edge losses here derive edges from the label.
        seed: start of all random choices.

    Raises:
        DataError: folders or lists are missing, or a line of the list names no class.
    """

    COUNT = _CLASSES
    label_dtype = np.uint16

    def __init__(
        self,
        imagenet_root: str,
        pssl_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        edge: bool = False,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "PSSLDataset", ("train",))
        images = existing_folder(imagenet_root, "PSSLDataset", "imagenet_root is the folder of ImageNet, with train/")
        root = existing_folder(pssl_root, "PSSLDataset", _HINT)
        names = read_class_names(root / "imagenet_lsvrc_2015_synsets.txt")
        if len(names) != _BACKGROUND:
            raise DataError(
                f"{root}/imagenet_lsvrc_2015_synsets.txt has {len(names)} names, expected 1000", remedy=_HINT
            )
        lines = [item.image.relative_to(root) for item in read_list(root / "train.txt", root, labels_needed=False)]
        self.ignore_index = _IGNORE
        self.lookup = None
        self.class_of = {name: index for index, name in enumerate(names)}
        # Labels of 1001 classes need more than the 8 bits that other datasets have.
        ImageDataset.__init__(
            self,
            [Item(images / f"{str(line).split('.JPEG')[0]}.JPEG", root / line) for line in lines],
            mode=mode,
            transforms=transforms,
            classes=(*names, "background"),
            palette=np.resize(palette(256), (_CLASSES, 3)),
            seed=seed,
            source=str(root / "train.txt"),
        )

    def load(self, index: int) -> Sample:
        """Decode image and label; the label is uint16 [H, W].

        Raises:
            DataError: unreadable file, sizes that differ, or an image of no class.
        """
        item = self.items[index]
        assert item.label is not None
        image = read_image(item.image)
        stored = _read(item.label)
        if stored.shape != image.shape[:2]:
            raise DataError(f"the label {item.label} is {stored.shape}, its image {item.image} {image.shape[:2]}")
        synset = item.image.name.split("_")[0]
        if synset not in self.class_of:
            raise DataError(
                f"{item.image}: '{synset}' is no class of ImageNet", remedy="names are like n01440764_10026.JPEG"
            )
        label = np.full(stored.shape, _BACKGROUND, np.uint16)
        label[stored == 1] = self.class_of[synset]
        label[stored == -1] = _IGNORE
        meta = {"ignore_index": _IGNORE, "image_path": str(item.image), "geometry": []}
        return Sample(image.astype(np.float32), label, meta)


def _read(path: Path) -> np.ndarray:
    """The integer array ``arr_0`` [H, W] of a .npz file; nothing in it is unpickled."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo("arr_0.npy").file_size
        if size > _MAX_MEMBER:
            raise DataError(f"the label {path} unpacks to {size} bytes", remedy="labels are images of a few megabytes")
        with np.load(path, allow_pickle=False) as arrays:
            stored: np.ndarray = arrays["arr_0"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"the label {path} cannot be read: {error}", remedy="download it again") from error
    if stored.ndim != 2 or stored.dtype.kind not in "iu":
        raise DataError(f"the label {path} is {stored.dtype} {stored.shape}, expected integers [H, W]")
    return stored
