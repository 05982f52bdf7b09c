"""Overlap of boxes (NumPy)."""

from __future__ import annotations

import numpy as np

_TINY = np.finfo(np.float32).tiny


def iou(first: np.ndarray, second: np.ndarray, *, inclusive: bool = False) -> np.ndarray:
    """Intersection over union of boxes in pairs, [n] of the boxes' type; 0 where both are empty.

    Args:
        first: float [n, 4], x1, y1, x2, y2; one row is compared with all.
        second: float [n, 4].
        inclusive: sides are one longer than the difference of the corners.
    """
    extra = np.float32(1 if inclusive else 0)
    ax1, ay1, ax2, ay2 = first.T
    bx1, by1, bx2, by2 = second.T
    shared = np.maximum(np.minimum(ax2, bx2) - np.maximum(ax1, bx1) + extra, 0)
    shared *= np.maximum(np.minimum(ay2, by2) - np.maximum(ay1, by1) + extra, 0)
    union = (ax2 - ax1 + extra) * (ay2 - ay1 + extra) + (bx2 - bx1 + extra) * (by2 - by1 + extra) - shared
    found: np.ndarray = shared / np.maximum(union, _TINY)
    return found
