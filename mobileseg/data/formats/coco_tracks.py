"""COCO files whose annotations have ids of tracks, as CVAT exports video to COCO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobileseg.data.formats.annotation_json import read_json
from mobileseg.data.formats.coco_annotations import is_integer
from mobileseg.data.formats.coco_json import read_coco
from mobileseg.data.formats.exported_tracks import ExportedTrack, ExportedVideo
from mobileseg.errors import DataError


def read_coco_tracks(path: Path) -> ExportedVideo:
    """The tracks of a COCO file of one video, whose images are the frames in the order of their names.

    An annotation has its track in ``attributes.track_id`` (CVAT) or in ``track_id``.

    Raises:
        DataError: no COCO file, annotations without a track, a track twice in a frame or under two labels.
    """
    found = read_coco(path)
    document = read_json(path, "export the video as COCO")
    numbers = {entry["id"]: _track_of(entry, path) for entry in document["annotations"]}
    order = sorted(range(len(found.file_names)), key=lambda index: found.file_names[index])
    sizes = {found.table.size(index) for index in order}
    if len(sizes) > 1:
        raise DataError(f"{path} has images of {len(sizes)} sizes", remedy="export one video per file")
    video = ExportedVideo(size=next(iter(sizes), None), length=len(order))
    tracks: dict[int, ExportedTrack] = {}
    for time, index in enumerate(order):
        for row in found.table.rows(index):
            number = numbers[int(found.table.ids[row])]
            label = found.classes[int(found.table.classes[row])]
            track = tracks.setdefault(number, ExportedTrack(label))
            where = f"{path}: track {number} in {found.file_names[index]}"
            if track.label != label:
                raise DataError(f"{where} is '{label}', before it was '{track.label}'", remedy="correct its label")
            if time in track.masks:
                raise DataError(f"{where} is there twice", remedy="give every object a track of its own")
            track.masks[time] = found.table.rle(row, found.table.size(index))
    video.tracks = list(tracks.values())
    return video


def _track_of(entry: Mapping[str, Any], path: Path) -> int:
    attributes = entry.get("attributes")
    number = entry.get("track_id", attributes.get("track_id") if isinstance(attributes, dict) else None)
    if not is_integer(number):
        raise DataError(
            f"{path}: annotation {entry.get('id')} has no track_id",
            remedy="annotate with tracks; a file of single images has none",
        )
    return number
