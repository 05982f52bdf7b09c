"""COCO's compressed run-length encoding of a bitmap that is empty outside of a region (NumPy alone).

The format: lengths of alternating runs of 0 and 1, down the columns, the first run being of 0. From the fourth run
on, the difference to the run before the last is stored. A number is cut into groups of five bits, lowest first, sign
extended; a sixth bit says that more follow; each group is one character from 48 on.
"""

from __future__ import annotations

import numpy as np


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
