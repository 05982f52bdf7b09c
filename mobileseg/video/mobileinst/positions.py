"""Where a pixel of a map is: constants that graphs hold (NumPy)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_TEMPERATURE = 10000.0
_EPSILON = 1e-6


@lru_cache(maxsize=16)
def sine_positions(height: int, width: int, channels: int) -> np.ndarray:
    """Sines and cosines of the position, as DETR has them (Carion et al. 2020, arXiv:2005.12872).

    Rows and columns count from 1, are divided by their number and multiplied by 2 pi; the first half of the channels is
    of the row, the second of the column; sine and cosine of one frequency stand side by side.

    Args:
        height: rows of the map.
        width: its columns.
        channels: a multiple of 4.

    Returns:
        float32 [1, height * width, channels], read-only.
    """
    half = channels // 2
    frequencies = _TEMPERATURE ** (2 * (np.arange(half) // 2) / half)
    parts = []
    for length in (height, width):
        angles = np.arange(1, length + 1) / (length + _EPSILON) * 2 * np.pi
        phases = angles[:, None] / frequencies
        parts.append(np.stack([np.sin(phases[:, 0::2]), np.cos(phases[:, 1::2])], axis=2).reshape(length, half))
    rows = np.broadcast_to(parts[0][:, None], (height, width, half))
    columns = np.broadcast_to(parts[1][None], (height, width, half))
    found = np.concatenate([rows, columns], axis=2).reshape(1, height * width, channels).astype(np.float32)
    found.setflags(write=False)
    return found


@lru_cache(maxsize=16)
def coordinates(height: int, width: int) -> np.ndarray:
    """x and y of the centres of all pixels, from -1 to 1 over the map; float32 [1, 2, height, width], read-only."""
    y, x = ((2 * np.arange(length) + 1) / length - 1 for length in (height, width))
    found = np.stack(np.broadcast_arrays(x[None], y[:, None]))[None].astype(np.float32)
    found.setflags(write=False)
    return found
