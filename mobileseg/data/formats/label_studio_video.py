"""Label Studio's JSON export of video annotations (https://labelstud.io/templates/video_object_detector)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from mobileseg.data.formats.annotation_json import read_json
from mobileseg.data.formats.coco_annotations import are_numbers, is_beyond, is_integer
from mobileseg.data.formats.exported_tracks import Canvas, ExportedTrack, ExportedVideo, FrameCount, frame_number
from mobileseg.errors import DataError
from mobileseg.limits import shown

_EXPORT = "export the project of videos as JSON (not JSON-MIN)"
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the name of an uploaded file
_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
_KEYS = ("x", "y", "width", "height")


def read_label_studio(path: Path, frames: Mapping[str, FrameCount], *, boxes: bool = False) -> dict[str, ExportedVideo]:
    """The videos of an export, by the name of their file without folder and suffix.

    Label Studio's tracks are boxes at key frames; between two of them the box is interpolated linearly unless the track
    is switched off at the first. Frames count from 1 there.

    Args:
        path: the export.
        frames: size and number of the frames of every video; the export has no sizes.
        boxes: take boxes as rectangular masks; else they are counted and left out.

    Raises:
        DataError: no export of videos, or a video without frames.
    """
    tasks = read_json(path, _EXPORT)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise DataError(f"{path} is no export of Label Studio: expected a list of tasks", remedy=_EXPORT)
    videos: dict[str, ExportedVideo] = {}
    for task in tasks:
        name = _video_name(task, path)
        if name in videos:
            raise DataError(f"{path}: the video {name} is annotated in two tasks", remedy="export one of them")
        if name not in frames:
            raise DataError(
                f"{path} has the video {name}, but there is no folder of frames of that name",
                remedy=f"write its frames to a folder {name}",
            )
        video = videos[name] = ExportedVideo(size=frames[name].size)
        for entry in _results(task, path):
            _read_track(entry, video, Canvas(frames[name].size, path), frames[name].frames, boxes=boxes)
    return videos


def _video_name(task: dict[str, Any], path: Path) -> str:
    data = task.get("data")
    texts = [value for value in data.values() if isinstance(value, str) and value] if isinstance(data, dict) else []
    if not texts:
        raise DataError(f"{path}: task {shown(task.get('id'))} has no data with a file name", remedy=_EXPORT)
    # The key is the one that the labelling interface names; a task may have other texts beside it.
    address = next((text for text in texts if text.lower().endswith(_SUFFIXES)), texts[0])
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise DataError(f"{path}: {address[:80]!a} is no address of a video", remedy=_EXPORT) from error
    query = parts.query.removeprefix("d=") if parts.query.startswith("d=") else ""  # files that are served locally
    stem = PurePosixPath(unquote(query or parts.path).replace("\\", "/")).stem
    return _UPLOAD.sub("", stem)


def _results(task: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """The tracks of the last annotation of a task that was not cancelled."""
    annotations = task.get("annotations")
    if not isinstance(annotations, list) or not all(isinstance(entry, dict) for entry in annotations):
        raise DataError(f"{path}: task {shown(task.get('id'))} has no list 'annotations'", remedy=_EXPORT)
    kept = [entry for entry in annotations if not entry.get("was_cancelled")]
    results = kept[-1].get("result") if kept else []
    if not isinstance(results, list) or not all(isinstance(entry, dict) for entry in results):
        raise DataError(f"{path}: task {shown(task.get('id'))} has an annotation without 'result'", remedy=_EXPORT)
    return [entry for entry in results if entry.get("type") == "videorectangle"]


def _read_track(entry: dict[str, Any], video: ExportedVideo, canvas: Canvas, count: int, *, boxes: bool) -> None:
    value = entry.get("value")
    where = f"region {shown(entry.get('id'))}"
    sequence = value.get("sequence") if isinstance(value, dict) else None
    labels = value.get("labels") if isinstance(value, dict) else None
    right = isinstance(sequence, list) and all(isinstance(key, dict) for key in sequence)
    if not right or not isinstance(labels, list) or not labels or not isinstance(labels[0], str):
        raise DataError(f"{canvas.source}: {where} has no sequence or no label", remedy="give the region a label")
    assert isinstance(value, dict)
    assert isinstance(sequence, list)
    stated = value.get("framesCount")
    if is_integer(stated):
        video.length = frame_number(stated, f"{canvas.source}: {where}, framesCount")
    keys = sorted((_key(key, canvas, where) for key in sequence), key=lambda key: key[0])
    if keys and keys[-1][0] >= count:
        raise DataError(
            f"{canvas.source}: {where} has a key frame {keys[-1][0] + 1}, the video has {count} frames",
            remedy="use all frames of the video that was annotated",
        )
    track = ExportedTrack(labels[0])
    for index, (frame, box, enabled) in enumerate(keys):
        until = keys[index + 1][0] if index + 1 < len(keys) else frame + 1
        if enabled and index + 1 == len(keys):
            until = count  # a track that is not switched off lasts to the end
        target = keys[index + 1][1] if index + 1 < len(keys) else box
        for time in range(frame, max(until, frame + 1) if enabled else frame + 1):
            if not boxes:
                video.boxes += 1
                continue
            share = (time - frame) / max(until - frame, 1) if target is not box else 0.0
            x, y, width, height = (one + share * (other - one) for one, other in zip(box, target, strict=True))
            track.masks[time] = canvas.box(x, y, x + width, y + height, f"{where}, frame {time + 1}")
    if track.masks:
        video.tracks.append(track)


def _key(key: dict[str, Any], canvas: Canvas, where: str) -> tuple[int, tuple[float, ...], bool]:
    """Frame counted from 0, box (x, y, width, height) in pixels, and whether the track goes on from here."""
    frame = frame_number(key.get("frame"), f"{canvas.source}: {where}")
    values: list[Any] = [key.get(name) for name in _KEYS]
    if frame < 1 or not are_numbers(values) or is_beyond(values):
        raise DataError(
            f"{canvas.source}: {where} has a key frame {frame} that is no box", remedy="draw the region again"
        )
    if key.get("rotation"):
        raise DataError(f"{canvas.source}: {where} is turned in frame {frame}", remedy="set its rotation to 0")
    height, width = canvas.size
    x, y, w, h = (value / 100 for value in values)
    return frame - 1, (x * width, y * height, w * width, h * height), bool(key.get("enabled", True))
