"""The area under the ROC curve: how well the scores of a class rank its pixels above the others (NumPy)."""

from __future__ import annotations

from typing import Any

import numpy as np

_BINS = 1 << 16
"""Scores are told apart to 1 / 65536; equal ones count half."""


class RankingScore:
    """Area under the ROC curve of every class against the rest, over all pixels of a set.

    It is the probability that a pixel of the class has a higher score than a pixel of another class (Hanley and
    McNeil, 1982), from two histograms per class, so memory does not grow with the set.

    Args:
        num_classes: number of classes.
        ignore_index: label value of pixels that count nowhere.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        self.ignore_index = ignore_index
        self.counts = np.zeros((num_classes, 2, _BINS), np.int64)

    def update(self, scores: np.ndarray, label: np.ndarray) -> None:
        """Count the pixels of one image.

        Args:
            scores: float [K, H, W], probabilities 0..1.
            label: integer [H, W].
        """
        valid = label != self.ignore_index
        truth = label[valid]
        for index, counts in enumerate(self.counts):
            bins = np.clip(scores[index][valid] * _BINS, 0, _BINS - 1).astype(np.int64)
            counts[1] += np.bincount(bins[truth == index], minlength=_BINS)
            counts[0] += np.bincount(bins[truth != index], minlength=_BINS)

    def areas(self) -> np.ndarray:
        """float64 [K]: the area of every class, NaN where the set has no pixel of it or none of the others."""
        result = np.full(len(self.counts), np.nan)
        for index, (others, own) in enumerate(self.counts):
            pairs = float(own.sum()) * float(others.sum())
            if pairs:
                below = np.cumsum(others) - others
                result[index] = float((own * (below + 0.5 * others)).sum()) / pairs
        return result

    def summary(self) -> dict[str, Any]:
        """``auc_roc``, the mean over the classes that have an area (None without any), and ``class_auc_roc``."""
        areas = self.areas()
        known = areas[~np.isnan(areas)]
        each = [None if np.isnan(area) else float(area) for area in areas]
        return {"auc_roc": float(known.mean()) if known.size else None, "class_auc_roc": each}
