"""Cell Tracking Challenge: microscopy with cells that divide (Ulman et al., Nature Methods 2017)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mobileseg.data.base import checked_mode, existing_folder
from mobileseg.data.formats.annotation_json import choose_classes
from mobileseg.data.formats.frame_folders import FrameFolder, assemble, choose_sequences, instances_of, list_frames
from mobileseg.data.formats.listfile import read_lines
from mobileseg.data.instances import Instances
from mobileseg.data.io import read_ids
from mobileseg.data.video_base import VideoDataset
from mobileseg.errors import ConfigError, DataError
from mobileseg.registry import DATASETS

_HINT = (
    "dataset_root is the folder of one data set, for example DIC-C2DH-HeLa: 01/t000.tif, 01_GT/TRA, 01_GT/SEG, "
    "01_ST/SEG; http://celltrackingchallenge.net"
)
_TIFF = (".tif", ".tiff")
_SEGMENTATIONS = {"gold": "{name}_GT/SEG", "silver": "{name}_ST/SEG", "markers": "{name}_GT/TRA"}
_FRAME = re.compile(r"(\d+)\.tiff?$", re.ASCII | re.IGNORECASE)
UNTRACKED = 1_000_000
"""Ids of segments without a marker begin here: each is a track of one frame."""


class CellTrack(NamedTuple):
    """A line of ``man_track.txt``: first and last frame of a cell, and the cell that it came from (0: none)."""

    first: int
    last: int
    parent: int


@DATASETS.add_component
class CellTracking(VideoDataset):
    """Cells with ids from 16-bit TIFF; a division ends the id of the mother, the daughters have new ones.

    Ids come from the markers ``*_GT/TRA``, masks from the segmentation: a segment has the id of the marker of which it
    covers more than half, which is the challenge's own rule. Frames without a segmentation are not annotated.

    Args:
        dataset_root: folder of one data set.
        transforms: steps of the pipeline.
        mode: 'train' or 'val'; which videos are for what, ``sequences`` says.
        sequences: names of the videos, for example ['01']; None: all.
        masks: 'gold' (``*_GT/SEG``, drawn by people, some frames only), 'silver' (``*_ST/SEG``, from the best programs,
            all frames), or 'markers' (``*_GT/TRA``; in many data sets these are discs inside the cells).
        classes: ['cell'].
        keep_empty: train on annotated frames without cells too.
        reference: see :class:`~mobileseg.data.video_base.VideoDataset`.
        clip: see there.
        gap: see there.
        seed: start of all random choices.

    Raises:
        DataError: files are missing, or ``man_track.txt`` is none.
        ConfigError: ``sequences`` has an unknown name, or an argument cannot be used.
    """

    CLASSES = ("cell",)

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        sequences: Sequence[str | int] | None = None,
        masks: str = "silver",
        classes: Sequence[str] | None = None,
        keep_empty: bool = False,
        reference: Sequence[int] | None = None,
        clip: int | None = None,
        gap: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "CellTracking", ("train", "val"))
        if masks not in _SEGMENTATIONS:
            raise ConfigError(f"masks is {masks!r}", remedy=f"use one of {', '.join(_SEGMENTATIONS)}")
        root = existing_folder(dataset_root, "CellTracking", _HINT)
        known = sorted(path.name.removesuffix("_GT") for path in root.glob("*_GT") if (path / "TRA").is_dir())
        if not known:
            raise DataError(f"{root} has no folder *_GT/TRA", remedy=_HINT)
        names = choose_sequences(sequences, known, str(root))
        found = assemble([_video(root, name, _SEGMENTATIONS[masks].format(name=name)) for name in names])
        self._root = root
        self._tracks = [read_tracks(root / f"{name}_GT" / "TRA" / "man_track.txt") for name in names]
        super().__init__(
            found.items,
            found.videos,
            None,
            annotated=found.annotated,
            mode=mode,
            transforms=transforms,
            classes=choose_classes(classes, self.CLASSES, "the Cell Tracking Challenge"),
            file_names=found.file_names,
            keep_empty=keep_empty,
            reference=reference,
            clip=clip,
            gap=gap,
            seed=seed,
            source=str(root),
        )

    def tracks(self, video: int) -> Mapping[int, CellTrack]:
        """First and last frame and parent of every cell of a video, by id."""
        return self._tracks[video]

    def objects(self, index: int) -> Instances:
        """The cells of a frame in its original size, without reading its pixels; none where it is not annotated.

        Raises:
            DataError: a file that is missing or damaged, maps of different sizes, or a marker that ``man_track.txt``
                does not have in this frame.
        """
        video = self.videos[self.video_of(index)]
        number = video.numbers[index - video.frames.start]
        name = self.items[index].image.stem.removeprefix("t")
        path = self._root / f"{video.name}_GT" / "TRA" / f"man_track{name}.tif"
        markers = read_ids(path)
        tracks = self.tracks(self.video_of(index))
        present = [int(value) for value in np.unique(markers) if value]
        strange = [one for one in present if one not in tracks or not tracks[one].first <= number <= tracks[one].last]
        if strange:
            raise DataError(
                f"{path} has the cell {strange[0]}, which man_track.txt does not have in frame {number}",
                remedy="correct the line of the cell, or the map",
            )
        label = self.items[index].label
        if label is None:
            return Instances.empty((markers.shape[0], markers.shape[1]))
        if label == path:
            return instances_of(markers, dict.fromkeys(present, 0))
        segments = read_ids(label)
        if segments.shape != markers.shape:
            raise DataError(
                f"{label} is {segments.shape[1]}x{segments.shape[0]}, {path} is {markers.shape[1]}x{markers.shape[0]}",
                remedy="download the data set again",
            )
        ids = _matched(segments, markers, number)
        return instances_of(segments, dict.fromkeys(ids, 0), ids)


def _matched(segments: np.ndarray, markers: np.ndarray, frame: int) -> dict[int, int]:
    """Id of every segment: that of the marker of which it covers more than half."""
    sizes = np.bincount(markers.ravel())
    ids: dict[int, int] = {}
    for segment in np.unique(segments).tolist():
        if not segment:
            continue
        covered = np.bincount(markers[segments == segment], minlength=len(sizes))
        covered[0] = 0
        best = int(covered.argmax())
        tracked = 2 * covered[best] > sizes[best]  # at most one segment covers more than half of a marker
        ids[segment] = best if best and tracked else UNTRACKED + frame * 65_536 + segment
    return ids


def read_tracks(path: Path) -> dict[int, CellTrack]:
    """Read ``man_track.txt``: 'id first last parent' per line.

    Raises:
        DataError: a line that is none, an id that stands there twice, or a parent that there is not.
    """
    tracks: dict[int, CellTrack] = {}
    for number, line in read_lines(path, _HINT):
        fields = line.split()
        whole = [int(field) if field.isascii() and field.isdigit() and len(field) < 10 else -1 for field in fields]
        if len(whole) != 4 or min(whole) < 0 or not whole[0] or whole[1] > whole[2] or whole[0] in tracks:
            twice = "; the cell has a line before" if len(whole) == 4 and whole[0] in tracks else ""
            raise DataError(
                f"{path}:{number}: expected 'id first last parent', found '{line[:40]}'{twice}",
                remedy="write four whole numbers, one line per cell",
            )
        tracks[whole[0]] = CellTrack(*whole[1:])
    orphan = next((one for one, track in tracks.items() if track.parent and track.parent not in tracks), None)
    if orphan is not None:
        raise DataError(
            f"{path}: the parent {tracks[orphan].parent} of cell {orphan} has no line", remedy="write 0 for no parent"
        )
    return tracks


def _video(root: Path, name: str, segmentation: str) -> FrameFolder:
    frames = list_frames(root / name, _TIFF)
    found = {}
    for path in list_frames(root / segmentation, _TIFF):
        match = _FRAME.search(path.name)
        if match:
            found[int(match[1])] = path
    if not found:
        raise DataError(
            f"{root / segmentation} has no map of cells",
            remedy="choose other masks: 'gold', 'silver' or 'markers', whichever the data set has",
        )
    numbers = [int(match[1]) if (match := _FRAME.search(path.name)) else -1 for path in frames]
    lost = sorted(found.keys() - set(numbers))
    if lost:
        raise DataError(
            f"{found[lost[0]]} has no frame t{lost[0]:03d}.tif in {root / name} ({len(lost)} such maps)",
            remedy="copy the missing frames, or take the maps out",
        )
    return FrameFolder(name, frames, [found.get(number) for number in numbers])
