"""Masks whose classes are colours, as other tools export them, as the index masks that the suite reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobileseg.data.formats.listfile import read_lines
from mobileseg.errors import DataError

IGNORED = "ignore"
"""Name of a colour whose pixels count for nothing."""

MASK_SUFFIXES = {".png", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".webp"}
_LOSSY = {".jpg", ".jpeg", ".jfif"}
_LINE = re.compile(r"(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\S.*)")
_HINT = "write 'R G B name' per line, in the order of the classes"


@dataclass(frozen=True)
class ColourTable:
    """Colours and what they mean.

    Attributes:
        classes: names by index; a name may have several colours.
        colours: uint8 [K, 3] RGB, of every line.
        indices: uint8 [K], the class of each, 255 for colours that are ignored.
    """

    classes: tuple[str, ...]
    colours: np.ndarray
    indices: np.ndarray

    @property
    def palette(self) -> np.ndarray:
        """uint8 [classes, 3]: the first colour of each."""
        return np.stack([self.colours[np.flatnonzero(self.indices == index)[0]] for index in range(len(self.classes))])


def read_colours(path: Path) -> ColourTable:
    """Read a table of colours: ``R G B name`` per line.

    Raises:
        DataError: a line is something else, a colour stands there twice, or there are no classes or more than 255.
    """
    names: list[str] = []
    colours: list[tuple[int, ...]] = []
    indices: list[int] = []
    for number, line in read_lines(path, _HINT):
        found = _LINE.fullmatch(line.strip())
        colour = tuple(int(value) for value in found.groups()[:3]) if found else ()
        if found is None or max(colour) > 255:
            raise DataError(f"{path}:{number}: '{line[:60]}' is no colour with a name", remedy=_HINT)
        if colour in colours:
            raise DataError(f"{path}:{number}: the colour {_shown(colour)} stands there twice", remedy="keep one line")
        name = found[4].strip()
        if name != IGNORED and name not in names:
            names.append(name)
        colours.append(colour)
        indices.append(255 if name == IGNORED else names.index(name))
    if not 1 <= len(names) <= 255:
        raise DataError(f"{path} has {len(names)} classes, expected 1 to 255", remedy=_HINT)
    return ColourTable(tuple(names), np.array(colours, np.uint8), np.array(indices, np.uint8))


def mask_files(source: Path) -> list[Path]:
    """The masks of a folder and of those in it, in order.

    Raises:
        DataError: no such folder, no mask in it, a mask with compression that changes colours, or two that would get
            one name.
    """
    if not source.is_dir():
        raise DataError(f"there is no folder {source}", remedy="name the folder of the masks")
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in MASK_SUFFIXES | _LOSSY)
    if lossy := [path for path in found if path.suffix.lower() in _LOSSY]:
        raise DataError(
            f"{lossy[0]} is a JPEG file, whose compression changes the colours at the borders",
            remedy="export the masks again as PNG",
        )
    if not found:
        raise DataError(f"{source} has no mask in it", remedy=f"known suffixes: {', '.join(sorted(MASK_SUFFIXES))}")
    twice = [name for name, count in Counter(path.with_suffix("") for path in found).items() if count > 1]
    if twice:
        raise DataError(f"two masks are named {twice[0]}", remedy="keep one of them")
    return found


def to_indices(image: np.ndarray, table: ColourTable, *, others: int | None = None) -> np.ndarray:
    """The class of every pixel.

    Args:
        image: uint8 [H, W, 3] RGB.
        table: of the colours.
        others: index of colours that are not in it; None refuses them.

    Returns:
        uint8 [H, W].

    Raises:
        DataError: a colour is not in the table.
    """
    known = _codes(table.colours)
    order = np.argsort(known)
    codes = _codes(image)
    place = order[np.minimum(np.searchsorted(known[order], codes), len(known) - 1)]
    matched = known[place] == codes
    if others is None and not matched.all():
        raise DataError(f"colours that are not in the table: {shares(image[~matched][:, None])}")
    return np.where(matched, table.indices[place], 0 if others is None else others).astype(np.uint8)


def shares(image: np.ndarray, most: int = 5) -> str:
    """The most frequent colours of an image, uint8 [H, W, 3], with their pixel counts."""
    codes, counts = np.unique(_codes(image), return_counts=True)
    first = np.argsort(-counts, kind="stable")[:most]
    shown = [f"{_shown(_colour(int(codes[i])))} ({counts[i]:,} pixels)" for i in first]
    return ", ".join(shown) + (f" and {len(codes) - most} more" if len(codes) > most else "")


def _codes(colours: np.ndarray) -> np.ndarray:
    """One int32 for every colour of uint8 [..., 3]."""
    wide = colours.astype(np.int32)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def _colour(code: int) -> tuple[int, ...]:
    return code >> 16, code >> 8 & 255, code & 255


def _shown(colour: Sequence[int]) -> str:
    return " ".join(map(str, colour))
