"""What `predict` is pointed at: images, folders, list files, videos, cameras; found lazily, one at a time."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from mobileseg.errors import DataError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".gif"}
VIDEO_SUFFIXES = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"}
CAMERA = "camera:"

_SKIPPED_SUFFIXES = {".jp2", ".heic", ".heif", ".avif", ".jxl", ".dng", ".cr2", ".nef", ".arw"}
"""Images that not every installation decodes: a folder's are left out, and it is said."""

_log = logging.getLogger("mobileseg")


@dataclass(frozen=True)
class Source:
    """One thing to segment.

    Attributes:
        kind: 'image', 'video' or 'camera'.
        where: path of the file, or the number of the camera.
        name: relative path without suffix under which results are stored; folders below an input folder are kept.
    """

    kind: Literal["image", "video", "camera"]
    where: str
    name: str


def find_sources(inputs: Iterable[str]) -> Iterator[Source]:
    """Expand what a user named, in order.

    Args:
        inputs: paths of images, videos, folders (searched with their subfolders), list files (``.txt``: one path
            per line, relative to the list file; anything after the first blank, such as a label, is ignored), or
            ``camera:N``.

    Raises:
        DataError: a path that does not exist, a folder or list without images, a camera that is no number.
    """
    for text in inputs:
        path = Path(text)
        if text.startswith(CAMERA):
            yield _camera(text)
        elif path.is_dir():
            yield from _of_folder(path)
        elif not path.exists():
            raise DataError(
                f"{path} does not exist", remedy="name an image, a folder, a list file, a video or camera:0"
            )
        elif path.suffix.lower() == ".txt":
            yield from _of_list(path)
        else:
            yield _of_file(path, path.stem)


def distinct_names(sources: Iterable[Source]) -> Iterator[Source]:
    """The same sources, with names made distinct (``street``, ``street_2``), so that no result hides another."""
    used: set[str] = set()
    for source in sources:
        name, count = source.name, 1
        while name in used:
            count += 1
            name = f"{source.name}_{count}"
        used.add(name)
        yield Source(source.kind, source.where, name)


def _camera(text: str) -> Source:
    number = text[len(CAMERA) :]
    if not number.isdecimal():
        raise DataError(f"'{text}' names no camera", remedy="write camera:0 for the first camera")
    return Source("camera", number, f"camera_{number}")


def _of_file(path: Path, name: str) -> Source:
    kind: Literal["image", "video"] = "video" if path.suffix.lower() in VIDEO_SUFFIXES else "image"
    return Source(kind, str(path), name)


def _of_folder(folder: Path) -> Iterator[Source]:
    found = False
    skipped: Counter[str] = Counter()
    for root, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            path = Path(root, file)
            if path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
                found = True
                yield _of_file(path, str(path.relative_to(folder).with_suffix("")))
            elif path.suffix.lower() in _SKIPPED_SUFFIXES:
                skipped[path.suffix.lower()] += 1
    for suffix, count in sorted(skipped.items()):
        _log.warning("%s: %d %s skipped; hint: convert such images to JPEG or PNG", folder, count, suffix)
    if not found:
        raise DataError(
            f"the folder {folder} has no image and no video",
            remedy=f"known suffixes: {', '.join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))}",
        )


def _of_list(path: Path) -> Iterator[Source]:
    found = False
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for line in lines:
                entry = line.strip()
                if not entry:
                    continue
                found = True
                whole = path.parent / entry
                target = whole if whole.is_file() else path.parent / entry.split(maxsplit=1)[0]
                yield _of_file(target, _inside(target, path.parent))
    except UnicodeDecodeError as error:
        raise DataError(f"the list {path} is not UTF-8 text", remedy="write one path per line") from error
    if not found:
        raise DataError(f"the list {path} is empty", remedy="write one path per line, relative to the list")


def _inside(target: Path, folder: Path) -> str:
    """Name below the list's folder; the file name alone for a path that leads elsewhere."""
    relative = PurePath(os.path.relpath(target, folder))
    return target.stem if ".." in relative.parts else str(relative.with_suffix(""))
