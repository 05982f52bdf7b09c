"""Tracks that were drawn in an annotation tool, on their way to a YouTube-VIS file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.data.formats.coco_annotations import is_far
from mobileseg.data.formats.frame_folders import list_frames
from mobileseg.data.instances import Size
from mobileseg.data.io import read_image
from mobileseg.data.tracks import categories, track_entry
from mobileseg.errors import DataError
from mobileseg.limits import MAX_COORDINATE
from mobileseg.rle import encode_region

MAX_FRAMES = 1_000_000
"""Of one video; a larger number of a frame is no number of a frame."""

Rle = dict[str, Any]


@dataclass
class ExportedTrack:
    """One object of a video: its label, and its mask (compressed RLE) in the frames where it can be seen."""

    label: str
    masks: dict[int, Rle] = field(default_factory=dict)


@dataclass
class ExportedVideo:
    """The export of one video.

    Attributes:
        tracks: in the order of the export.
        size: (height, width) as the export says; None when it does not.
        length: number of frames as the export says; None when it does not.
        boxes: shapes that are boxes and were left out because a box is no mask.
    """

    tracks: list[ExportedTrack] = field(default_factory=list)
    size: Size | None = None
    length: int | None = None
    boxes: int = 0


class FrameCount(NamedTuple):
    """(height, width) of a video and the number of its frames."""

    size: Size
    frames: int


class Canvas:
    """Draws shapes of an export as masks of one size.

    Args:
        size: height and width in pixels.
        source: file of the export, for messages.
    """

    def __init__(self, size: Size, source: Path) -> None:
        self.size = size
        self.source = source

    def polygon(self, numbers: Sequence[float], where: str) -> Rle:
        """A polygon x1, y1, x2, y2, ... in pixels.

        Raises:
            DataError: fewer than three points, or points that cannot be drawn.
        """
        if len(numbers) < 6 or len(numbers) % 2 or not all(map(math.isfinite, numbers)) or is_far(numbers, self.size):
            raise DataError(
                f"{self.source}: {where} has a polygon of {len(numbers) / 2:g} points that cannot be drawn",
                remedy="draw it again with at least three points inside the frame",
            )
        found: Rle = coco_mask.merge(coco_mask.frPyObjects([list(numbers)], *self.size))
        return found

    def box(self, x1: float, y1: float, x2: float, y2: float, where: str) -> Rle:
        """A filled rectangle, corners in pixels.

        Raises:
            DataError: no numbers, or no rectangle.
        """
        corners = (x1, y1, x2, y2)
        if not all(math.isfinite(corner) and abs(corner) < MAX_COORDINATE for corner in corners) or x2 < x1 or y2 < y1:
            raise DataError(f"{self.source}: {where} has no box: {corners}", remedy="draw it again")
        height, width = self.size
        left, right = (round(min(max(side, 0), width)) for side in (x1, x2))
        top, bottom = (round(min(max(side, 0), height)) for side in (y1, y2))
        return self.bitmap(top, left, np.ones((bottom - top, right - left), np.uint8))

    def bitmap(self, top: int, left: int, bitmap: np.ndarray) -> Rle:
        """A bitmap [h, w] inside the frame, with its corner at a row and a column."""
        return dict(encode_region(self.size, top, left, bitmap))


def frame_number(text: Any, where: str) -> int:
    """A checked number of a frame.

    Raises:
        DataError: no whole number of 0 to :data:`MAX_FRAMES`.
    """
    digits = str(text)
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10) or int(digits) > MAX_FRAMES:
        raise DataError(f"{where}: {digits[:40]!r} is no number of a frame", remedy="export the annotations again")
    return int(digits)


def youtube_vis_document(videos: Mapping[str, ExportedVideo], frames: Path) -> dict[str, Any]:
    """A YouTube-VIS document of several videos.

    Args:
        videos: name -> export; the frames of a video are the images of ``frames/NAME``, sorted by name, the first one
            being frame 0.
        frames: folder of the folders of frames; names in the document are relative to it.

    Raises:
        DataError: frames are missing, or are not those that were annotated.
    """
    labels = sorted({track.label for video in videos.values() for track in video.tracks})
    document: dict[str, Any] = {
        "videos": [],
        "annotations": [],
        "categories": categories(dict(enumerate(labels, 1))),
    }
    for number, (name, video) in enumerate(videos.items(), 1):
        images = list_frames(frames / name)
        height, width = _checked_size(name, video, images, frames)
        shape = {"height": height, "width": width, "length": len(images)}
        file_names = [f"{name}/{path.name}" for path in images]
        document["videos"].append({"id": number, "name": name, "file_names": file_names, **shape})
        for track in video.tracks:
            entry = {
                "id": len(document["annotations"]) + 1,
                "video_id": number,
                "category_id": labels.index(track.label) + 1,
                "iscrowd": 0,
                **shape,
            }
            document["annotations"].append(entry | track_entry([track.masks.get(time) for time in range(len(images))]))
    return document


def _checked_size(name: str, video: ExportedVideo, images: Sequence[Path], frames: Path) -> Size:
    if not images:
        raise DataError(
            f"there are no frames in {frames / name}",
            remedy=f"write the frames of the video there: ffmpeg -i CLIP -start_number 0 {frames / name}/%06d.jpg",
        )
    last = max((time for track in video.tracks for time in track.masks), default=0)
    if (video.length is not None and video.length != len(images)) or last >= len(images):
        seen = f"{video.length} frames" if video.length is not None else f"an object in frame {last}"
        raise DataError(
            f"the export of {name} has {seen}, but {frames / name} has {len(images)} frames",
            remedy="use all frames of the video that was annotated, from the first on and without a step",
        )
    image = read_image(images[0])
    size = (int(image.shape[0]), int(image.shape[1]))
    if video.size is not None and video.size != size:
        raise DataError(
            f"{name} was annotated in {video.size[1]}x{video.size[0]} (width x height), its frames are "
            f"{size[1]}x{size[0]}",
            remedy="use the frames in the size in which they were annotated",
        )
    return size


def frame_folders(frames: Path) -> dict[str, FrameCount]:
    """Size and number of the frames of every video, by name.

    Raises:
        DataError: no such folder, no folder with images in it, or an image that cannot be read.
    """
    if not frames.is_dir():
        raise DataError(f"the folder of frames {frames} does not exist", remedy="name the folder with --frames")
    found = {}
    for folder in sorted(path for path in frames.iterdir() if path.is_dir()):
        images = list_frames(folder)
        if images:
            image = read_image(images[0])
            found[folder.name] = FrameCount((int(image.shape[0]), int(image.shape[1])), len(images))
    if not found:
        raise DataError(
            f"{frames} has no folder with frames in it",
            remedy=f"write the frames of each video to a folder of its name: ffmpeg -i CLIP -start_number 0 "
            f"{frames}/CLIP/%06d.jpg",
        )
    return found
