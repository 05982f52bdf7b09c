"""Videos that are folders of frames, with a folder of maps of object numbers beside each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mobileseg.data.instances import Instances, Region
from mobileseg.data.io import IMAGE_SUFFIXES
from mobileseg.data.items import Item
from mobileseg.data.video_base import Video, file_numbers
from mobileseg.errors import ConfigError, DataError


class FrameFolder(NamedTuple):
    """The frames of a video in time order, and the annotation file of each (None: it is not annotated)."""

    name: str
    images: list[Path]
    labels: list[Path | None]


class Assembled(NamedTuple):
    """What a :class:`~mobileseg.data.video_base.VideoDataset` is made of."""

    items: list[Item]
    videos: list[Video]
    annotated: list[bool]
    file_names: list[str]


def assemble(folders: Sequence[FrameFolder]) -> Assembled:
    """The videos of several folders, one after the other.

    Raises:
        DataError: a folder without frames.
    """
    items: list[Item] = []
    videos: list[Video] = []
    for number, folder in enumerate(folders, 1):
        if not folder.images:
            raise DataError(f"the video {folder.name} has no frames", remedy="check its folder, or leave it out")
        start = len(items)
        items += [Item(image, label) for image, label in zip(folder.images, folder.labels, strict=True)]
        numbers = file_numbers([path.name for path in folder.images])
        videos.append(Video(folder.name, range(start, len(items)), numbers, number))
    names = [f"{video.name}/{items[index].image.name}" for video in videos for index in video.frames]
    return Assembled(items, videos, [item.label is not None for item in items], names)


def list_frames(folder: Path, suffixes: Iterable[str] = IMAGE_SUFFIXES) -> list[Path]:
    """The images of a folder, sorted by name; [] when there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file())


def choose_sequences(wanted: Sequence[str | int] | None, known: Sequence[str], where: str) -> list[str]:
    """Names of the videos to use, in the given order; None: all known ones.

    A number that YAML made of a name like ``01`` finds that name.

    Raises:
        ConfigError: a name that is not known, or one that is named twice.
    """
    if wanted is None:
        return list(known)
    if isinstance(wanted, str) or not wanted:
        raise ConfigError(f"sequences is {wanted!r}; expected a list of names", remedy="write sequences: ['01']")
    by_number = {int(name): name for name in known if name.isascii() and name.isdigit()}
    chosen = [by_number.get(name, str(name)) if isinstance(name, int) else str(name) for name in wanted]
    strange = [name for name in chosen if name not in known]
    if strange:
        shown = ", ".join(known[:20]) or "none"
        raise ConfigError(f"sequences has '{strange[0]}', which is no video of {where}", remedy=f"there are: {shown}")
    if len(set(chosen)) != len(chosen):
        raise ConfigError(f"sequences names a video twice: {chosen}", remedy="write every name once")
    return chosen


def instances_of(numbers: np.ndarray, classes: dict[int, int], ids: dict[int, int] | None = None) -> Instances:
    """The objects of a map of object numbers.

    Args:
        numbers: int [H, W].
        classes: number -> class index; other numbers are left out.
        ids: number -> id of the track; None: the number itself.
    """
    found = sorted(classes)
    regions = [Region(0, 0, (numbers == number).view(np.uint8)).trimmed() for number in found]
    return Instances.from_regions(
        (numbers.shape[0], numbers.shape[1]),
        regions,
        [classes[number] for number in found],
        ids=found if ids is None else [ids[number] for number in found],
    )
