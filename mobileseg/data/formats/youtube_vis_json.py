"""Reading and checking YouTube-VIS documents (Yang et al., ICCV 2019; https://youtube-vos.org/dataset/vis)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.data.annotations import AnnotationRows, AnnotationTable
from mobileseg.data.formats.annotation_json import choose_classes, document_lists, read_categories, read_json
from mobileseg.data.formats.coco_annotations import (
    AnnotationProblem,
    annotation_error,
    area_of,
    box_fault,
    is_integer,
    mask_of,
)
from mobileseg.data.instances import Size
from mobileseg.errors import DataError
from mobileseg.limits import broken_character, shown, size_fault
from mobileseg.rle import decode_region

_EXPECTED = "expected a YouTube-VIS file: an object with the lists 'videos', 'annotations' and 'categories'"
_EXPORT = "export the annotations as YouTube-VIS; 'mobileseg convert tracks' makes such a file of other tools' exports"


class VideoEntry(NamedTuple):
    """A video as its file has it: id, names of the frames in time order, (height, width)."""

    identifier: int
    file_names: tuple[str, ...]
    size: Size


class YouTubeVisFile(NamedTuple):
    """A document whose videos and categories are checked; its tracks are read by :meth:`table`.

    Attributes:
        path: of the file.
        classes: names of the chosen classes.
        category_ids: their ids.
        names: of all categories, by id.
        videos: in the order of the file.
        entries: the annotations as they stand there.
    """

    path: Path
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    names: Mapping[int, str]
    videos: tuple[VideoEntry, ...]
    entries: Sequence[dict[str, Any]]

    def annotated_videos(self) -> set[Any]:
        """Ids of the videos that have an annotation of any class."""
        return {entry.get("video_id") for entry in self.entries if is_integer(entry.get("video_id"))}

    def table(self, positions: Mapping[int, Sequence[int]], sizes: Sequence[Size]) -> AnnotationTable:
        """The objects of the chosen classes, frame by frame, with the id of their annotation.

        Args:
            positions: id of a video -> number of the item that each of its frames became; annotations of videos that
                are not named are left out.
            sizes: height and width of every item.

        Raises:
            AnnotationError: annotations that cannot be used.
        """
        rows = AnnotationRows()
        problems = list(self._read(positions, rows))
        if problems:
            raise annotation_error(self.path, problems)
        return AnnotationTable(rows, sizes)

    def _read(self, positions: Mapping[int, Sequence[int]], rows: AnnotationRows) -> Iterator[AnnotationProblem]:
        videos = {video.identifier: video for video in self.videos}
        chosen = {category: index for index, category in enumerate(self.category_ids)}
        seen: set[int] = set()
        for entry in self.entries:
            problem = _track_problem(entry, videos, self.names, seen)
            if problem is not None:
                yield problem
                continue
            seen.add(entry["id"])
            if entry["category_id"] not in chosen or entry["video_id"] not in positions:
                continue
            yield from _read_track(
                entry,
                videos[entry["video_id"]],
                positions[entry["video_id"]],
                chosen[entry["category_id"]],
                rows,
            )


def read_youtube_vis(
    path: Path, classes: Sequence[str] | None = None, *, needs_annotations: bool = True, remedy: str = _EXPORT
) -> YouTubeVisFile:
    """Read a YouTube-VIS file and check its videos and categories.

    Args:
        path: the file.
        classes: names of the categories to use, in that order; None: all, in the order of their ids.
        needs_annotations: False for files of test videos, whose ``annotations`` are missing or null.
        remedy: what to do when there is no such file.

    Raises:
        DataError: no YouTube-VIS file, or a video that cannot be used.
        ConfigError: ``classes`` has a name that is no category.
    """
    document = read_json(path, remedy)
    if isinstance(document, dict) and not needs_annotations and document.get("annotations") is None:
        document["annotations"] = []
    lists = document_lists(document, path, ("videos", "annotations", "categories"), _EXPECTED, _EXPORT)
    names = read_categories(lists["categories"], path)
    chosen = choose_classes(classes, list(names.values()), str(path))
    by_name = {name: identifier for identifier, name in names.items()}
    return YouTubeVisFile(
        path,
        chosen,
        tuple(by_name[name] for name in chosen),
        names,
        _videos(lists["videos"], path),
        lists["annotations"],
    )


def _videos(entries: Sequence[dict[str, Any]], path: Path) -> tuple[VideoEntry, ...]:
    videos = []
    for entry in entries:
        identifier, names = entry.get("id"), entry.get("file_names")
        where = f"{path}: video {shown(identifier)}"
        if not is_integer(identifier):
            raise DataError(f"{where} has no id that is a whole number", remedy="number the videos 1, 2, 3, ...")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
            seen = "no frames (file_names is an empty list)" if names == [] else "file_names that are no list of texts"
            raise DataError(f"{where} has {seen}", remedy="list the names of its frames, or take the video out")
        broken = next((name for name in names if broken_character(name)), None)
        if broken is not None:
            raise DataError(
                f"{where}: a frame has the character {broken_character(broken)}, which no file name can have: "
                f"{broken!a}",
                remedy="write the name of the file as it is",
            )
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise DataError(f"{where} lists the frame {twice[0]} twice", remedy="list every frame once, in time order")
        length = entry.get("length", len(names))
        if length != len(names):
            raise DataError(
                f"{where} has length {shown(length)} but {len(names)} file_names",
                remedy="write the number of its frames, or list the missing ones",
            )
        videos.append(VideoEntry(identifier, tuple(name.replace("\\", "/") for name in names), _size(entry, where)))
    ids = Counter(video.identifier for video in videos)
    if len(ids) < len(videos):
        raise DataError(
            f"{path}: two videos have the id {ids.most_common(1)[0][0]}", remedy="give every video its own id"
        )
    return tuple(videos)


def _size(entry: Mapping[str, Any], where: str) -> Size:
    height, width = entry.get("height"), entry.get("width")
    fault = "expected whole numbers"
    if is_integer(height) and is_integer(width):
        fault = size_fault(height, width)
        if not fault:
            return height, width
    raise DataError(
        f"{where} has width {shown(width)} and height {shown(height)}: {fault}",
        remedy="write the size of its frames in pixels",
    )


def _track_problem(
    entry: Mapping[str, Any], videos: Mapping[int, VideoEntry], names: Mapping[int, str], seen: set[int]
) -> AnnotationProblem | None:
    """What is wrong with an annotation as a whole, None when nothing is."""
    identifier, video_id, category = entry.get("id"), entry.get("video_id"), entry.get("category_id")
    where = _where(entry)
    if not is_integer(identifier) or identifier in seen:
        what = "has the id of another one" if is_integer(identifier) else "has no id that is a whole number"
        return AnnotationProblem("id", identifier, f"{where} {what}", "number the annotations 1, 2, 3, ...")
    if not is_integer(video_id) or video_id not in videos:
        text = f"{where}: there is no video with that id"
        return AnnotationProblem("orphan", identifier, text, "add the video to 'videos', or delete the annotation")
    if not is_integer(category) or category not in names:
        text = f"{where}: there is no category {shown(category)}"
        remedy = "add the category to 'categories', or correct category_id"
        return AnnotationProblem("category", identifier, text, remedy)
    length = len(videos[video_id].file_names)
    for key in ("segmentations", "bboxes", "areas"):
        value = entry.get(key)
        if value is None and key != "segmentations":
            continue
        if not isinstance(value, list) or len(value) != length:
            found = f"{len(value)} entries" if isinstance(value, list) else shown(value)
            text = f"{where}: {key} has {found}, its video {length} frames"
            return AnnotationProblem("length", identifier, text, "write one entry per frame, null where it is not seen")
    crowd = entry.get("iscrowd") or 0
    if crowd not in (0, 1) or isinstance(crowd, str):
        text = f"{where}: iscrowd is {shown(crowd)}, neither 0 nor 1"
        return AnnotationProblem("crowd", identifier, text, "write iscrowd: 0, or 1 for a group")
    return None


def _read_track(
    entry: Mapping[str, Any], video: VideoEntry, positions: Sequence[int], label: int, rows: AnnotationRows
) -> Iterator[AnnotationProblem]:
    identifier, length = entry["id"], len(video.file_names)
    boxes, areas = entry.get("bboxes") or [None] * length, entry.get("areas") or [None] * length
    for time, (segmentation, box, area) in enumerate(zip(entry["segmentations"], boxes, areas, strict=True)):
        if segmentation is None:
            continue
        where = f"{_where(entry)}, frame {time} ({video.file_names[time]})"
        fault = "" if box is None else box_fault(box)
        if fault:
            remedy = "write bboxes as [x, y, width, height] in pixels"
            yield AnnotationProblem("box", identifier, f"{where}: {fault}", remedy)
            continue
        polygons, rle, fault, code = mask_of(segmentation, video.size)
        if not fault and box is None:
            box, fault = _tight(polygons, rle, video.size)
            code = "rle"
        if fault:
            remedy = "draw the object again, or write null for this frame"
            yield AnnotationProblem(code, identifier, f"{where}: {fault}", remedy)
            continue
        x, y, width, height = box
        rows.add(
            positions[time],
            label,
            identifier=identifier,
            crowd=bool(entry.get("iscrowd")),
            box=(x, y, x + width, y + height),
            area=area_of(area, polygons, rle, video.size),
            polygons=polygons,
            rle=rle,
        )


def _tight(
    polygons: list[list[float]], rle: dict[str, Any] | None, size: Size
) -> tuple[list[float], str]:  # (x, y, width, height) and fault
    if rle is None:
        drawn = coco_mask.merge(coco_mask.frPyObjects(polygons, *size))
        return coco_mask.toBbox(drawn).tolist(), ""
    try:
        top, left, bitmap = decode_region(rle)
    except ValueError as error:
        return [0.0] * 4, str(error)
    return [float(value) for value in np.array([left, top, bitmap.shape[1], bitmap.shape[0]])], ""


def _where(entry: Mapping[str, Any]) -> str:
    return f"annotation {shown(entry.get('id'))} (video {shown(entry.get('video_id'))})"
