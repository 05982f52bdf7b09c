"""Files about the tracks of videos: statistics as CSV, MOTS text, and YouTube-VIS results."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mobileseg.files import GrowingText
from mobileseg.instance.coco_results import ImageIds
from mobileseg.rle import encode_region
from mobileseg.structures import InstanceResult

TRACK_FILES = ("csv", "mots", "ytvis")
"""``tracks/NAME.csv``, ``tracks/NAME.txt``, and one ``ytvis_results.json`` of all videos."""

YTVIS_FILE = "ytvis_results.json"

COLUMNS = (
    "track_id", "class", "first_frame", "last_frame", "frames", "first_seconds", "seconds_in_view", "mean_area",
    "mean_score",
)  # fmt: skip
"""Of the statistics; areas in pixels, frames counted from 0."""


class TrackFiles:
    """The files of a run, which appear when they are complete; a context manager.

    Left by an error or Ctrl-C it writes no YouTube-VIS results; the files of videos that were finished stay.

    Args:
        folder: of the results.
        kinds: some of `TRACK_FILES`.
        classes: class names.
        category_ids: number of every class in MOTS and YouTube-VIS; None counts from 1.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        kinds: Collection[str],
        classes: Sequence[str],
        category_ids: Sequence[int] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.kinds = set(kinds)
        self.classes = classes
        self.category_ids = category_ids or range(1, len(classes) + 1)
        self._videos = ImageIds()
        self._ytvis = GrowingText(self.folder / YTVIS_FILE) if "ytvis" in self.kinds else None
        self._any = False

    def video(self, name: str, fps: float) -> VideoTracks:
        """The files of one video, a context manager.

        Args:
            name: path without suffix, which no other video of the run has; of digits alone, it is the number of the
                video in YouTube-VIS results.
            fps: frames per second.
        """
        return VideoTracks(self, name, fps)

    def add_ytvis(self, name: str, tracks: Sequence[dict[str, Any]]) -> None:
        """Append the tracks of a video that has ended."""
        assert self._ytvis is not None
        for one in tracks:
            self._ytvis.write((",\n" if self._any else "") + json.dumps({"video_id": self._videos.of(name), **one}))
            self._any = True

    def __enter__(self) -> TrackFiles:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._ytvis is not None:
            self._ytvis.write("[")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ytvis is not None:
            self._ytvis.write("]\n")
            self._ytvis.close(complete=kind is None)


@dataclass
class _Statistics:
    """What is counted of one track."""

    first: int
    last: int = 0
    frames: int = 0
    area: int = 0
    score: float = 0.0
    classes: Counter[int] = field(default_factory=Counter)
    segmentations: dict[int, str] = field(default_factory=dict)  # compressed, by frame; of YouTube-VIS alone


class VideoTracks:
    """Takes the results of the frames of one video.

    MOTS text is written frame by frame. Of the statistics a few numbers per track are kept; YouTube-VIS lists the masks
    of a track one after the other, so these are kept too, compressed, until the video ends.

    Args:
        files: of the run.
        name: see :meth:`TrackFiles.video`.
        fps: frames per second.
    """

    def __init__(self, files: TrackFiles, name: str, fps: float) -> None:
        self._files = files
        self._name = name
        self._fps = fps
        self._tracks: dict[int, _Statistics] = {}
        self._frames = 0
        self._size = (0, 0)
        self._mots: GrowingText | None = None

    def add(self, result: InstanceResult) -> None:
        """Take in the next frame; the result has track ids. What belongs to no track is left out."""
        result = result.of_tracks()
        assert result.track_ids is not None
        self._size = result.masks.size
        areas = result.masks.areas()
        encoded = result.masks.to_rle() if "ytvis" in self._files.kinds else []
        for index, number in enumerate(result.track_ids.tolist()):
            one = self._tracks.setdefault(number, _Statistics(self._frames))
            one.last = self._frames
            one.frames += 1
            one.area += int(areas[index])
            one.score += float(result.scores[index])
            one.classes[int(result.classes[index])] += 1
            if encoded:
                one.segmentations[self._frames] = str(encoded[index]["counts"])
        if self._mots is not None:
            for line in mots_lines(result, self._frames, self._files.category_ids):
                self._mots.write(line + "\n")
        self._frames += 1

    def __enter__(self) -> VideoTracks:
        place = self._files.folder / "tracks" / self._name
        if self._files.kinds & {"csv", "mots"}:
            place.parent.mkdir(parents=True, exist_ok=True)
        if "mots" in self._files.kinds:
            self._mots = GrowingText(place.with_name(place.name + ".txt"))
        self._csv = place.with_name(place.name + ".csv")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A video that ends early, or a camera that is stopped, has tracks until there.
        complete = kind is None or issubclass(kind, KeyboardInterrupt) or self._frames > 0
        if self._mots is not None:
            self._mots.close(complete=complete)
        if not complete:
            return
        if "csv" in self._files.kinds:
            self._write_statistics()
        if "ytvis" in self._files.kinds:
            self._files.add_ytvis(self._name, [self._ytvis_entry(one) for one in self._tracks.values()])

    def _write_statistics(self) -> None:
        table = GrowingText(self._csv)
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, one in sorted(self._tracks.items()):
            writer.writerow(
                (
                    number,
                    self._files.classes[_most_common(one.classes)],
                    one.first,
                    one.last,
                    one.frames,
                    f"{one.first / self._fps:.3f}",
                    f"{one.frames / self._fps:.3f}",
                    f"{one.area / one.frames:.1f}",
                    f"{one.score / one.frames:.4f}",
                )
            )
        table.close(complete=True)

    def _ytvis_entry(self, one: _Statistics) -> dict[str, Any]:
        """A track with the mean of its scores; null in the frames without it."""
        masks = [one.segmentations.get(frame) for frame in range(self._frames)]
        return {
            "category_id": self._files.category_ids[_most_common(one.classes)],
            "score": round(one.score / one.frames, 6),
            "segmentations": [counts and {"size": list(self._size), "counts": counts} for counts in masks],
        }


def mots_lines(result: InstanceResult, frame: int, category_ids: Sequence[int]) -> list[str]:
    """MOTS text of a frame (Voigtlaender et al. 2019): frame, id, class, height, width, compressed RLE.

    No two masks share a pixel there: one that both have belongs to the better object. Objects without a pixel of their
    own are left out.
    """
    assert result.track_ids is not None
    height, width = result.masks.size
    taken = np.zeros((height, width), np.bool_)
    lines = []
    rows = zip(result.track_ids.tolist(), result.classes.tolist(), result.masks.regions, strict=True)
    for number, kind, (top, left, bitmap) in rows:
        inside = taken[top : top + bitmap.shape[0], left : left + bitmap.shape[1]]
        own = bitmap & ~inside
        inside |= bitmap
        if own.any():
            counts = encode_region((height, width), top, left, own)["counts"]
            lines.append(f"{frame} {number} {category_ids[kind]} {height} {width} {counts}")
    return lines


def _most_common(counts: Counter[int]) -> int:
    """The class in most frames; of several the lowest."""
    return min(counts, key=lambda kind: (-counts[kind], kind))
