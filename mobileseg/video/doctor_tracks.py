"""Looking at annotated videos: frames in time, and objects through time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.data.doctor.checks import Finding
from mobileseg.data.doctor.scan import Examples, Size
from mobileseg.data.io import FileError, read_image
from mobileseg.instance.doctor_findings import REFUSED
from mobileseg.rle import decode_region

LARGE = 0.01
"""Share of the image from which on a mask is large: one that moves by more than itself is worth a look."""

TRACK_REFUSED = REFUSED | {
    "orphan": ("track-orphan", "tracks of videos that the file does not list"),
    "length": ("track-length", "tracks that do not have one entry per frame"),
}
"""What a dataset of videos refuses; see :data:`mobileseg.instance.doctor_findings.REFUSED`."""

# code: (level, what it means, fix)
_PROBLEMS: dict[str, tuple[str, str, str]] = {
    "frame-sizes": (
        "error",
        "videos whose frames differ in size",
        "write all frames of a video in one size, or make two videos of it",
    ),
    "track-class": ("error", "ids that change their class within a video", "give every object one id and one class"),
    "id-twice": ("error", "ids that occur twice in one frame", "give every object of a frame its own id"),
    "video-unannotated": (
        "warning",
        "videos without an annotation",
        "annotate them or take them out; nothing is trained or scored on them",
    ),
    "frame-gap": (
        "warning",
        "frames are missing between others",
        "copy the missing frames; key frames, references and speeds are counted in file numbers",
    ),
    "frame-duplicate": (
        "warning",
        "frames with the same pixels as the one before",
        "take them out, or make the clip again without repeated frames: nothing moves from one to the other",
    ),
    "mask-jump": (
        "warning",
        "large masks that share no pixel with the same object in the annotated frames before and after",
        "look at these frames: ids may be swapped there",
    ),
    "video-short": (
        "info",
        "videos of one frame",
        "nothing to do for evaluation; training with reference or clip draws nothing from them",
    ),
}


@dataclass
class TrackSummary:
    """What was found out about the videos of a split.

    Attributes:
        videos: number of videos.
        frames: number of frames.
        annotated: frames whose objects are known.
        tracks: number of objects, counted once per video.
        problems: examples per code.
    """

    videos: int = 0
    frames: int = 0
    annotated: int = 0
    tracks: int = 0
    problems: dict[str, Examples] = field(default_factory=dict)

    def add(self, code: str, where: str, detail: str) -> None:
        """Count one more problem."""
        self.problems.setdefault(code, Examples()).add(where, detail)


def examine_tracks(dataset: Any, chosen: Sequence[int] | None = None) -> TrackSummary:
    """Look at the annotations of a dataset of videos through time.

    Args:
        dataset: a :class:`~mobileseg.data.video_base.VideoDataset`.
        chosen: numbers of the videos; None: all.
    """
    summary = TrackSummary()
    for video in dataset.videos if chosen is None else [dataset.videos[number] for number in chosen]:
        annotated = [index for index in video.frames if dataset.annotated(index)]
        summary.videos += 1
        summary.frames += len(video.frames)
        summary.annotated += len(annotated)
        if not annotated:
            summary.add("video-unannotated", video.name, f"{video.name}: {len(video.frames)} frames")
        if len(video.frames) == 1:
            summary.add("video-short", video.name, video.name)
        _check_numbers(summary, video)
        _check_tracks(summary, dataset, video, annotated)
    return summary


def check_frames(summary: TrackSummary, dataset: Any, sizes: Mapping[int, Size], thumbnails: Mapping[int, Any]) -> None:
    """Compare the frames of every video with each other, as far as they were read.

    Args:
        summary: takes in what is found.
        dataset: of videos.
        sizes: number of a frame -> (height, width).
        thumbnails: number of a frame -> float32 [256]; equal ones point to equal frames, which are then read again.
    """
    for video in dataset.videos:
        read = [index for index in video.frames if index in sizes]
        seen = Counter(sizes[index] for index in read)
        if len(seen) > 1:
            usual = seen.most_common(1)[0][0]
            odd = next(index for index in read if sizes[index] != usual)
            detail = f"{dataset.items[odd].image.name} is {_shown(sizes[odd])}, others are {_shown(usual)}"
            summary.add("frame-sizes", video.name, f"{video.name}: {detail}")
        for before, after in pairwise(read):
            if after != before + 1 or not np.array_equal(thumbnails[before], thumbnails[after]):
                continue
            if _same_pixels(dataset.items[before].image, dataset.items[after].image):
                path = str(dataset.items[after].image)
                summary.add("frame-duplicate", path, f"{path} equals {dataset.items[before].image.name}")


def track_findings(name: str, summary: TrackSummary) -> Iterator[Finding]:
    """What is wrong with the videos of a split."""
    for code, (level, text, fix) in _PROBLEMS.items():
        found = summary.problems.get(code)
        if found is None:
            continue
        every = code == "video-unannotated" and found.count == summary.videos
        message = f"{text}: {found.count}; for example: {found.details[0]}"
        yield Finding("error" if every else level, code, message, tuple(found.files), found.count, fix, name)


def _check_numbers(summary: TrackSummary, video: Any) -> None:
    steps = np.diff(video.numbers)
    if not len(steps):
        return
    usual = int(np.bincount(np.minimum(steps, 10_000)).argmax())
    for place in np.flatnonzero(steps > usual)[:1]:
        first, last = video.numbers[place], video.numbers[place + 1]
        lost = int((steps // usual - 1).clip(0).sum())
        summary.add("frame-gap", video.name, f"{video.name}: {lost}, the first between {first} and {last}")


def _check_tracks(summary: TrackSummary, dataset: Any, video: Any, annotated: Sequence[int]) -> None:
    table = dataset.annotations
    tracks: dict[int, dict[int, int]] = {}
    for time, index in enumerate(annotated):
        for row in table.rows(index):
            places = tracks.setdefault(int(table.ids[row]), {})
            where = f"{video.name}: id {table.ids[row]} in {dataset.items[index].image.name}"
            if time in places:
                summary.add("id-twice", where, where)
            places[time] = row
    summary.tracks += len(tracks)
    for identifier, places in tracks.items():
        classes = {int(table.classes[row]) for row in places.values()}
        if len(classes) > 1:
            names = " and ".join(dataset.classes[label] for label in sorted(classes))
            summary.add("track-class", video.name, f"{video.name}: id {identifier} is {names}")
        for time, row in places.items():
            if time - 1 in places and time + 1 in places and not table.crowd[row]:
                size = table.size(annotated[time])
                if _jumps(table, row, (places[time - 1], places[time + 1]), size):
                    where = f"{video.name}: id {identifier} in {dataset.items[annotated[time]].image.name}"
                    summary.add("mask-jump", where, where)


def _jumps(table: Any, row: int, neighbours: tuple[int, int], size: Size) -> bool:
    """Whether a large mask shares no pixel with those of the same object in the frames beside it."""
    if table.areas[row] < LARGE * size[0] * size[1]:
        return False
    masks = [table.rle(one, size) for one in (row, *neighbours)]
    try:
        for mask in masks:
            decode_region(mask)  # pycocotools does not notice what does not fill the image
    except ValueError:  # reported with the object
        return False
    if not all(coco_mask.area(mask) for mask in masks):
        return False
    return not coco_mask.iou(masks[:1], masks[1:], [0, 0]).any()


def _same_pixels(one: Any, other: Any) -> bool:
    try:
        return np.array_equal(read_image(one), read_image(other))
    except FileError:
        return False


def _shown(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
