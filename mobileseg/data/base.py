"""What all datasets share, and those of images with index masks."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mobileseg.class_names import checked_names
from mobileseg.data.io import read_label
from mobileseg.data.items import Item, Items
from mobileseg.data.label_values import check_label_arguments, range_remedy
from mobileseg.data.pixel_format import PHOTOGRAPH, PixelFormat
from mobileseg.data.sample import Sample, Transform
from mobileseg.data.transforms.build import build_transforms
from mobileseg.errors import ConfigError, DataError
from mobileseg.limits import MAX_INTEGER, home_expanded, shown
from mobileseg.tasks import SEMANTIC
from mobileseg.viz.palette import palette as generated_palette

EVALUATION_MODES = ("val", "test")


class ImageDataset:
    """Images that are decoded and transformed on demand; can be pickled into worker processes.

    In training modes the transforms move image and truth together. In the modes 'val' and 'test' they see the image
    alone and the truth stays as it was annotated: predictions are resized, truth never.

    Attributes:
        task: what the truth is, see :mod:`mobileseg.tasks`; every dataset says it.
        classes: names, one per class index.
        num_classes: number of classes.
        palette: uint8 [num_classes, 3], RGB.
        items: image and label paths.
        mode: the part of the dataset.
        seed: all random choices derive from (seed, epoch, index).
        pixels: what pixels the images have.

    Args:
        items: image and label paths.
        mode: 'train' (or another training part), 'val' or 'test'.
        transforms: ``transforms:`` list of a configuration, or built transforms.
        classes: names, one per class.
        palette: uint8 [num_classes, 3].
        seed: start of all random choices.
        source: where the items come from, for messages.

    Raises:
        DataError: there is no item.
        ConfigError: an argument cannot be used.
    """

    task: str
    pixels: PixelFormat = PHOTOGRAPH

    def __init__(
        self,
        items: Sequence[Item],
        *,
        mode: str,
        transforms: Sequence[Mapping[str, Any] | Transform] | None,
        classes: Sequence[str],
        palette: np.ndarray,
        seed: int,
        source: str,
    ) -> None:
        if not items:
            raise DataError(
                f"the dataset is empty: no image in {source or 'the list'} (mode '{mode}')",
                remedy="put at least one image into the list or the folder, and check the mode",
            )
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= MAX_INTEGER:
            raise ConfigError(f"seed is {shown(seed)}; expected a whole number, at least 0", remedy="write seed: 0")
        self.items = Items(items)
        self.mode = mode
        self.classes = checked_names(classes, f"the dataset of {source}" if source else "the dataset")
        self.num_classes = len(self.classes)
        self.palette = np.asarray(palette, np.uint8)
        self.seed = seed
        self.source = source
        self.transforms = build_transforms(transforms)
        self._drawable: np.ndarray | None = None  # int64 [n]; None: every item
        for transform in self.transforms:
            if hasattr(transform, "attach"):
                transform.attach(self)
        if mode in EVALUATION_MODES:
            self._refuse_training_steps()

    @property
    def evaluates(self) -> bool:
        """Whether the truth stays untouched by the transforms (modes 'val' and 'test')."""
        return self.mode in EVALUATION_MODES

    def __len__(self) -> int:
        return len(self.items)

    def sequences(self) -> Sequence[Sequence[int]]:
        """Indices of the items that follow each other in time, in their order; an image is a sequence of one."""
        return [range(index, index + 1) for index in range(len(self))]

    def drawn(self, index: int, rng: np.random.Generator) -> int:
        """The item that stands for number ``index`` of the order in which samples are drawn."""
        return index if self._drawable is None else int(self._drawable[index % len(self._drawable)])

    def drawing_from(self, indices: np.ndarray) -> ImageDataset:
        """This dataset, of which training draws nothing but some items, each equally often.

        Its length stays: number i of an epoch stands for the i-th of these items, counted around.

        Args:
            indices: int64 [n], the items.

        Raises:
            DataError: none of them can be drawn.
        """
        allowed = np.arange(len(self)) if self._drawable is None else self._drawable
        kept = allowed[np.isin(allowed, indices)]
        if not len(kept):
            raise DataError(
                f"{self.source}: none of the {len(indices)} chosen items can be trained on",
                remedy="choose more of them",
            )
        part = copy.copy(self)
        part._drawable = kept
        return part

    def load(self, index: int) -> Sample:
        """The decoded image and its truth, before any transform."""
        raise NotImplementedError

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, np.ndarray]:
        """What training takes of an image, by name, for (epoch, index) or index (epoch 0); the same key, the same."""
        raise NotImplementedError

    def position(self, key: int | tuple[int, int]) -> tuple[int, int]:
        """(epoch, index) of a key, which is that pair or an index alone (epoch 0); index at least 0.

        Raises:
            IndexError: there is no such image.
        """
        epoch, index = key if isinstance(key, tuple) else (0, key)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} of a dataset with {len(self)} images")
        return epoch, index % len(self)

    def transformed(self, index: int, rng: np.random.Generator) -> Sample:
        """Image ``index`` after all transforms, which draw from ``rng``."""
        sample = self.moved(self.load(index), rng)
        sample.meta["index"] = index
        return sample

    def moved(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """A loaded sample after all transforms; in the modes 'val' and 'test' its truth stays as it was annotated."""
        label, instances = sample.label, sample.instances
        if self.evaluates:
            sample.label = sample.instances = None
        for transform in self.transforms:
            sample = transform(sample, rng)
            if sample.image.ndim == 2:  # OpenCV drops an axis of length 1
                sample.image = sample.image[..., None]
        if self.evaluates:
            sample.label, sample.instances = label, instances
        return sample

    def prepare(self, key: int | tuple[int, int]) -> Sample:
        """The transformed sample for ``key`` = (epoch, index) or index (epoch 0), image float32 [H, W, C].

        ``meta['geometry']`` says how to take scores back to the original pixels
        (:func:`mobileseg.data.sample.undo_geometry`).
        """
        epoch, index = self.position(key)
        rng = np.random.default_rng([self.seed, epoch, index])
        return self.transformed(self.drawn(index, rng), rng)

    def _refuse_training_steps(self) -> None:
        for transform in self.transforms:
            if getattr(transform, "train_only", False):
                name = type(transform).__name__
                raise ConfigError(
                    f"the transform {name} is for training; in mode '{self.mode}' the truth stays as annotated",
                    remedy=f"remove {name} from this dataset; use Resize or Padding to change the size",
                )


def check_count(num_classes: Any) -> None:
    """Refuse a number of classes that 8-bit labels cannot tell apart, before anything is made of it.

    Raises:
        ConfigError: no whole number of 1 to 255.
    """
    if not isinstance(num_classes, int) or isinstance(num_classes, bool) or not 1 <= num_classes <= 255:
        raise ConfigError(f"num_classes is {shown(num_classes)}; expected 1 to 255", remedy="labels are 8-bit indices")


def channels_first(sample: Sample) -> dict[str, np.ndarray]:
    """``image`` float32 [C, H, W] and ``index`` int64 of a prepared sample."""
    image = np.ascontiguousarray(sample.image.transpose(2, 0, 1), dtype=np.float32)
    return {"image": image, "index": np.asarray(sample.meta["index"], np.int64)}


class SegmentationDataset(ImageDataset):
    """Images with index masks.

    Attributes:
        ignore_index: label value of pixels that count nowhere.
        label_dtype: of every label; more than 255 classes need more than 8 bits.

    Args:
        items: image and label paths.
        mode: 'train' (or another training part), 'val' or 'test'.
        transforms: ``transforms:`` list of a configuration, or built transforms.
        classes: names, one per class.
        ignore_index: label value of pixels that count nowhere.
        label_map: stored value -> class index (or ignore_index); values that are not named stay as they are.
        palette: uint8 [num_classes, 3]; None generates one.
        seed: start of all random choices.
        source: where the items come from, for messages.

    Raises:
        DataError: there is no item.
        ConfigError: an argument cannot be used.
    """

    task = SEMANTIC
    label_dtype: type[np.generic] = np.uint8

    def __init__(
        self,
        items: Sequence[Item],
        *,
        mode: str,
        transforms: Sequence[Mapping[str, Any] | Transform] | None,
        classes: Sequence[str],
        ignore_index: int = 255,
        label_map: Mapping[Any, Any] | None = None,
        palette: np.ndarray | None = None,
        seed: int = 0,
        source: str = "",
    ) -> None:
        check_count(len(classes))
        if not 0 <= ignore_index <= 255:
            raise ConfigError(f"ignore_index is {ignore_index}; expected 0 to 255", remedy="use 255")
        super().__init__(
            items,
            mode=mode,
            transforms=transforms,
            classes=classes,
            palette=generated_palette(len(classes)) if palette is None else palette,
            seed=seed,
            source=source,
        )
        self.ignore_index = ignore_index
        check_label_arguments(self.transforms, self.num_classes, ignore_index)
        self.lookup = _lookup_table(label_map)
        self._is_wrong = np.ones(256, np.uint8)
        self._is_wrong[: self.num_classes] = 0
        self._is_wrong[ignore_index] = 0

    def load(self, index: int) -> Sample:
        """Decode image and label, apply the label map, check the label; no transforms.

        Raises:
            DataError: unreadable file, sizes that differ, or label values outside classes and ignore_index.
        """
        item = self.items[index]
        image = self.pixels.read(item.image)
        stored = None if item.label is None else read_label(item.label)
        label = None if stored is None else self.map_label(stored)
        if label is not None and stored is not None:
            if label.shape != image.shape[:2]:
                raise DataError(
                    f"the label {item.label} is {label.shape[1]}x{label.shape[0]} but its image {item.image} is "
                    f"{image.shape[1]}x{image.shape[0]} (width x height)",
                    remedy="make the label in the size of the image as it is displayed "
                    "(an EXIF-rotated photograph is turned when it is read)",
                )
            self._check_values(label, stored, item)
        meta = {"ignore_index": self.ignore_index, "image_path": str(item.image), "geometry": []}
        return Sample(self.pixels.levels(image), label, meta)

    def map_label(self, stored: np.ndarray) -> np.ndarray:
        """Class indices of stored label values, uint8 [H, W] to uint8 [H, W]."""
        return stored if self.lookup is None else cv2.LUT(stored, self.lookup)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, np.ndarray]:
        """``image`` float32 [C, H, W], ``label`` int64 [H, W] (when there is one) and ``index`` int64.

        Args:
            key: (epoch, index), or index for epoch 0; the same key always gives the same arrays.
        """
        sample = self.prepare(key)
        result = channels_first(sample)
        if sample.label is not None:
            self._check_transformed(sample)
            result["label"] = np.ascontiguousarray(sample.label, dtype=np.int64)
        return result

    def wrong_values(self, label: np.ndarray) -> dict[int, int]:
        """Values of a mapped label that are neither a class nor ignore_index, with their pixel counts."""
        if label.dtype != np.uint8:
            values, counts = np.unique(
                label[(label >= self.num_classes) & (label != self.ignore_index)], return_counts=True
            )
            return dict(zip(values.tolist(), counts.tolist(), strict=True))
        if not cv2.LUT(label, self._is_wrong).any():
            return {}
        counts = np.bincount(label.ravel(), minlength=256)
        return {value: int(counts[value]) for value in np.flatnonzero(counts) if self._is_wrong[value]}

    def _check_values(self, label: np.ndarray, stored: np.ndarray, item: Item) -> None:
        wrong = self.wrong_values(label)
        if not wrong:
            return
        lossy = str(item.label).lower().endswith((".jpg", ".jpeg", ".jfif"))
        values = np.unique(stored).tolist()
        raise DataError(
            f"the label {item.label} has {self._outside(wrong)}",
            remedy="save labels as PNG: JPEG compression changes the values"
            if lossy
            else range_remedy(values, self.num_classes, self.ignore_index, mapped=self.lookup is not None),
        )

    def _check_transformed(self, sample: Sample) -> None:
        """Labels are checked where they come out, too: a transform of anybody's may have written into them."""
        label = sample.label
        assert label is not None
        expected = np.dtype(self.label_dtype)
        wrong = self.wrong_values(label) if label.dtype == expected else {}
        if label.dtype == expected and not wrong:
            return
        seen = self._outside(wrong) if wrong else f"type {label.dtype}, expected {expected}"
        raise DataError(
            f"after the transforms, the label of {sample.meta.get('image_path', '')} has {seen}",
            remedy="one of the transforms writes values that are neither a class nor ignore_index",
        )

    def _outside(self, wrong: Mapping[int, int]) -> str:
        shown = ", ".join(f"{value} ({count} pixels)" for value, count in list(wrong.items())[:8])
        return (
            f"values outside the {self.num_classes} classes (0..{self.num_classes - 1}, {self.ignore_index} = ignore): "
            f"{shown}"
        )


