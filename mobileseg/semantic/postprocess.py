"""From the raw output of a semantic segmentation model to a label for every pixel of the image (NumPy and OpenCV).

Sizes change by the one rule of the suite, :mod:`mobileseg.pixels`.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mobileseg.pixels import resize_bilinear, resize_nearest_label

MAX_CLASSES = 256
"""Labels are 8 bits."""

_CACHED_PIXELS = 32768
"""Pixels that are compared at a time: the running maximum then stays in the second-level cache."""


def labels_from_logits(logits: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The class of the highest score at every pixel of the image.

    Scores are resized bilinearly, then compared; of equal scores the lower class wins. Softmax keeps the order, so
    logits and probabilities of a network at image size give the same labels.

    Args:
        logits: float [K, h, w], at most 256 classes.
        size: height and width of the image.

    Returns:
        uint8 [H, W].

    Raises:
        ValueError: not three axes, or more classes than 8 bits hold.
    """
    if logits.ndim != 3 or not 1 <= logits.shape[0] <= MAX_CLASSES:
        raise ValueError(f"expected scores [K, h, w] with at most {MAX_CLASSES} classes, got {list(logits.shape)}")
    height, width = int(size[0]), int(size[1])
    if logits.shape[1:] == (height, width):
        return _argmax(logits)
    labels = np.zeros((height, width), np.uint8)
    best = _resized(logits[0], height, width)
    for index in range(1, logits.shape[0]):
        _challenge(_resized(logits[index], height, width), index, best, labels)
    return labels


def labels_from_labels(labels: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Labels at the size of the image, nearest neighbour.

    Args:
        labels: integer [h, w], class indices below 256, as an argmax in the graph gives them.
        size: height and width of the image.

    Returns:
        uint8 [H, W].

    Raises:
        ValueError: not two axes, not integers.
    """
    if labels.ndim != 2 or labels.dtype.kind not in "ui":
        raise ValueError(f"expected integer labels [h, w], got {labels.dtype} {list(labels.shape)}")
    height, width = int(size[0]), int(size[1])
    return np.ascontiguousarray(resize_nearest_label(labels.astype(np.uint8, copy=False), (height, width)))


def resize_scores(scores: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Scores [K, h, w] at the size of the image, float32 [K, H, W], bilinear with half-pixel centres."""
    height, width = int(size[0]), int(size[1])
    if scores.shape[1:] == (height, width):
        return np.ascontiguousarray(scores, dtype=np.float32)
    return np.stack([_resized(plane, height, width) for plane in scores])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Class probabilities, float32, of logits whose first axis is the class."""
    result = logits.astype(np.float32)
    result -= result.max(axis=0)
    np.exp(result, out=result)
    result /= result.sum(axis=0)
    return result


def _resized(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    return resize_bilinear(np.ascontiguousarray(plane, dtype=np.float32), (height, width))


def _argmax(scores: np.ndarray) -> np.ndarray:
    """uint8 argmax over the first axis, a band of rows at a time."""
    classes, height, width = scores.shape
    labels = np.zeros((height, width), np.uint8)
    rows = max(1, _CACHED_PIXELS // width)
    for top in range(0, height, rows):
        band = slice(top, min(height, top + rows))
        best = np.array(scores[0, band], dtype=np.float32)
        for index in range(1, classes):
            _challenge(np.ascontiguousarray(scores[index, band], dtype=np.float32), index, best, labels[band])
    return labels


def _challenge(scores: np.ndarray, index: int, best: np.ndarray, labels: np.ndarray) -> None:
    """Give a class the pixels where it beats the best so far; `best` and `labels` are updated in place."""
    won = cv2.compare(scores, best, cv2.CMP_GT)
    cv2.max(scores, best, dst=best)
    # Classes come in ascending order, so the higher of old label and new index is the new index wherever it won.
    np.maximum(labels, won & np.uint8(index), out=labels)
