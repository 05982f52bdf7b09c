"""MOTS text files: 'frame id class height width rle' per line (https://www.vision.rwth-aachen.de/page/mots)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from mobileseg.errors import DataError
from mobileseg.limits import read_text, size_fault
from mobileseg.rle import decode_region


class MotsObject(NamedTuple):
    """One line: number of the frame's file, id, class, compressed RLE, tight box (x1, y1, x2, y2), pixels."""

    line: int
    frame: int
    identifier: int
    category: int
    rle: dict[str, Any]
    box: tuple[float, float, float, float]
    area: float


class MotsFile(NamedTuple):
    """The objects of one video and the (height, width) of its frames; () for a file without a line."""

    objects: list[MotsObject]
    size: tuple[int, int]


def read_mots(path: Path) -> MotsFile:
    """Read a MOTS text file.

    Raises:
        DataError: a line that is none, an id twice in a frame, or an RLE of another size.
    """
    objects: list[MotsObject] = []
    seen: dict[tuple[int, int], int] = {}
    size: tuple[int, int] = (0, 0)
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        fields = line.split(" ")
        whole = [int(field) if field.isascii() and field.isdigit() and len(field) < 19 else -1 for field in fields[:5]]
        if len(fields) != 6 or min(whole) < 0:
            raise DataError(
                f"{where}: expected 'frame id class height width rle', found {line[:60]!a}",
                remedy="write six fields with one blank between them, the first five whole numbers",
            )
        frame, identifier, category, height, width = whole
        fault = size_fault(height, width)
        if fault or (objects and (height, width) != size):
            text = fault or f"the size is {width}x{height}, that of the lines before {size[1]}x{size[0]}"
            raise DataError(f"{where}: {text}", remedy="write the size of the video's frames, height first")
        size = (height, width)
        if (frame, identifier) in seen:
            raise DataError(
                f"{where}: id {identifier} is in frame {frame} twice (line {seen[frame, identifier]})",
                remedy="give every object of a frame its own id",
            )
        seen[frame, identifier] = number
        rle = {"size": [height, width], "counts": fields[5] if fields[5].isascii() else ""}
        try:
            top, left, bitmap = decode_region(rle)
        except ValueError as error:
            raise DataError(f"{where}: {error}", remedy="write the object again with pycocotools") from error
        box = (float(left), float(top), float(left + bitmap.shape[1]), float(top + bitmap.shape[0]))
        objects.append(MotsObject(number, frame, identifier, category, rle, box, float(bitmap.sum())))
    return MotsFile(objects, size if objects else (0, 0))


def _lines(path: Path) -> list[str]:
    """The lines as they are: a backslash is a character of the run lengths."""
    try:
        return read_text(path).splitlines()
    except FileNotFoundError as error:
        raise DataError(f"the file {path} does not exist", remedy="MOTS text has one file per video") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"the file {path} cannot be read: {reason}", remedy="save it as plain text") from error
