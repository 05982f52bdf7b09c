"""Several datasets of images as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mobileseg.data.base import ImageDataset, SegmentationDataset
from mobileseg.data.instance_base import InstanceDataset
from mobileseg.data.instances import Instances
from mobileseg.data.parts import JoinedDataset, Parts, read_parts
from mobileseg.data.sample import Sample
from mobileseg.data.video_base import VideoDataset
from mobileseg.errors import ConfigError
from mobileseg.registry import DATASETS


@DATASETS.add_component
def Concat(
    parts: Sequence[Mapping[str, Any]],
    transforms: Sequence[Mapping[str, Any]] | None = None,
    mode: str = "train",
    seed: int = 0,
) -> ConcatLabels | ConcatObjects:
    """Several datasets of index masks, or several of objects, as one; all with the same classes, matched by name.

    With ratios, the part that a training sample comes from is drawn by them and the image evenly from that part, so an
    epoch is a number of samples (as many as there are images) and not a pass over the data. Without, every image comes
    once per epoch. Clips of videos are mixed by ``MixedClips``.

    Args:
        parts: at least two mappings with ``dataset``, the section of a dataset without transforms, and for training,
            all of them or none, ``ratio`` (above 0).
        transforms: steps of the pipeline, of all parts.
        mode: 'train', or 'val' or 'test' for parts of these modes.
        seed: start of all random choices.

    Returns:
        A dataset with the classes of the first part, in its order.

    Raises:
        DataError: see the datasets.
        ConfigError: parts that cannot be used, or do not go together.
    """
    joined = read_parts("Concat", parts, _check_part)
    _require_alike(joined.datasets, mode)
    if joined.shares is not None and joined.datasets[0].evaluates:
        raise ConfigError(
            f"Concat: ratios are for training; mode '{mode}' gives every image once", remedy="remove ratio"
        )
    made = ConcatLabels if isinstance(joined.datasets[0], SegmentationDataset) else ConcatObjects
    return made(joined, transforms=transforms, mode=mode, seed=seed)


class ConcatLabels(JoinedDataset, SegmentationDataset):
    """Several datasets of index masks as one; see :func:`Concat`.

    Attributes:
        parts: the datasets.
    """

    def __init__(self, joined: Parts, *, transforms: Any, mode: str, seed: int) -> None:
        first = joined.datasets[0]
        self._joined = joined
        self.parts = joined.datasets
        self.label_dtype = first.label_dtype
        self.pixels = first.pixels
        super().__init__(
            [item for part in self.parts for item in part.items],
            mode=mode,
            transforms=transforms,
            classes=first.classes,
            ignore_index=first.ignore_index,
            palette=first.palette,
            seed=seed,
            source=_sources(self.parts),
        )
        for part in self.parts:
            part.transforms = self.transforms  # for the doctor, which asks every part what becomes of its images
            _rename(part, first)

    def load(self, index: int) -> Sample:
        """Decode an image and its label, with the class indices of the first part."""
        part, own = self._joined.place(index)
        sample: Sample = part.load(own)
        return sample


class ConcatObjects(JoinedDataset, InstanceDataset):
    """Several datasets of objects as one; see :func:`Concat`.

    Images are numbered anew (ids 1, 2, 3, ...), because two parts may give one id to two images.

    Attributes:
        parts: the datasets.
    """

    def __init__(self, joined: Parts, *, transforms: Any, mode: str, seed: int) -> None:
        first = joined.datasets[0]
        self._joined = joined
        self.parts = joined.datasets
        self.pixels = first.pixels
        super().__init__(
            [item for part in self.parts for item in part.items],
            None,
            mode=mode,
            transforms=transforms,
            classes=first.classes,
            category_ids=first.category_ids,
            file_names=joined.each(lambda part, index: part.file_name(index)),
            keep_empty=any(part.keep_empty for part in self.parts),
            seed=seed,
            source=_sources(self.parts),
        )
        self.left_out = {label: count for part in self.parts for label, count in part.left_out.items()}
        self._tables = [np.array([first.classes.index(name) for name in part.classes], np.int64) for part in self.parts]

    def objects(self, index: int) -> Instances:
        """The objects of an image in its original size, with ids that no other part has."""
        number, own = self._joined.find(index)
        return self._renamed(self.parts[number].objects(own), number)

    def load(self, index: int) -> Sample:
        """Decode an image and its objects."""
        number, own = self._joined.find(index)
        sample = self.parts[number].load(own)
        assert sample.instances is not None  # of every image of InstanceDataset
        sample.instances = self._renamed(sample.instances, number)
        return sample

    def is_usable(self, sample: Sample) -> bool:
        """Whether the part of a transformed sample takes it as it is."""
        part, _ = self._joined.place(int(sample.meta["index"]))
        return bool(part.is_usable(sample))

    def _renamed(self, instances: Instances, number: int) -> Instances:
        found = instances.select(np.arange(len(instances)))
        found.classes = self._tables[number][found.classes]
        found.ids = found.ids * len(self.parts) + number
        return found


def _check_part(where: str, dataset: Any) -> None:
    made_of_parts = isinstance(dataset, ConcatLabels | ConcatObjects)
    of_images = isinstance(dataset, SegmentationDataset | InstanceDataset) and not isinstance(dataset, VideoDataset)
    if made_of_parts or not of_images:
        raise ConfigError(
            f"Concat: {where} is a {type(dataset).__name__}; expected a dataset of images with labels or objects",
            remedy="name the parts of a Concat one by one" if made_of_parts else "clips of videos: MixedClips",
        )


def _require_alike(datasets: Sequence[Any], mode: str) -> None:
    """Refuse parts that differ in what a sample of them means."""
    first = datasets[0]
    for number, dataset in enumerate(datasets):
        where = f"Concat: parts.{number}"
        if dataset.task != first.task:
            raise ConfigError(
                f"{where} is for {dataset.task} segmentation, parts.0 for {first.task}",
                remedy="use datasets of one task",
            )
        if (mode in ("val", "test")) != dataset.evaluates:
            raise ConfigError(
                f"{where} is in mode '{dataset.mode}', the whole in mode '{mode}'",
                remedy=f"write mode: {mode} in every part",
            )
        lacking = [name for name in first.classes if name not in dataset.classes]
        extra = [name for name in dataset.classes if name not in first.classes]
        if lacking or extra:
            sides = (("lacks", lacking), ("has in addition", extra))
            seen = " and ".join(f"{verb} {', '.join(names[:8])}" for verb, names in sides if names)
            raise ConfigError(
                f"{where} does not have the classes of parts.0: it {seen}",
                remedy="choose the same ones in all parts (classes: [...]); their order does not matter",
            )
        if dataset.pixels != first.pixels:
            kinds = (dataset.pixels, first.pixels)
            own, other = (f"img_channels {one.channels}, img_range {one.range}" for one in kinds)
            raise ConfigError(f"{where} has {own}, parts.0 {other}", remedy="use images of one kind")
        for name in ("ignore_index", "label_dtype"):
            if getattr(dataset, name, None) != getattr(first, name, None):
                raise ConfigError(
                    f"{where} has {name} {getattr(dataset, name)}, parts.0 {getattr(first, name)}",
                    remedy="use labels of one kind; label_map changes an ignored value",
                )


def _rename(part: SegmentationDataset, first: SegmentationDataset) -> None:
    """Let the stored values of a part's labels mean the classes of the first one."""
    if part.classes != first.classes:
        renamed = np.arange(256, dtype=np.uint8)
        renamed[: part.num_classes] = [first.classes.index(name) for name in part.classes]
        renamed[part.ignore_index] = part.ignore_index
        part.lookup = renamed if part.lookup is None else renamed[part.lookup]
        part.classes, part.palette = first.classes, first.palette


def _sources(parts: Sequence[ImageDataset]) -> str:
    return " and ".join(part.source for part in parts)
