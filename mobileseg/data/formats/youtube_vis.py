"""YouTube-VIS: one JSON file of tracks and a folder of frames per video (Yang et al., ICCV 2019)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mobileseg.data.base import checked_mode, existing_folder
from mobileseg.data.formats.annotation_json import count_categories
from mobileseg.data.formats.listfile import find_file
from mobileseg.data.formats.youtube_vis_json import VideoEntry, read_youtube_vis
from mobileseg.data.items import Item
from mobileseg.data.video_base import Video, VideoDataset, file_numbers
from mobileseg.errors import ConfigError, DataError
from mobileseg.registry import DATASETS

_HINT = (
    "dataset_root holds train.json and train/JPEGImages (2019), or train/instances.json and train/JPEGImages (2021); "
    "other places: annotation_file, image_dir. YouTube-VIS itself: https://youtube-vos.org/dataset/vis"
)
_NAMES = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}
_FILES = (
    "{name}.json",
    "{name}/instances.json",
    "annotations/{name}.json",
    "annotations/instances_{name}.json",
    "annotations/clips_{name}.json",
)
_FOLDERS = (
    "{name}_all_frames/JPEGImages",
    "{name}/JPEGImages",
    "JPEGImages",
    "{name}",
    "clips/{name}/frames",
    "images",
    "",
)
_HOLDOUT_SEED = 0


@DATASETS.add_component
class YouTubeVIS(VideoDataset):
    """Tracks from a YouTube-VIS file of any year: masks as polygons or RLE of both kinds, or null where unseen.

    The file lists the annotated frames. Frames that lie between them in the folder are items too, without annotation:
    a stream needs them, and so does ``reference``. A video without any annotation counts as not annotated: nothing is
    drawn from it and nothing is scored on it.

    Args:
        dataset_root: the folder.
        transforms: steps of the pipeline.
        mode: 'train', 'val' or 'test'; picks the file. In 'test' a file needs no annotations.
        annotation_file: JSON file, relative to the working folder or else to ``dataset_root``.
        image_dir: folder that the names of the frames are relative to, likewise; where there are
            ``MODE_all_frames/JPEGImages`` and ``MODE/JPEGImages``, the first is taken.
        classes: names of the categories to use, which become classes 0, 1, 2, ...; None: all, in the order of their
            ids.
        all_frames: use the frames between the listed ones.
        holdout: share of the videos of one file that 'val' gets, 'train' getting the others: ids sorted, shuffled with
            a fixed seed. For files whose validation part is not public.
        keep_empty: train on annotated frames without objects too.
        reference: see :class:`~mobileseg.data.video_base.VideoDataset`; [2, 5] for YolactEdge.
        clip: see there.
        gap: see there.
        seed: start of all random choices.

    Raises:
        DataError: files are missing, the JSON is not YouTube-VIS, or annotations cannot be used.
        ConfigError: ``classes`` has an unknown name, or an argument cannot be used.
    """

    def __init__(
        self,
        dataset_root: str,
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        annotation_file: str | None = None,
        image_dir: str | None = None,
        classes: Sequence[str] | None = None,
        all_frames: bool = True,
        holdout: float | None = None,
        keep_empty: bool = False,
        reference: Sequence[int] | None = None,
        clip: int | None = None,
        gap: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        mode = checked_mode(mode, "YouTubeVIS", tuple(_NAMES))
        root = existing_folder(dataset_root, "YouTubeVIS", _HINT)
        path = _annotation_file(root, mode, annotation_file)
        found = read_youtube_vis(path, classes, needs_annotations=mode != "test", remedy=_HINT)
        entries = _part(found.videos, mode, holdout)
        folder = _image_folder(root, mode, image_dir, entries)
        frames = _frames(folder, entries, path, all_frames=all_frames)
        videos, places = _numbered(entries, frames)
        counts = [len(names) for names in frames]
        sizes = np.repeat(np.array([entry.size for entry in entries], np.int64).reshape(-1, 2), counts, axis=0)
        annotated = np.zeros(len(sizes), bool)
        annotated[places] = np.repeat(
            [entry.identifier in found.annotated for entry in entries], [len(entry.frames) for entry in entries]
        )
        _require_annotations(path, entries, found.annotated, mode)
        listed = found.table.select_images([number for entry in entries for number in entry.frames])
        names = [name for video in frames for name in video]
        super().__init__(
            [Item(folder / name, path) for name in names],
            videos,
            listed.place_images(places, sizes),
            annotated=annotated,
            mode=mode,
            transforms=transforms,
            classes=found.classes,
            category_ids=found.category_ids,
            file_names=names,
            keep_empty=keep_empty,
            reference=reference,
            clip=clip,
            gap=gap,
            seed=seed,
            source=str(path),
        )

    @staticmethod
    def count_classes(section: Mapping[str, Any]) -> int | None:
        """Number of classes of a dataset section that does not name them; None when it cannot be known cheaply."""
        root = Path(str(section.get("dataset_root", "")))
        given = section.get("annotation_file")
        mode = str(section.get("mode", "train"))
        path = _annotation_file(root, mode, given if isinstance(given, str) else None) if mode in _NAMES else None
        return None if path is None else count_categories(path)


def _annotation_file(root: Path, mode: str, given: str | None) -> Path:
    if given is not None:
        return find_file(given, root)
    places = [root / pattern.format(name=name) for pattern in _FILES for name in _NAMES[mode]]
    return next((place for place in places if place.is_file()), places[0])


def _part(videos: Sequence[VideoEntry], mode: str, holdout: float | None) -> list[VideoEntry]:
    """The videos of a mode, in the order of the file."""
    if holdout is None or mode == "test":
        return list(videos)
    if not 0 < holdout < 1:
        raise ConfigError(f"holdout is {holdout}; expected a share between 0 and 1", remedy="write holdout: 0.15")
    ids = np.array(sorted(video.identifier for video in videos), np.int64)
    held = set(np.random.default_rng(_HOLDOUT_SEED).permutation(ids)[: round(len(ids) * holdout)].tolist())
    return [video for video in videos if (video.identifier in held) == (mode == "val")]


def _image_folder(root: Path, mode: str, given: str | None, videos: Sequence[VideoEntry]) -> Path:
    if given is not None:
        return existing_folder(find_file(given, root), "YouTubeVIS", "check image_dir")
    folders = [root / pattern.format(name=name) for pattern in _FOLDERS for name in _NAMES[mode]]
    if mode == "val":  # a part held out of the training videos
        folders += [root / pattern.format(name="train") for pattern in _FOLDERS]
    for folder in folders:
        if any((folder / video.file_names[0]).is_file() for video in videos[:20]):
            return folder
    return next((folder for folder in folders if folder.is_dir()), root)


def _frames(folder: Path, videos: Sequence[VideoEntry], path: Path, *, all_frames: bool) -> list[list[str]]:
    """Names of the frames of every video, relative to the folder, in time order; each folder is listed once.

    Raises:
        DataError: frames of the file are missing.
    """
    listed: dict[str, set[str]] = {}
    missing: list[tuple[VideoEntry, str]] = []
    frames = []
    for video in videos:
        for name in video.file_names:
            parent, base = os.path.split(name)
            if parent not in listed:
                place = folder / parent
                listed[parent] = set(os.listdir(place)) if place.is_dir() else set()
            if base not in listed[parent]:
                missing.append((video, name))
        frames.append(_with_frames_between(video.file_names, listed) if all_frames else list(video.file_names))
    if missing:
        video, name = missing[0]
        total = sum(len(one.file_names) for one in videos)
        raise DataError(
            f"{len(missing)} of {total} frames of {path} are missing, the first is {folder / name} "
            f"(video {video.identifier}, frame {video.file_names.index(name)})",
            remedy="set image_dir to the folder that file_names are relative to, or take the videos out of the file",
        )
    return frames


def _with_frames_between(names: Sequence[str], listed: Mapping[str, set[str]]) -> list[str]:
    parents = {str(PurePosixPath(name).parent) for name in names}
    numbers = file_numbers(names)
    if len(parents) != 1 or numbers == tuple(range(numbers[0], numbers[0] + len(names))):
        return list(names)
    parent, first = os.path.split(names[0])
    suffix, length = PurePosixPath(first).suffix, len(first)
    alike = sorted(base for base in listed[parent] if base.endswith(suffix) and len(base) == length)
    by_number = dict(zip(file_numbers(alike), alike, strict=True))
    if any(by_number.get(number) != os.path.basename(name) for number, name in zip(numbers, names, strict=True)):
        return list(names)  # the names do not count time
    between = [number for number in by_number if numbers[0] <= number <= numbers[-1]]
    return [os.path.join(parent, by_number[number]) for number in sorted(between)]


def _numbered(entries: Sequence[VideoEntry], frames: Sequence[Sequence[str]]) -> tuple[list[Video], np.ndarray]:
    """The videos over the items, and int64 [listed frames] the item of each."""
    videos, places, start = [], [], 0
    for entry, names in zip(entries, frames, strict=True):
        place = {name: start + position for position, name in enumerate(names)}
        places += [place[name] for name in entry.file_names]
        parent = str(PurePosixPath(entry.file_names[0]).parent)
        name = parent if parent != "." else str(entry.identifier)
        videos.append(Video(name, range(start, start + len(names)), file_numbers(names), entry.identifier))
        start += len(names)
    return videos, np.array(places, np.int64)


def _require_annotations(path: Path, videos: Sequence[VideoEntry], annotated: AbstractSet[int], mode: str) -> None:
    if mode == "val" and videos and not any(video.identifier in annotated for video in videos):
        raise DataError(
            f"{path}: none of the {len(videos)} videos has an annotation; nothing can be evaluated on them",
            remedy="use a file with annotations (those of the official validation part are not public: holdout splits "
            "the training videos), or mode: test",
        )
