"""Labels of an image whose sides are multiples of those of the scores; interpolated is where classes meet, only there.

A *cell* is what lies between four neighbouring scores; at the border some of the four are the same. A bilinear score is
a mean of the four with weights that all classes share, so a class that is the highest at all four is so at every pixel
between them: such a cell is filled. In the other cells those classes are compared that can win.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from mobileseg.semantic.argmax import CACHED_PIXELS, argmax_labels, challenge

_CELL_PIXELS, _COMPARISONS = 16, 1 << 19
"""Pixels of a cell, and of the image times classes, from which on it pays to look at cells."""

_CELL_COST = 256
"""What a cell costs besides its comparisons, in comparisons of a pixel and a class."""


def labels_by_cells(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    """The class of the highest bilinear score at every pixel; of equal scores the lower class wins.

    Args:
        scores: float32 [K, h, w], contiguous, at most 256 classes.
        size: height and width of the image.

    Returns:
        uint8 [H, W]; None where this way does not apply or does not pay: the size is no multiple of that of the
        scores, cells are small or few, or classes meet in too many of them (half, where cells are large).
    """
    classes, height, width = scores.shape
    down, across = size[0] // height, size[1] // width
    compared = classes * down * across  # in a cell, where all classes are
    if (height * down, width * across) != size or down * across < _CELL_PIXELS:
        return None
    if compared * height * width < _COMPARISONS:
        return None
    best = cv2.copyMakeBorder(argmax_labels(scores), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    first = best[:-1, :-1]
    mixed = (first != best[:-1, 1:]) | (first != best[1:, :-1]) | (first != best[1:, 1:])
    numbers = np.flatnonzero(mixed)
    if 2 * len(numbers) * (compared + _CELL_COST) > mixed.size * compared:
        return None
    # Whole cells also at the border, where half of each lies outside of the image.
    labels = first.repeat(across, axis=1).repeat(down, axis=0)
    cells = labels.reshape(height + 1, down, width + 1, across)
    weights = _weights(down, across)
    step = max(1, CACHED_PIXELS // (down * across))
    for start in range(0, len(numbers), step):
        row, column = np.divmod(numbers[start : start + step], width + 1)
        found, order = _compare(_corners(scores, row, column), weights)
        cells[row[order], :, column[order]] = found.reshape(-1, down, across)
    top, left = (down + 1) // 2, (across + 1) // 2
    return np.ascontiguousarray(labels[top : top + size[0], left : left + size[1]])


@lru_cache(maxsize=16)
def _weights(down: int, across: int) -> np.ndarray:
    """Shares of the four scores of a cell in each of its pixels, float32 [4, down * across]."""
    shares = []
    for count in (down, across):
        share = (np.arange(count) + (0.5 if count % 2 == 0 else 0)) / count  # a score of an odd count is on a pixel
        shares.append(np.stack([1 - share, share]))
    return np.einsum("ay,bx->abyx", *shares).reshape(4, down * across).astype(np.float32)


def _corners(scores: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """The four scores of cells, [K, 4, n]; cell 0 of an axis lies before the first score."""
    classes, height, width = scores.shape
    above, below = np.maximum(row - 1, 0) * width, np.minimum(row, height - 1) * width
    left, right = np.maximum(column - 1, 0), np.minimum(column, width - 1)
    places = np.stack([above + left, above + right, below + left, below + right])
    return scores.reshape(classes, -1).take(places, axis=1)


def _compare(corners: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the pixels of cells, uint8 [n, pixels], and which cell each row is of.

    A score lies between the lowest and the highest of its cell: a class whose highest is below the lowest of another
    one is left out. Cells are ordered by the number of classes that are left, so that the second, third... classes
    belong to the first so many of them and are compared in one piece.
    """
    able = ~(corners.max(axis=1) < corners.min(axis=1).max(axis=0))  # NaN is able
    order = np.argsort(-able.sum(axis=0), kind="stable")
    cell, index = np.nonzero(able.T[order])
    starts = np.searchsorted(cell, np.arange(len(order)))
    rank = np.arange(len(cell)) - starts[cell]
    turn = np.argsort(rank.astype(np.uint8), kind="stable")
    cell, index = order[cell[turn]], index[turn]
    scores = corners[index, :, cell] @ weights
    classes = index.astype(np.uint8)[:, None]
    end = len(order)
    best, labels = scores[:end], classes[:end].repeat(weights.shape[1], axis=1)
    won = np.empty_like(labels)
    for count in np.bincount(rank)[1:]:
        part = slice(end, end + count)
        challenge(scores[part], classes[part], best[:count], labels[:count], won[:count])
        end += count
    return labels, order
