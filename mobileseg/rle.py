"""COCO's compressed run-length encoding of a bitmap that is empty outside of a region (NumPy alone).

The format: lengths of alternating runs of 0 and 1, down the columns, the first run being of 0. From the fourth run
on, the difference to the run before the last is stored. A number is cut into groups of five bits, lowest first, sign
extended; a sixth bit says that more follow; each group is one character from 48 on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_LONGEST = 1 << 40
"""Pixels; no image is that large, and 2,000,000 such runs still add up in 64 bits."""


def encode_region(size: tuple[int, int], top: int, left: int, bitmap: np.ndarray) -> dict[str, object]:
    """The encoding of a whole image that has ``bitmap`` in it.

    Args:
        size: (height, width) of the image.
        top: row of the bitmap's first row.
        left: column of the bitmap's first column.
        bitmap: bool [h, w], inside the image.

    Returns:
        ``{"size": [H, W], "counts": str}``, as pycocotools takes it.
    """
    return {"size": [int(size[0]), int(size[1])], "counts": compress(run_lengths(size, top, left, bitmap))}


def run_lengths(size: tuple[int, int], top: int, left: int, bitmap: np.ndarray) -> np.ndarray:
    """Lengths of the runs of 0 and 1 in turn, down the columns of the whole image, int64."""
    height, width = size
    columns = np.zeros((bitmap.shape[1], bitmap.shape[0] + 2), np.int8)  # a 0 before and after every column
    columns[:, 1:-1] = bitmap.T
    column, row = np.nonzero(np.diff(columns, axis=1))
    edges = (left + column) * height + top + row  # where the value changes, counted down the columns
    # A run that goes on in the next column has ended and begun at the same place: both marks vanish.
    same = np.flatnonzero(edges[1:] == edges[:-1])
    edges = np.delete(edges, np.concatenate([same, same + 1]))
    return np.diff(np.concatenate([[0], edges, [height * width]] if _open_end(edges, height * width) else [[0], edges]))


def _open_end(edges: np.ndarray, total: int) -> bool:
    """Whether 0 are left after the last run of 1."""
    return len(edges) == 0 or int(edges[-1]) != total


def compress(runs: np.ndarray) -> str:
    """The characters of run lengths."""
    values = runs.astype(np.int64).copy()
    values[3:] -= runs[1:-2]
    return b"".join(map(_characters, values.tolist())).decode("ascii")


def _characters(value: int) -> bytes:
    found = bytearray()
    while True:
        group = value & 31
        value >>= 5
        done = value == (-1 if group & 16 else 0)
        found.append(48 + (group if done else group | 32))
        if done:
            return bytes(found)


def decode_region(rle: Mapping[str, Any]) -> tuple[int, int, np.ndarray]:
    """The mask of an encoded image, of which only the rectangle of the object is drawn.

    pycocotools draws the whole image, which takes 20 times as long.

    Args:
        rle: ``{"size": [H, W], "counts": str or bytes}``.

    Returns:
        Row and column of the rectangle's corner, and its bitmap uint8 [h, w], 0 or 1; h = w = 0 without a pixel.

    Raises:
        ValueError: the run lengths do not fill the size.
    """
    height, width = rle["size"]
    edges = np.cumsum(decompress(rle["counts"]))
    if not edges.size or edges[-1] != height * width:
        seen = edges[-1] if edges.size else 0
        raise ValueError(f"the RLE describes {seen} pixels but the image has {height * width}")
    starts, stops = edges[: edges.size // 2 * 2].reshape(-1, 2).T if edges.size > 1 else np.zeros((2, 0), np.int64)
    starts, stops = starts[starts < stops], stops[starts < stops]
    if not starts.size:
        return 0, 0, np.zeros((0, 0), np.uint8)
    # Runs go down the columns; one that crosses into the next column fills rows down to the last.
    left, right = int(starts[0] // height), int((stops[-1] - 1) // height) + 1
    crosses = starts // height != (stops - 1) // height
    top = 0 if crosses.any() else int((starts % height).min())
    bottom = height if crosses.any() else int(((stops - 1) % height).max()) + 1
    # The same runs in the rectangle: positions above and below it move to its border.
    bounds = np.stack([starts, stops], axis=1).ravel()
    columns, rows = np.divmod(bounds, height)
    inside = (columns - left) * (bottom - top) + np.clip(rows - top, 0, bottom - top)
    lengths = np.diff(inside, prepend=0, append=(right - left) * (bottom - top))
    values = np.zeros(lengths.size, np.uint8)
    values[1::2] = 1
    bitmap = np.repeat(values, lengths).reshape(right - left, bottom - top).T
    return top, left, np.ascontiguousarray(bitmap)


def area_of(rle: Mapping[str, Any]) -> int:
    """Pixels of the object in an encoded image.

    (``pycocotools.mask.area`` 2.0.11 fails on lists of more than 255 under NumPy 2.)

    Args:
        rle: ``{"size": [H, W], "counts": str or bytes}``.

    Raises:
        ValueError: the counts are not COCO's compressed text.
    """
    return int(decompress(rle["counts"])[1::2].sum())


def decompress(counts: bytes | str) -> np.ndarray:
    """The run lengths of compressed text, int64: background, object, background, ...

    Raises:
        ValueError: characters that are none of the code, an end inside a number, a negative length, or one that no
            image has.
    """
    data = np.frombuffer(counts.encode() if isinstance(counts, str) else counts, np.uint8).astype(np.int64) - 48
    if data.size and (data.min() < 0 or data.max() > 63 or data[-1] & 32):
        raise ValueError("the RLE has counts that are not COCO's compressed text")
    last = (data & 32) == 0
    firsts = np.flatnonzero(np.concatenate([[True], last[:-1]])) if data.size else np.zeros(0, np.int64)
    groups = np.arange(data.size) - np.repeat(firsts, np.diff(firsts, append=data.size))
    if groups.size and groups.max() > 10:
        raise ValueError("the RLE has a number of more than 55 bits")
    values = np.add.reduceat((data & 31) << (5 * groups), firsts) if data.size else np.zeros(0, np.int64)
    negative = (data[last] & 16) != 0
    values[negative] -= np.int64(1) << (5 * (groups[last][negative] + 1))
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    if values.size and values.min() < 0:
        raise ValueError("the RLE has a negative run length")
    if values.size and values.max() > _LONGEST:  # the sum of several would leave 64 bits
        raise ValueError(f"the RLE has a run of {values.max()} pixels")
    return values
