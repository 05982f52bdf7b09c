"""DAVIS: folders of frames with index masks (Perazzi et al., CVPR 2016; Pont-Tuset et al., arXiv:1704.00675)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.data import png
from mobileseg.data.base import checked_mode, existing_folder
from mobileseg.data.formats.frame_folders import FrameFolder, assemble, choose_sequences, instances_of, list_frames
from mobileseg.data.formats.listfile import find_file, read_lines
from mobileseg.data.instances import Instances
from mobileseg.data.io import decode_label, read_bytes
from mobileseg.data.video_base import VideoDataset
from mobileseg.errors import DataError
from mobileseg.registry import DATASETS

logger = logging.getLogger(__name__)

_HINT = (
    "dataset_root holds JPEGImages/ and Annotations/ (or both with a folder 480p in between), with one folder per "
    "video; DAVIS itself: https://davischallenge.org"
)
_RESOLUTIONS = ("480p", "Full-Resolution", "")
_LISTS = ("ImageSets/2017/{mode}.txt", "ImageSets/2016/{mode}.txt", "ImageSets/{mode}.txt", "{mode}.txt")
VOID = 255


@DATASETS.add_component
class Davis(VideoDataset):
    """Videos as folders of frames, with a PNG per annotated frame whose values are the ids of the objects.

    A mask without a palette that is drawn in 0 and 255 alone has one object, with id 1; else 255 belongs to no object.
    A frame without a PNG is not annotated. All objects are of one class.

    Args:
        dataset_root: folder that holds ``JPEGImages`` and ``Annotations``.
        transforms: steps of the pipeline.
        mode: 'train', 'val' or 'test'; picks the list ``ImageSets/2017/MODE.txt`` (or 2016). Without any list all
            videos are used.
        list_file: names of the videos, one per line, relative to the working folder or else to ``dataset_root``.
        sequences: names of the videos, in place of a list.
        classes: name of the one class.
        keep_empty: train on annotated frames without objects too.
        reference: see :class:`~mobileseg.data.video_base.VideoDataset`.
        clip: see there.
        gap: see there.
        seed: start of all random choices.

    Raises:
        DataError: folders, lists or frames are missing.
        ConfigError: ``sequences`` has an unknown name, or an argument cannot be used.
    """

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        list_file: str | None = None,
        sequences: Sequence[str | int] | None = None,
        classes: Sequence[str] = ("object",),
        keep_empty: bool = False,
        reference: Sequence[int] | None = None,
        clip: int | None = None,
        gap: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "Davis", ("train", "val", "test"))
        root = existing_folder(dataset_root, "Davis", _HINT)
        images, labels = _folders(root)
        known = sorted(path.name for path in images.iterdir() if path.is_dir())
        wanted = sequences if sequences is not None else _listed(root, mode, list_file)
        found = assemble([_video(images, labels, name) for name in choose_sequences(wanted, known, str(images))])
        super().__init__(
            found.items,
            found.videos,
            None,
            annotated=found.annotated,
            mode=mode,
            transforms=transforms,
            classes=classes,
            file_names=found.file_names,
            keep_empty=keep_empty,
            reference=reference,
            clip=clip,
            gap=gap,
            seed=seed,
            source=str(root),
        )
        if self.num_classes != 1:
            raise DataError(
                f"Davis has objects of one class, classes names {self.num_classes}",
                remedy="write classes: [object]; a YouTube-VIS file can give every object its class",
            )

    def objects(self, index: int) -> Instances:
        """The objects of a frame in its original size, without reading its pixels; none where it is not annotated.

        Raises:
            DataError: a mask that is missing, damaged, or no index mask.
        """
        path = self.items[index].label
        if path is None:
            size = self._size_of(index)
            return Instances.empty(size)
        data = read_bytes(path, "label")
        values = decode_label(data, path)
        present = np.flatnonzero(np.bincount(values.ravel(), minlength=256)).tolist()
        if present in ([VOID], [0, VOID]) and png.palette(data) is None:
            values, present = (values == VOID).view(np.uint8), [0, 1]
        return instances_of(values, {number: 0 for number in present if number not in (0, VOID)})

    def _size_of(self, index: int) -> tuple[int, int]:
        """Height and width of a frame that is not annotated: those of the nearest one that is."""
        frames = self.videos[self.video_of(index)].frames
        annotated = [other for other in frames if self.annotated(other)]
        if not annotated:
            return self.load(index).size
        return self.objects(min(annotated, key=lambda other: abs(other - index))).size


def _folders(root: Path) -> tuple[Path, Path]:
    for resolution in _RESOLUTIONS:
        images, labels = root / "JPEGImages" / resolution, root / "Annotations" / resolution
        if images.is_dir() and labels.is_dir():
            return images, labels
    raise DataError(f"{root} has no folders JPEGImages and Annotations", remedy=_HINT)


def _listed(root: Path, mode: str, list_file: str | None) -> list[str] | None:
    places = [root / pattern.format(mode=mode) for pattern in _LISTS]
    path = find_file(list_file, root) if list_file is not None else next((p for p in places if p.is_file()), None)
    if path is None:
        logger.warning("%s has no list %s: all videos are used in mode '%s'", root, _LISTS[0].format(mode=mode), mode)
        return None
    return [line for _, line in read_lines(path, _HINT)]


def _video(images: Path, labels: Path, name: str) -> FrameFolder:
    frames = list_frames(images / name)
    masks = {path.stem: path for path in list_frames(labels / name, (".png",))}
    strange = sorted(masks.keys() - {path.stem for path in frames})
    if strange:
        raise DataError(
            f"the mask {masks[strange[0]]} has no frame {strange[0]}.* in {images / name} ({len(strange)} such masks)",
            remedy="copy the missing frames, or take the masks out",
        )
    return FrameFolder(name, frames, [masks.get(path.stem) for path in frames])
