"""Reading and checking YouTube-VIS documents (Yang et al., ICCV 2019; https://youtube-vos.org/dataset/vis)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.data.annotation_cache import CachedSource, Entry, packed_texts, unpacked_texts
from mobileseg.data.annotations import AnnotationRows, AnnotationTable
from mobileseg.data.formats.annotation_json import DocumentForm, choose_classes, read_categories, read_document
from mobileseg.data.formats.coco_annotations import (
    AnnotationProblem,
    area_of,
    box_fault,
    is_integer,
    mask_of,
)
from mobileseg.data.instances import Size
from mobileseg.errors import DataError
from mobileseg.limits import broken_character, shown, size_fault
from mobileseg.rle import decode_region

_EXPORT = "export the annotations as YouTube-VIS; 'mobileseg convert tracks' makes such a file of other tools' exports"
_FORM = DocumentForm(
    "videos",
    "expected a YouTube-VIS file: an object with the lists 'videos', 'annotations' and 'categories'",
    _EXPORT,
)


class VideoEntry(NamedTuple):
    """A video as its file has it.

    Attributes:
        identifier: its id.
        file_names: names of its listed frames, in time order.
        size: height and width.
        start: number of its first frame among the listed frames of all videos, one video after the other.
    """

    identifier: int
    file_names: tuple[str, ...]
    size: Size
    start: int

    @property
    def frames(self) -> range:
        """Numbers of its frames among those of all videos."""
        return range(self.start, self.start + len(self.file_names))


class YouTubeVisFile(NamedTuple):
    """A checked YouTube-VIS document.

    Attributes:
        classes: names of the chosen classes.
        category_ids: their ids.
        videos: in the order of the file.
        annotated: ids of the videos that have an annotation of any class.
        table: the objects of the chosen classes with the ids of their annotations; its images are the listed frames of
            all videos.
    """

    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    videos: tuple[VideoEntry, ...]
    annotated: frozenset[int]
    table: AnnotationTable

    def entry(self) -> Entry:
        """What is kept of it."""
        arrays = {
            "video_ids": np.array([video.identifier for video in self.videos], np.int64),
            "video_sizes": np.array([video.size for video in self.videos], np.int64).reshape(-1, 2),
            "video_starts": np.cumsum([0, *(len(video.file_names) for video in self.videos)]),
            "file_names": packed_texts([name for video in self.videos for name in video.file_names]),
            "annotated": np.array(sorted(self.annotated), np.int64),
            **self.table.arrays(),
        }
        return Entry({"classes": self.classes, "category_ids": self.category_ids}, arrays)

    @classmethod
    def of_entry(cls, entry: Entry) -> YouTubeVisFile:
        """What was kept."""
        facts, arrays = entry
        names = unpacked_texts(arrays["file_names"])
        parts = zip(
            arrays["video_ids"].tolist(),
            arrays["video_sizes"].tolist(),
            pairwise(arrays["video_starts"].tolist()),
            strict=True,
        )
        return cls(
            tuple(facts["classes"]),
            tuple(facts["category_ids"]),
            tuple(
                VideoEntry(identifier, tuple(names[start:stop]), (height, width), start)
                for identifier, (height, width), (start, stop) in parts
            ),
            frozenset(arrays["annotated"].tolist()),
            AnnotationTable.of_arrays(arrays),
        )


def read_youtube_vis(
    path: Path, classes: Sequence[str] | None = None, *, needs_annotations: bool = True, remedy: str = _EXPORT
) -> YouTubeVisFile:
    """Read and check a YouTube-VIS file. What was parsed is kept (:mod:`mobileseg.data.annotation_cache`).

    Args:
        path: the file.
        classes: names of the categories to use, in that order; None: all, in the order of their ids.
        needs_annotations: False for files of test videos, whose ``annotations`` are missing or null.
        remedy: what to do when there is no such file.

    Raises:
        DataError: no YouTube-VIS file, or a video that cannot be used.
        AnnotationError: annotations that cannot be used.
        ConfigError: ``classes`` has a name that is no category.
    """
    names = None if classes is None else [str(name) for name in classes]
    asked = {"format": "youtube_vis", "classes": names, "needs_annotations": needs_annotations}
    return CachedSource(path, asked).read(
        YouTubeVisFile,
        lambda: read_document(
            path,
            _FORM,
            lambda *lists: _VideoReading(path, classes, *lists),
            remedy=remedy,
            needs_annotations=needs_annotations,
        ),
    )


class _VideoReading:
    """A document whose annotations are being read."""

    def __init__(
        self,
        path: Path,
        classes: Sequence[str] | None,
        videos: Sequence[dict[str, Any]],
        categories: Sequence[dict[str, Any]],
    ) -> None:
        self._names = read_categories(categories, path)
        self._chosen = choose_classes(classes, list(self._names.values()), str(path))
        by_name = {name: identifier for identifier, name in self._names.items()}
        self._category_ids = tuple(by_name[name] for name in self._chosen)
        self._videos = {video.identifier: video for video in _videos(videos, path)}
        self._annotated: set[int] = set()
        self._rows = AnnotationRows()

    def read(self, annotations: Iterable[dict[str, Any]]) -> Iterator[AnnotationProblem]:
        labels = {category: index for index, category in enumerate(self._category_ids)}
        seen: set[int] = set()
        for entry in annotations:
            problem = _track_problem(entry, self._videos, self._names, seen)
            if problem is not None:
                yield problem
                continue
            seen.add(entry["id"])
            self._annotated.add(entry["video_id"])
            if entry["category_id"] in labels:
                yield from _read_track(entry, self._videos[entry["video_id"]], labels[entry["category_id"]], self._rows)

    def found(self) -> YouTubeVisFile:
        videos = tuple(self._videos.values())
        sizes = [video.size for video in videos for _ in video.file_names]
        table = AnnotationTable(self._rows, sizes)
        return YouTubeVisFile(self._chosen, self._category_ids, videos, frozenset(self._annotated), table)


def _videos(entries: Sequence[dict[str, Any]], path: Path) -> tuple[VideoEntry, ...]:
    videos, start = [], 0
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
        files = tuple(name.replace("\\", "/") for name in names)
        videos.append(VideoEntry(identifier, files, _size(entry, where), start))
        start += len(files)
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
    entry: Mapping[str, Any], video: VideoEntry, label: int, rows: AnnotationRows
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
            video.start + time,
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
