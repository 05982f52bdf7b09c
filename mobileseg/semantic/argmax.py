"""The class of the highest score, of scores that are where their labels shall be."""

from __future__ import annotations

import cv2
import numpy as np

CACHED_PIXELS = 32768
"""Pixels that are compared at a time: the running maximum then stays in the second-level cache."""


_ARGMAX_PIXELS = 16384
"""The same where all classes are looked at in one piece."""


def argmax_labels(scores: np.ndarray) -> np.ndarray:
    """The class of the highest score; of equal ones the lower.

    NumPy's own argmax over the first axis goes pixel by pixel; maxima of whole planes are several times as fast.

    Args:
        scores: float [K, h, w], at most 256 classes; where one is NaN, the label is some class.

    Returns:
        uint8 [h, w].
    """
    classes, height, width = scores.shape
    planes = scores.reshape(classes, -1)
    labels = np.empty(height * width, np.uint8)
    left = np.arange(classes - 1, -1, -1, dtype=np.uint8)[:, None]  # classes behind this one
    for start in range(0, len(labels), _ARGMAX_PIXELS):
        part = planes[:, start : start + _ARGMAX_PIXELS].astype(np.float32, copy=False)
        highest = (part == part.max(axis=0)).view(np.uint8)
        highest *= left
        np.subtract(left[0], highest.max(axis=0), out=labels[start : start + _ARGMAX_PIXELS])
    return labels.reshape(height, width)


def challenge(
    scores: np.ndarray, index: np.ndarray | np.uint8, best: np.ndarray, labels: np.ndarray, won: np.ndarray
) -> None:
    """Give a class the pixels where it beats the best so far.

    Args:
        scores: float32 [n, m], of the class.
        index: its index, uint8, or one for every row, [n, 1]; higher than those that were looked at before.
        best: float32 [n, m], changed in place.
        labels: uint8 [n, m], changed in place.
        won: uint8 [n, m], lent.
    """
    cv2.compare(scores, best, cv2.CMP_GT, dst=won)
    cv2.max(scores, best, dst=best)
    # Classes come in ascending order, so the higher of old label and new index is the new index wherever it won.
    won &= index
    np.maximum(labels, won, out=labels)
