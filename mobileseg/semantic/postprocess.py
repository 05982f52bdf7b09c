"""From the raw output of a semantic segmentation model to a label for every pixel of the image (NumPy and OpenCV).

Sizes change by the one rule of the suite, :mod:`mobileseg.pixels`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mobileseg.pixels import resize, resize_bilinear, resize_nearest_label
from mobileseg.semantic.argmax import CACHED_PIXELS, argmax_labels, challenge
from mobileseg.semantic.cell_labels import labels_by_cells

MAX_CLASSES = 256
"""Labels are 8 bits."""

_WHOLE_PIXELS = 1 << 19
"""Up to here whole planes are resized and compared, which costs fewer calls than bands of them."""

_PRUNED_PLANES, _PRUNED_BANDS = 32, 4
"""Pixels per score from which on it pays to look first for classes that cannot win: anywhere, or in a band."""


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
        return argmax_labels(logits)
    scores = np.ascontiguousarray(logits, dtype=np.float32)
    if (found := labels_by_cells(scores, (height, width))) is not None:
        return found
    if height * width <= _WHOLE_PIXELS:
        return _from_planes(scores, height, width)
    return _from_bands(scores, height, width)


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
    resized = np.empty((scores.shape[0], height, width), np.float32)
    for plane, target in zip(scores, resized, strict=True):
        resize(np.asarray(plane, dtype=np.float32), (height, width), out=target)
    return resized


def softmax(logits: np.ndarray) -> np.ndarray:
    """Class probabilities, float32, of logits whose first axis is the class."""
    result = logits.astype(np.float32)
    result -= result.max(axis=0)
    np.exp(result, out=result)
    result /= result.sum(axis=0)
    return result


def _from_planes(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """Labels at another size, a whole plane at a time."""
    first, *others = np.flatnonzero(_able(scores, height * width >= _PRUNED_PLANES * scores[0].size).any(axis=1))
    best = resize_bilinear(scores[first], (height, width))
    labels = np.full((height, width), first, np.uint8)
    plane, won = np.empty_like(best), np.empty_like(labels)
    for index in others:
        resize(scores[index], (height, width), out=plane)
        challenge(plane, np.uint8(index), best, labels, won)
    return labels


def _from_bands(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """Labels at another size, a band of rows at a time; a class is looked at in those bands alone that it can win."""
    able = _able(scores, height * width >= _PRUNED_BANDS * scores[0].size)
    weights, low, high = _row_weights(height, scores.shape[1])
    labels = np.empty((height, width), np.uint8)
    rows = max(1, CACHED_PIXELS // width)
    best, plane = np.empty((2, rows, width), np.float32)
    won = np.empty((rows, width), np.uint8)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        above, below, count = low[top], high[bottom - 1], bottom - top
        mixed = np.ascontiguousarray(weights[top:bottom, above : below + 1])
        cell = min(int(above), able.shape[1] - 1)
        first, *others = np.flatnonzero(able[:, cell : max(cell + 1, below)].any(axis=1))
        size = (below + 1 - above, width)
        np.dot(mixed, resize_bilinear(scores[first, above : below + 1], size), out=best[:count])
        labels[top:bottom] = first
        for index in others:
            np.dot(mixed, resize_bilinear(scores[index, above : below + 1], size), out=plane[:count])
            challenge(plane[:count], np.uint8(index), best[:count], labels[top:bottom], won[:count])
    return labels


def _able(scores: np.ndarray, prune: bool) -> np.ndarray:
    """Classes that can be the best, by rows of cells: bool [K, max(1, h - 1)]; all without ``prune``.

    A resized score lies between the lowest and the highest of its cell, four neighbouring scores. So a class whose
    highest is below the lowest of another one has no pixel of the cell.
    """
    if not prune:
        return np.ones((len(scores), max(1, scores.shape[1] - 1)), bool)
    bar = _cells(scores, np.minimum).max(axis=0)
    return ~(_cells(scores, np.maximum) < bar).all(axis=2)  # NaN is able


def _cells(scores: np.ndarray, pick: np.ufunc) -> np.ndarray:
    """The lowest or the highest score of every cell, [K, max(1, h - 1), max(1, w - 1)]."""
    if scores.shape[1] > 1:
        scores = pick(scores[:, 1:], scores[:, :-1])
    return pick(scores[:, :, 1:], scores[:, :, :-1]) if scores.shape[2] > 1 else scores


def _row_weights(height: int, source: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bilinear weights of rows, float32 [height, source], and of every row the first and the last source row."""
    position = ((np.arange(height) + 0.5) * (source / height) - 0.5).clip(0, source - 1).astype(np.float32)
    low = position.astype(np.int64)
    high = np.minimum(low + 1, source - 1)
    weights, rows = np.zeros((height, source), np.float32), np.arange(height)
    weights[rows, high] = position - low
    weights[rows, low] += 1 - weights[rows, high]
    return weights, low, high
