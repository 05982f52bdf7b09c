"""The portrait datasets of PortraitNet (Zhang et al., 2019): smoothed masks, channels in the order blue, green, red."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import cv2
import numpy as np

from mobileseg.data.base import SegmentationDataset, checked_mode, existing_folder
from mobileseg.data.formats.listfile import read_list
from mobileseg.data.items import Item
from mobileseg.data.sample import Sample
from mobileseg.registry import DATASETS

_SMOOTHING = 5  # pixels of the window in which the majority wins


class _PortraitDataset(SegmentationDataset):
    """Two classes; PaddleSeg's three lists of transforms are one here.

    Args:
        common_transforms: steps for image and label.
        transforms1: steps that follow them; null for none.
        transforms2: PaddleSeg's second view of the image, which its training does not use; not used here either.
        dataset_root: the unpacked folder.
        mode: 'train' or 'val'.
        edge: accepted for PaddleSeg's configs; edge losses here derive edges from the label.
        transforms: steps of the pipeline, instead of the lists above.
        seed: start of all random choices.

    Raises:
        DataError: the folder or a list is missing.
    """

    CLASSES = ("background", "person")
    LISTS: ClassVar[Mapping[str, str]]
    LABEL_MAP: ClassVar[Mapping[int, int]]
    HINT = ""

    def __init__(
        self,
        dataset_root: str,
        common_transforms: Sequence[Mapping[str, Any]] | None = None,
        transforms1: Sequence[Mapping[str, Any]] | None = None,
        transforms2: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        edge: bool = False,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        seed: int = 0,
    ) -> None:
        name = type(self).__name__
        mode = checked_mode(mode, name, tuple(self.LISTS))
        root = existing_folder(dataset_root, name, self.HINT)
        lines = [str(item.image.relative_to(root)) for item in read_list(root / self.LISTS[mode], root, "\t", False)]
        super().__init__(
            [self.item(root, line) for line in lines],
            mode=mode,
            transforms=transforms or [*(common_transforms or ()), *(transforms1 or ())],
            classes=self.CLASSES,
            label_map=self.LABEL_MAP,
            seed=seed,
            source=str(root / self.LISTS[mode]),
        )

    def item(self, root: Any, line: str) -> Item:
        """Image and label of a line of the list."""
        raise NotImplementedError

    def transformed(self, index: int, rng: np.random.Generator) -> Sample:
        """As every dataset, then the channels turned round and, in training, the label smoothed."""
        sample = super().transformed(index, rng)
        sample.image = np.ascontiguousarray(sample.image[:, :, ::-1])
        if sample.label is not None and not self.evaluates:
            ignored = sample.label == self.ignore_index
            person = (sample.label == 1).astype(np.uint8)
            # A mean of bytes is rounded: what is left is 1 where at least half of the window is.
            sample.label = np.minimum(cv2.blur(person, (_SMOOTHING, _SMOOTHING)), 1)
            sample.label[ignored] = self.ignore_index
        return sample


@DATASETS.add_component
class EG1800(_PortraitDataset):
    """1800 portraits (Shen et al., 2016)."""

    LISTS: ClassVar[Mapping[str, str]] = {"train": "eg1800_train.txt", "val": "eg1800_test.txt"}
    LABEL_MAP: ClassVar[Mapping[int, int]] = dict.fromkeys(range(2, 256), 0)
    HINT = "download https://paddleseg.bj.bcebos.com/dataset/EG1800.zip and unpack it"

    def item(self, root: Any, line: str) -> Item:
        """``NAME.png`` in Images/ and in Labels/."""
        return Item(root / "Images" / line, root / "Labels" / line)


@DATASETS.add_component
class SUPERVISELY(_PortraitDataset):
    """Faces and busts of the Supervisely person dataset."""

    LISTS: ClassVar[Mapping[str, str]] = {
        "train": "supervisely_face_train_easy.txt",
        "val": "supervisely_face_test_easy.txt",
    }
    LABEL_MAP: ClassVar[Mapping[int, int]] = dict.fromkeys(range(1, 256), 1)
    HINT = "download https://paddleseg.bj.bcebos.com/dataset/Supervisely_face.zip and unpack it"

    def item(self, root: Any, line: str) -> Item:
        """``FOLDER/.../img/NAME``: the first folder is dropped, the label is in ann/ beside img/."""
        inner = line.split("/", 1)[-1]
        return Item(root / inner, root / inner.replace("/img/", "/ann/"))
