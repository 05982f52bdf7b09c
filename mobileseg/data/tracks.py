"""Tracks of videos as YouTube-VIS documents (Yang et al., ICCV 2019; https://youtube-vos.org/dataset/vis)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco_mask

if TYPE_CHECKING:
    from mobileseg.data.subset import VideoSubset
    from mobileseg.data.video_base import VideoDataset


def video_document(dataset: VideoDataset | VideoSubset) -> dict[str, Any]:
    """The annotated frames of a dataset and their tracks: ``videos``, ``annotations``, ``categories``.

    Videos without an annotated frame are left out. Ids of the annotations count from 1 through the whole document;
    the dataset's own id of a track stands in ``track_id``.
    """
    table = dataset.annotations
    videos: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for video in dataset.videos:
        frames = [index for index in video.frames if dataset.annotated(index)]
        if not frames:
            continue
        height, width = table.size(frames[0])
        shape = {"width": width, "height": height, "length": len(frames)}
        names = [dataset.file_name(index) for index in frames]
        videos.append({"id": video.identifier, "name": video.name, "file_names": names, **shape})
        tracks: dict[int, list[int | None]] = {}
        for time, index in enumerate(frames):
            for row in table.rows(index):
                tracks.setdefault(int(table.ids[row]), [None] * len(frames))[time] = row
        for identifier, rows in tracks.items():
            first = next(row for row in rows if row is not None)
            entries.append(
                {
                    "id": len(entries) + 1,
                    "track_id": identifier,
                    "video_id": video.identifier,
                    "category_id": dataset.category_ids[int(table.classes[first])],
                    "iscrowd": int(table.crowd[first]),
                    **shape,
                    "segmentations": [None if row is None else _text(table.rle(row, (height, width))) for row in rows],
                    "bboxes": [None if row is None else _xywh(table.boxes[row]) for row in rows],
                    "areas": [None if row is None else float(table.areas[row]) for row in rows],
                }
            )
    names_of = dict(zip(dataset.category_ids, dataset.classes, strict=True))
    return {"videos": videos, "annotations": entries, "categories": categories(names_of)}


def categories(names: Mapping[int, str]) -> list[dict[str, Any]]:
    """COCO's list of categories."""
    return [{"id": identifier, "name": name} for identifier, name in names.items()]


def track_entry(masks: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    """``segmentations``, ``bboxes`` and ``areas`` of one track, from compressed RLE (None: not in the frame)."""
    return {
        "segmentations": [None if mask is None else _text(mask) for mask in masks],
        "bboxes": [None if mask is None else coco_mask.toBbox(mask).tolist() for mask in masks],
        "areas": [None if mask is None else int(coco_mask.area(mask)) for mask in masks],
    }


def _text(rle: Mapping[str, Any]) -> dict[str, Any]:
    counts = rle["counts"]
    return {"size": list(rle["size"]), "counts": counts if isinstance(counts, str) else counts.decode("ascii")}


def _xywh(box: np.ndarray) -> list[float]:
    x1, y1, x2, y2 = box.tolist()
    return [x1, y1, x2 - x1, y2 - y1]
