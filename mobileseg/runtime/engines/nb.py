"""The frame of Paddle Lite's ``.nb`` files: enough to refuse one that would end the process when it is loaded.

The runtime aborts on a file that was cut short, whatever its hash says. The C++ program checks the same
(deploy/lite/src/nb_header.cc).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from mobileseg.errors import RuntimeEngineError

_HEAD = 2 + 16
"""Bytes of the layout's number and of the version that wrote the file."""

_NEWEST_LAYOUT = 2


def check_nb(path: str | os.PathLike[str]) -> None:
    """Compare the lengths inside of a file with its own.

    Raises:
        RuntimeEngineError: it is no ``.nb``, or was cut short, or bytes were added.
    """
    size = Path(path).stat().st_size
    with open(path, "rb") as file:
        head = file.read(_HEAD)
        layout = int.from_bytes(head[:2], "little")
        if len(head) < _HEAD or layout > _NEWEST_LAYOUT:
            raise RuntimeEngineError(f"{path} is no .nb file of Paddle Lite", remedy="export the folder again")
        if layout > 0 and not _adds_up(_NbReader(file, size - _HEAD), layout):
            raise RuntimeEngineError(
                f"{path} is damaged: the lengths inside do not add up to its own",
                remedy="copy the folder again, or export it again",
            )


class _NbReader:
    """The rest of a file, field after field; raises EOFError behind its end."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file = file
        self.left = left

    def number(self, size: int) -> int:
        """A little-endian number of so many bytes."""
        self._take(size)
        return int.from_bytes(self._file.read(size), "little")

    def skip(self, size: int) -> None:
        """Leave bytes out."""
        self._take(size)
        self._file.seek(size, os.SEEK_CUR)

    def _take(self, size: int) -> None:
        if size > self.left:
            raise EOFError
        self.left -= size


def _adds_up(walk: _NbReader, layout: int) -> bool:
    """Whether the parts fill the file: graph and weights.

    Behind the version (Paddle Lite 2.10 to 2.13): the length of the graph, in 64 bits, and the graph; then the weights.
    In layout 1 they are one block up to the end. In layout 2: 16 bits that are 0; two blocks, each behind its length in
    16 bits, the second beginning with the number of weights (16 bits); then each weight behind its length and the
    length of what precedes its data (32 bits each, the latter counts itself).
    """
    try:
        walk.skip(walk.number(8))
        if layout == 1:
            return walk.left > 0
        if walk.number(2) != 0:
            return False
        walk.skip(walk.number(2))
        header = walk.number(2)
        if header < 6:
            return False
        count = walk.number(2)
        walk.skip(header - 2)
        for _ in range(count):
            total, before = walk.number(4), walk.number(4)
            if not 4 <= before <= total:
                return False
            walk.skip(total - 4)
    except EOFError:
        return False
    return walk.left == 0
