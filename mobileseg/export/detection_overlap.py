"""How much two sets of detections have in common, for graphs that round differently on purpose."""

from __future__ import annotations

import numpy as np

from mobileseg.structures import InstanceResult

_OVERLAP = 0.5


def shared_score(one: InstanceResult, other: InstanceResult) -> tuple[float, float]:
    """The score of detections that both have, and of all; what hardly counts as a detection hardly counts here.

    Detections are the same when their class is and their boxes overlap by at least half (intersection over union); the
    best ones are paired first.

    Returns:
        Sum of the scores of paired detections of both, and sum of all scores of both.
    """
    total = float(one.scores.sum() + other.scores.sum())
    overlaps = _overlaps(one.boxes, other.boxes)
    overlaps[one.classes[:, None] != other.classes[None]] = 0.0
    shared = 0.0
    for index in np.argsort(-one.scores, kind="stable"):
        if not overlaps.shape[1]:
            break
        match = int(overlaps[index].argmax())
        if overlaps[index, match] >= _OVERLAP:
            shared += float(one.scores[index] + other.scores[match])
            overlaps[:, match] = 0.0
    return shared, total


def _overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of float32 [n,4] and [m,4] boxes (x1, y1, x2, y2): [n,m]."""
    corner = np.maximum(one[:, None, :2], other[None, :, :2])
    opposite = np.minimum(one[:, None, 2:], other[None, :, 2:])
    both = np.clip(opposite - corner, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other)]
    return np.asarray(both / np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-9))
