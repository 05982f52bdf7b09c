"""The chunks of a PNG file (ISO/IEC 15948): what it claims, and whether its checksums agree.

Pillow and OpenCV both decode pixels whose checksum is wrong; for a label that would be wrong truth without a word.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mobileseg.limits import DEFLATE_RATIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, PALETTE = 0, 3
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ANCILLARY = 0x20  # bit of the first letter: pixels can be decoded without the chunk


class Header(NamedTuple):
    """Size in pixels, bits per channel, and kind of colours (0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA)."""

    width: int
    height: int
    depth: int
    colour: int


class Chunk(NamedTuple):
    """One chunk: its type, its content from ``start`` to ``stop``, and whether its checksum agrees."""

    kind: bytes
    start: int
    stop: int
    intact: bool

    @property
    def critical(self) -> bool:
        """Whether the pixels depend on it."""
        return not self.kind[0] & _ANCILLARY


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks of a file up to its end mark or to where it is cut; bytes behind the end mark are none of it."""
    offset = len(SIGNATURE)
    view = memoryview(data)
    while offset + 12 <= len(data):
        start = offset + 8
        stop = start + int.from_bytes(view[offset : offset + 4], "big")
        if stop + 4 > len(data):
            return
        kind = bytes(view[offset + 4 : start])
        intact = zlib.crc32(view[offset + 4 : stop]) == int.from_bytes(view[stop : stop + 4], "big")
        yield Chunk(kind, start, stop, intact)
        if kind == b"IEND":
            return
        offset = stop + 4


def header(data: bytes) -> Header | None:
    """What the file says about its pixels; None when it does not begin as a PNG does."""
    if len(data) < 33 or data[12:16] != b"IHDR":
        return None
    width, height = (int.from_bytes(data[start : start + 4], "big") for start in (16, 20))
    return Header(width, height, data[24], data[25])


def palette(data: bytes) -> np.ndarray | None:
    """Colours of an image with a palette, uint8 [K, 3]; None for one without."""
    if not data.startswith(SIGNATURE):
        return None
    found = header(data)
    if found is None or found.colour != PALETTE:
        return None
    for chunk in chunks(data):
        if chunk.kind == b"PLTE":
            return np.frombuffer(
                data[chunk.start : chunk.stop][: (chunk.stop - chunk.start) // 3 * 3], np.uint8
            ).reshape(-1, 3)
    return None


def fault(data: bytes, *, every_chunk: bool) -> str:
    """What is wrong with a PNG file before it is decoded, '' when nothing is: 'truncated', or a text.

    Args:
        data: the file.
        every_chunk: also chunks that do not change pixels must have a right checksum.
    """
    found = header(data)
    if found is None:
        return "truncated" if len(data) < 33 else "its header is damaged"
    compressed, ended = 0, False
    for chunk in chunks(data):
        if not chunk.intact and (every_chunk or chunk.critical):
            return f"the checksum of its chunk {chunk.kind!r} is wrong: the file is damaged"
        compressed += chunk.stop - chunk.start if chunk.kind == b"IDAT" else 0
        ended = chunk.kind == b"IEND"
    bits = found.depth * _CHANNELS.get(found.colour, 1)
    claimed = found.height * ((found.width * bits + 7) // 8)
    return "" if ended and claimed <= compressed * DEFLATE_RATIO else "truncated"
