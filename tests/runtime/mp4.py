"""Changes of `.mp4` files as OpenCV writes them (``mdat`` before ``moov``, one video track)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

_HOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts")


def set_times(path: Path, seconds: Sequence[float]) -> None:
    """Give every frame its own duration, as a phone's camera does in the dark; all other content stays."""
    data = path.read_bytes()
    scale = struct.unpack(">I", data[data.index(b"mdhd") + 16 :][:4])[0]
    deltas = [round(duration * scale) for duration in seconds]
    table = struct.pack(">II", 0, len(deltas)) + b"".join(struct.pack(">II", 1, delta) for delta in deltas)
    path.write_bytes(_rebuilt(data, {b"stts": table}, sum(deltas), scale))


def moov_first(path: Path) -> None:
    """Put the index before the frames, as files for the web have it: what is cut at the end can still be opened."""
    data = path.read_bytes()
    start = data.index(b"mdat") - 4
    moov = data.index(b"moov") - 4
    size = struct.unpack(">I", data[moov : moov + 4])[0]
    index = bytearray(data[moov : moov + size])
    place = index.index(b"stco") + 8
    (count,) = struct.unpack(">I", index[place : place + 4])
    for entry in range(count):
        at = place + 4 + 4 * entry
        index[at : at + 4] = struct.pack(">I", struct.unpack(">I", index[at : at + 4])[0] + size)
    path.write_bytes(data[:start] + bytes(index) + data[start:moov])


def frame_ends(path: Path) -> list[int]:
    """Offset behind each frame, of a file whose frames lie one behind the other."""
    data = path.read_bytes()
    place = data.index(b"stsz") + 8
    size, count = struct.unpack(">II", data[place : place + 8])
    sizes = [size] * count if size else struct.unpack(f">{count}I", data[place + 8 : place + 8 + 4 * count])
    start = data.index(b"stco") + 12
    return list(accumulate(sizes, initial=struct.unpack(">I", data[start : start + 4])[0]))[1:]


def _rebuilt(data: bytes, tables: dict[bytes, bytes], duration: int, scale: int) -> bytes:
    """The boxes again, with new content of some and the new duration of the track in all that name it."""
    result, place = b"", 0
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        content = data[place + 8 : place + size]
        if kind in _HOLDERS:
            content = _rebuilt(content, tables, duration, scale)
        elif kind in tables:
            content = tables[kind]
        elif kind == b"mdhd":
            content = content[:16] + struct.pack(">I", duration) + content[20:]
        elif kind in (b"mvhd", b"tkhd", b"elst"):  # in units of the movie, a millisecond
            at = {b"mvhd": 16, b"tkhd": 20, b"elst": 8}[kind]
            content = content[:at] + struct.pack(">I", round(duration / scale * 1000)) + content[at + 4 :]
        result += struct.pack(">I4s", len(content) + 8, kind) + content
        place += size
    return result
