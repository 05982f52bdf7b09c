"""Anchors of the YOLACT family (Bolya et al. 2019, arXiv:1904.02689) and the coding of boxes relative to them.

Everything is NumPy and normalised: coordinates are fractions of the image's width and height.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

VARIANCES = (0.1, 0.2)


def make_anchors(
    feature_sizes: Sequence[tuple[int, int]],
    image_size: tuple[int, int],
    scales: Sequence[Sequence[float]],
    ratios: Sequence[float],
    square: bool = False,
) -> np.ndarray:
    """The anchors of all levels, in the order level, row, column, scale, ratio.

    Args:
        feature_sizes: (height, width) of each level's map.
        image_size: (height, width) of the image in pixels.
        scales: for each level, the sides in pixels of its anchors of ratio 1.
        ratios: width over height.
        square: heights equal to the widths, side ``scale * sqrt(ratio)``: what YOLACT's published weights were
            trained with.

    Returns:
        float32 [P, 4]: centre x, centre y, width, height.
    """
    height, width = image_size
    levels = []
    for (rows, columns), level_scales in zip(feature_sizes, scales, strict=True):
        shapes = [
            (scale * math.sqrt(ratio) / width, scale * math.sqrt(ratio if square else 1 / ratio) / height)
            for scale in level_scales
            for ratio in ratios
        ]
        level = np.empty((rows, columns, len(shapes), 4), np.float64)
        level[..., 0] = ((np.arange(columns) + 0.5) / columns)[None, :, None]
        level[..., 1] = ((np.arange(rows) + 0.5) / rows)[:, None, None]
        level[..., 2:] = shapes
        levels.append(level.reshape(-1, 4))
    return np.concatenate(levels).astype(np.float32)


def encode(boxes: np.ndarray, anchors: np.ndarray, variances: tuple[float, float] = VARIANCES) -> np.ndarray:
    """Boxes as offsets from their anchors (SSD's coding, Liu et al. 2016, arXiv:1512.02325).

    Args:
        boxes: float [P, 4] corners x1, y1, x2, y2; width and height positive.
        anchors: float [P, 4] as :func:`make_anchors` gives them.
        variances: divisors of the offsets of the centre and of the logarithm of the size.

    Returns:
        float32 [P, 4], what the network is to predict in ``loc``.
    """
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    sizes = boxes[:, 2:] - boxes[:, :2]
    offsets = (centers - anchors[:, :2]) / (variances[0] * anchors[:, 2:])
    return np.concatenate([offsets, np.log(sizes / anchors[:, 2:]) / variances[1]], axis=1).astype(np.float32)


def decode(loc: np.ndarray, anchors: np.ndarray, variances: tuple[float, float] = VARIANCES) -> np.ndarray:
    """The inverse of :func:`encode`.

    Args:
        loc: float [P, 4], the network's ``loc`` of one image.
        anchors: float [P, 4] as :func:`make_anchors` gives them.
        variances: as in :func:`encode`.

    Returns:
        float32 [P, 4] corners x1, y1, x2, y2; they may lie outside of 0..1.
    """
    centers = anchors[:, :2] + loc[:, :2] * variances[0] * anchors[:, 2:]
    halves = anchors[:, 2:] * np.exp(loc[:, 2:] * variances[1]) / 2
    return np.concatenate([centers - halves, centers + halves], axis=1).astype(np.float32, copy=False)
