"""How much two sets of detections have in common, for graphs that round differently on purpose."""

from __future__ import annotations

import numpy as np

from mobileseg.boxes import iou
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
    overlaps = np.array([iou(box[None], other.boxes) for box in one.boxes]).reshape(len(one.boxes), len(other.boxes))
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
