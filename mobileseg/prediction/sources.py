"""What `predict` is pointed at: images, folders, list files, videos, cameras; found lazily, one at a time."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from mobileseg.data.formats.listfile import read_lines
from mobileseg.data.io import IMAGE_SUFFIXES
from mobileseg.errors import ConfigError, DataError

VIDEO_SUFFIXES = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"}
UNREAD_SUFFIXES = frozenset(
    ".heic .heif .avif .jxl .jp2 .j2k .dng .cr2 .cr3 .nef .arw .raf .psd .exr .hdr".split()  # noqa: SIM905
)
"""Of images that are not read; a folder that has them is told so."""

CAMERA = "camera:"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """One thing to segment.

    Attributes:
        kind: 'image', 'video', 'frames' (a folder whose images are the frames of one video) or 'camera'.
        where: path of the file or folder, or the number of the camera.
        name: relative path without suffix under which results are stored; folders below an input folder are kept.
    """

    kind: Literal["image", "video", "frames", "camera"]
    where: str
    name: str


def find_sources(
    inputs: Iterable[str], results: str | os.PathLike[str] | None = None, *, as_video: bool = False
) -> Iterator[Source]:
    """Expand what a user named, in order.

    Args:
        inputs: paths of images, videos, folders (searched with their subfolders), list files (``.txt``: one path
            per line, relative to the list file; anything after the first blank, such as a label, is ignored), or
            ``camera:N``.
        results: a folder that is left out, below folders that are searched.
        as_video: the images of a folder are the frames of one video.

    Raises:
        ConfigError: a folder that is searched is the one for results.
        DataError: a path that does not exist, a folder or list without images, a camera that is no number.
    """
    for text in inputs:
        path = Path(text)
        if text.startswith(CAMERA):
            yield _camera(text)
        elif path.is_dir():
            yield from _of_folder(path, None if results is None else Path(results), as_video)
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


def _of_folder(folder: Path, results: Path | None, as_video: bool) -> Iterator[Source]:
    if results is not None and results.resolve() == folder.resolve():
        raise ConfigError(
            f"results would be written into the input {folder}", remedy="name another folder with --output"
        )
    found, skipped = False, Counter[str]()
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if results is None or not _same(Path(root, name), results))
        if as_video and any(Path(file).suffix.lower() in IMAGE_SUFFIXES for file in files):
            found = True
            name = str(Path(root).relative_to(folder))
            yield Source("frames", root, folder.resolve().name if name == "." else name)
        for file in sorted(files):
            path = Path(root, file)
            suffix = path.suffix.lower()
            if suffix in VIDEO_SUFFIXES or (suffix in IMAGE_SUFFIXES and not as_video):
                found = True
                yield _of_file(path, str(path.relative_to(folder).with_suffix("")))
            elif suffix in UNREAD_SUFFIXES:
                skipped[suffix] += 1
    shown = ", ".join(f"{count} of {suffix}" for suffix, count in sorted(skipped.items()))
    if not found:
        raise DataError(
            f"the folder {folder} has no image and no video that can be read" + (f" ({shown})" if shown else ""),
            remedy="convert them to JPEG or PNG"
            if shown
            else f"known suffixes: {', '.join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))}",
        )
    if shown:
        logger.warning("%s: files that are not read are left out: %s; convert them to JPEG or PNG", folder, shown)


def _same(folder: Path, other: Path) -> bool:
    return folder.name == other.resolve().name and folder.resolve() == other.resolve()


def _of_list(path: Path) -> Iterator[Source]:
    found = False
    for _, entry in read_lines(path, "write one path per line"):
        found = True
        whole = path.parent / entry
        target = whole if whole.is_file() else path.parent / entry.split(maxsplit=1)[0]
        yield _of_file(target, _inside(target, path.parent))
    if not found:
        raise DataError(f"the list {path} is empty", remedy="write one path per line, relative to the list")


def _inside(target: Path, folder: Path) -> str:
    """Name below the list's folder; the file name alone for a path that leads elsewhere."""
    relative = PurePath(os.path.relpath(target, folder))
    return target.stem if ".." in relative.parts else str(relative.with_suffix(""))