def _lookup_table(label_map: Mapping[Any, Any] | None) -> np.ndarray | None:
    if not label_map:
        return None
    table = np.arange(256, dtype=np.uint8)
    for stored, wanted in label_map.items():
        try:
            stored_value, wanted_value = int(stored), int(wanted)
        except (TypeError, ValueError):
            stored_value = wanted_value = -1
        if not (0 <= stored_value <= 255 and 0 <= wanted_value <= 255):
            raise ConfigError(
                f"label_map has {stored!r}: {wanted!r}; expected numbers from 0 to 255",
                remedy="write 'label_map: {0: 0, 255: 1}'",
            )
        table[stored_value] = wanted_value
    return table


def existing_folder(path: str | os.PathLike[str] | None, name: str, hint: str) -> Path:
    """``path`` as a folder that exists.

    Raises:
        DataError: it does not; ``hint`` says how to get it.
    """
    if path is None:
        raise DataError(f"the dataset {name} has no dataset_root", remedy=hint)
    folder = home_expanded(path)
    if not os.path.isdir(folder):  # also False for a name that no folder can have
        state = "is no folder" if os.path.exists(folder) else "does not exist"
        raise DataError(f"the folder {folder} of the dataset {name} {state}", remedy=hint)
    return folder


def checked_mode(mode: str, name: str, known: Sequence[str]) -> str:
    """``mode`` in lower case.

    Raises:
        ConfigError: the dataset has no such part.
    """
    lowered = str(mode).lower()
    if lowered not in known:
        raise ConfigError(f"{name} has no mode {mode!r}", remedy=f"use one of {', '.join(known)}")
    return lowered
