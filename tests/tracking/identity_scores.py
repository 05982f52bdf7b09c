"""IDF1 of tracks (Ristani et al. 2016) by SciPy's assignment: a reference of the tracker's tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from mobileseg.structures import InstanceMasks

Frame = tuple[Sequence[int], InstanceMasks]
"""Ids and masks."""


def idf1(truth: Sequence[Frame], found: Sequence[Frame]) -> float:
    """Of frames of truth and of what was found: an object is found where a mask has an IoU of at least 0.5."""
    pairs: Counter[tuple[int, int]] = Counter()
    for (true_ids, true_masks), (ids, masks) in zip(truth, found, strict=True):
        hits = mask_iou(true_masks, masks) >= 0.5
        pairs.update((int(true_ids[row]), int(ids[column])) for row, column in zip(*np.nonzero(hits), strict=True))
    true_names, names = sorted({one for one, _ in pairs}), sorted({other for _, other in pairs})
    table = np.array([[pairs[one, other] for other in names] for one in true_names]).reshape(
        len(true_names), len(names)
    )
    matched = table[linear_sum_assignment(-table)].sum()
    total = sum(len(ids) for ids, _ in truth) + sum(len(ids) for ids, _ in found)
    return float(2 * matched / total) if total else 1.0


def mask_iou(first: InstanceMasks, second: InstanceMasks) -> np.ndarray:
    """Intersection over union of all pairs, float64 [n, m]."""
    size = -(-first.size[0] // 2) * -(-first.size[1] // 2)
    one = first.to_array()[:, ::2, ::2].reshape(len(first), size).astype(np.float32)
    other = second.to_array()[:, ::2, ::2].reshape(len(second), size).astype(np.float32)
    shared = one @ other.T
    return shared / np.maximum(one.sum(1)[:, None] + other.sum(1) - shared, 1)
