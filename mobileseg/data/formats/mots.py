"""MOTS: KITTI MOTS and MOTSChallenge, as maps of ids or as text (Voigtlaender et al., CVPR 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.data.annotations import AnnotationRows, AnnotationTable
from mobileseg.data.base import checked_mode, existing_folder
from mobileseg.data.formats.annotation_json import choose_classes
from mobileseg.data.formats.frame_folders import FrameFolder, assemble, choose_sequences, list_frames
from mobileseg.data.formats.mots_text import MotsObject, read_mots
from mobileseg.data.instances import Instances, Region
from mobileseg.data.io import read_ids
from mobileseg.data.video_base import Video, VideoDataset
from mobileseg.errors import ConfigError, DataError
from mobileseg.registry import DATASETS

STEP = 1000
"""A value of a map is the class times this, plus the number of the object."""

IGNORED = 10
"""The class of regions in which nothing counts."""

KITTI_VALIDATION = ("0002", "0006", "0007", "0008", "0010", "0013", "0014", "0016", "0018")
"""The split of the paper; the other of the 21 videos are for training."""

_HINT = (
    "dataset_root holds image_02/ and instances/ or instances_txt/ with one folder or file per video (KITTI MOTS, "
    "https://www.vision.rwth-aachen.de/page/mots), or folders with img1/ and gt/gt.txt (MOTSChallenge)"
)


@DATASETS.add_component
class Mots(VideoDataset):
    """Cars and pedestrians with ids, from 16-bit PNG (class * 1000 + number) or from MOTS text files.

    Regions to ignore become crowd regions of every class. The id of a track is the value in the maps, or the id of the
    text.

    Args:
        dataset_root: the folder, see the table of formats.
        transforms: steps of the pipeline.
        mode: 'train' or 'val'. Of KITTI MOTS' 21 videos 'val' has the nine of the paper; for others name ``sequences``.
        sequences: names of the videos; None: those of the mode.
        classes: 'car' and 'pedestrian', or one of them, which become classes 0, 1; None: both.
        keep_empty: train on frames without objects too.
        reference: see :class:`~mobileseg.data.video_base.VideoDataset`.
        clip: see there.
        gap: see there.
        seed: start of all random choices.

    Raises:
        DataError: files are missing or are not MOTS.
        ConfigError: an unknown class or video, or an argument that cannot be used.
    """

    CLASSES = ("car", "pedestrian")

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        sequences: Sequence[str | int] | None = None,
        classes: Sequence[str] | None = None,
        keep_empty: bool = False,
        reference: Sequence[int] | None = None,
        clip: int | None = None,
        gap: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "Mots", ("train", "val"))
        root = existing_folder(dataset_root, "Mots", _HINT)
        chosen = choose_classes(classes, self.CLASSES, "MOTS")
        self._class_of = {self.CLASSES.index(name) + 1: index for index, name in enumerate(chosen)}
        known = _videos(root)
        names = _sequences(sequences, sorted(known), mode, root)
        folders = [known[name] for name in names]
        found = assemble(folders)
        texts = {label for folder in folders for label in folder.labels if label is not None and label.suffix == ".txt"}
        table = self._from_text(found.videos, [item.label for item in found.items]) if texts else None
        super().__init__(
            found.items,
            found.videos,
            table,
            annotated=found.annotated,
            mode=mode,
            transforms=transforms,
            classes=chosen,
            category_ids=list(self._class_of),
            file_names=found.file_names,
            keep_empty=keep_empty,
            reference=reference,
            clip=clip,
            gap=gap,
            seed=seed,
            source=str(root),
        )

    def objects(self, index: int) -> Instances:
        """The objects of a frame in its original size, without reading its pixels.

        Raises:
            DataError: a map that is missing, damaged, or has a class that MOTS does not have.
        """
        path = self.items[index].label
        if self._table is not None or path is None:
            return super().objects(index)
        values = read_ids(path)
        regions, classes, crowd, ids = [], [], [], []
        for value in np.unique(values).tolist():
            category = value // STEP
            if value and category not in (*range(1, len(self.CLASSES) + 1), IGNORED):
                raise DataError(
                    f"{path} has the value {value}, of class {category}; MOTS has {list(self.CLASSES)} (1, 2) and "
                    f"{IGNORED} for regions to ignore",
                    remedy=f"write class * {STEP} + number of the object",
                )
            region = Region(0, 0, (values == value).view(np.uint8)).trimmed() if value else None
            for label in self._labels(category) if region is not None else ():
                assert region is not None
                regions.append(region)
                classes.append(label)
                crowd.append(category == IGNORED)
                ids.append(value + label if category == IGNORED else value)
        size = (values.shape[0], values.shape[1])
        return Instances.from_regions(size, regions, classes, crowd=crowd, ids=ids)

    def _labels(self, category: int) -> Sequence[int]:
        """The classes that an object of a stored class belongs to."""
        if category == IGNORED:
            return range(len(self._class_of))
        return [self._class_of[category]] if category in self._class_of else []

    def _from_text(self, videos: Sequence[Video], labels: Sequence[Path | None]) -> AnnotationTable:
        rows = AnnotationRows()
        sizes: list[tuple[int, int]] = []
        for video in videos:
            path = labels[video.frames.start]
            assert path is not None  # a text annotates all frames of its video
            found = read_mots(path)
            if not found.objects:
                raise DataError(f"{path} has no object", remedy="leave the video out with sequences")
            sizes += [found.size] * len(video.frames)
            place = dict(zip(video.numbers, video.frames, strict=True))
            for one in found.objects:
                if one.frame not in place:
                    raise DataError(
                        f"{path}: line {one.line} is about frame {one.frame}, the video has the frames "
                        f"{video.numbers[0]} to {video.numbers[-1]}",
                        remedy="copy the missing frames, or take the lines out",
                    )
                self._add(rows, place[one.frame], one, path)
        return AnnotationTable(rows, sizes)

    def _add(self, rows: AnnotationRows, index: int, one: MotsObject, path: Path) -> None:
        if one.category not in (*range(1, len(self.CLASSES) + 1), IGNORED):
            raise DataError(
                f"{path}: line {one.line} has the class {one.category}; MOTS has 1, 2 and {IGNORED}",
                remedy="write 1 for car, 2 for pedestrian",
            )
        for label in self._labels(one.category):
            rows.add(
                index,
                label,
                identifier=one.identifier + (label if one.category == IGNORED else 0),
                crowd=one.category == IGNORED,
                box=one.box,
                area=one.area,
                rle=one.rle,
            )


def _videos(root: Path) -> dict[str, FrameFolder]:
    """All videos of the folder, by name."""
    found: dict[str, FrameFolder] = {}
    for base in (root, root / "training", root / "train"):
        for images in (base / "image_02", base / "images"):
            for folder in sorted(images.iterdir()) if images.is_dir() else ():
                frames = list_frames(folder)
                labels = _labels_of(folder.name, frames, (base, root))
                if frames and labels is not None:
                    found.setdefault(folder.name, FrameFolder(folder.name, frames, labels))
        for text in sorted(base.glob("*/gt/gt.txt")):
            folder = text.parent.parent
            frames = list_frames(folder / "img1")
            if frames:
                found.setdefault(folder.name, FrameFolder(folder.name, frames, [text] * len(frames)))
    if not found:
        raise DataError(f"{root} has no video of MOTS with frames and annotations", remedy=_HINT)
    return found


def _labels_of(name: str, frames: Sequence[Path], places: Sequence[Path]) -> list[Path | None] | None:
    for place in places:
        maps = {path.stem: path for path in list_frames(place / "instances" / name, (".png",))}
        if maps:
            return [maps.get(frame.stem) for frame in frames]
        text = place / "instances_txt" / f"{name}.txt"
        if text.is_file():
            return [text] * len(frames)
    return None


def _sequences(wanted: Sequence[str | int] | None, known: Sequence[str], mode: str, root: Path) -> list[str]:
    if wanted is not None:
        return choose_sequences(wanted, known, str(root))
    held = [name for name in known if name in KITTI_VALIDATION]
    if not held and mode == "val":
        raise ConfigError(f"which videos of {root} are for validation is not known", remedy="name them in sequences")
    return held if mode == "val" else [name for name in known if name not in held]
