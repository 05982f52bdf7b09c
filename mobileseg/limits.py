"""Budgets for what files claim and hold: one place, looked at before anything is allocated.

A file of a few bytes can claim an image of terabytes, a device has no end, a pipe never answers. Whoever reads what
others wrote asks here first.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

MAX_SIDE = 65_535
"""Pixels; what JPEG can express."""

MAX_PIXELS = 1 << 28
"""Of an image: 16,384 squared. The largest cameras of phones have 200 million."""

MAX_IMAGE_BYTES = 1 << 30
"""Of an encoded image or label."""

MAX_TEXT_BYTES = 1 << 28
"""Of a list file or a file of class names: two million lines of 128 characters."""

MAX_JSON_BYTES = 1 << 32
"""Of an annotation file; the largest public ones have 1.5 GB."""

DEFLATE_RATIO = 1032
"""What one byte of deflate can become at most: 258 bytes from two bits."""

MAX_INTEGER = (1 << 63) - 1
"""Ids are kept in 64 bits."""

MAX_ARGUMENT = 1e12
"""Of any number in a configuration."""

MAX_COORDINATE = 1e15
"""Of a box or a point, in pixels; a fraction of a pixel would be lost beyond it, and products leave the floats."""


def size_fault(height: int, width: int) -> str:
    """Why an image of that size (in pixels) is not taken, '' when it is."""
    if height < 1 or width < 1:
        return f"{width}x{height} is no size of an image"
    if height > MAX_SIDE or width > MAX_SIDE:
        return f"{width}x{height} has a side of more than {MAX_SIDE:,} pixels"
    if height * width > MAX_PIXELS:
        return f"{width}x{height} are {height * width:,} pixels, more than {MAX_PIXELS:,}"
    return ""


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes; never waits for a pipe or a device.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: no regular file, a name that no file can have, too large, or unreadable; ``strerror`` says which.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except ValueError as error:  # a NUL byte or a lone surrogate
        raise OSError(errno.EINVAL, f"the name cannot be that of a file ({error})", os.fspath(path)) from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file but a device, a pipe or a socket", str(path))
        if found.st_size > limit:
            seen = f"it has {found.st_size / 1e6:,.0f} MB, more than the {limit / 1e6:,.0f} MB that are read"
            raise OSError(errno.EFBIG, seen, str(path))
        data = file.read(limit + 1)  # files of /proc say they are empty
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than the {limit / 1e6:,.0f} MB that are read", str(path))
    return data


def read_text(path: str | os.PathLike[str], limit: int = MAX_TEXT_BYTES) -> str:
    """UTF-8 text, without a byte order mark.

    Raises:
        OSError: see :func:`read_regular`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return read_regular(path, limit).decode("utf-8-sig")


def broken_character(text: str) -> str:
    """'U+0000' and the like: the first character that no name can have (control characters, lone surrogates), or ''."""
    broken = next((mark for mark in text if unicodedata.category(mark) in ("Cc", "Cs")), None)
    return "" if broken is None else f"U+{ord(broken):04X}"


def shown(value: Any) -> str:
    """A value that is not what was expected, with its type, shortened."""
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return "a number of more than 64 bits"
    kinds = {str: "text", float: "float", bool: "true or false", type(None): "null", list: "list", dict: "object"}
    kind = kinds.get(type(value))
    return f"{ascii(value)[:60]}{f' ({kind})' if kind else ''}"


def home_expanded(path: str | os.PathLike[str]) -> Path:
    """The path with a leading ``~`` or ``~user`` replaced by the home folder; as it is when there is none."""
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):  # no such user, or a name that no file can have
        return Path(path)


class NumberFault(NamedTuple):
    """An argument by its keys, what is wrong with it, and what to write instead."""

    path: tuple[str | int, ...]
    message: str
    remedy: str


def number_faults(arguments: Mapping[str, Any]) -> Iterator[NumberFault]:
    """Every number that is infinite, none, or enormous, and every probability outside 0..1.

    Args:
        arguments: of a component, nested mappings and lists included.
    """
    for path, value in _numbers(arguments, ()):
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        if not math.isfinite(value) or abs(value) > MAX_ARGUMENT:
            yield NumberFault(path, f"is {value:g}, with which nothing can be computed", "write a finite number")
        elif (key == "prob" or key.endswith("_prob")) and not 0 <= value <= 1:
            yield NumberFault(path, f"is {value:g}", "use a probability in 0..1")


def _numbers(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], float]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _numbers(part, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _numbers(part, (*path, index))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, math.inf if abs(value) > 1e300 else float(value)  # an integer may be beyond all floats
