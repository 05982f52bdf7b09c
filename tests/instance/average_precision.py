"""COCO's average precision and recall written from their definition, for dense masks, slow and without its code."""

from __future__ import annotations

import numpy as np

from tests.instance.scenes import Things

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RANGES = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}


def twelve(truth: list[Things], found: list[Things], kind: str) -> dict[str, float | None]:
    """All twelve numbers; ``kind`` is 'segm' or 'bbox'."""

    def ap(area="all", thresholds=THRESHOLDS):
        return mean_over(truth, found, kind, thresholds, area, 100, 0)

    def ar(area, limit):
        return mean_over(truth, found, kind, THRESHOLDS, area, limit, 1)

    return {
        "ap": ap(),
        "ap50": ap(thresholds=[0.5]),
        "ap75": ap(thresholds=[0.75]),
        "ap_small": ap("small"),
        "ap_medium": ap("medium"),
        "ap_large": ap("large"),
        "ar1": ar("all", 1),
        "ar10": ar("all", 10),
        "ar100": ar("all", 100),
        "ar_small": ar("small", 100),
        "ar_medium": ar("medium", 100),
        "ar_large": ar("large", 100),
    }


def mean_over(truth, found, kind, thresholds, area, limit, which, classes=(0, 1, 2)) -> float | None:
    """Mean of AP (which = 0) or of the recall reached (1) over thresholds and the classes that have objects."""
    values = [
        curve(truth, found, kind, label, threshold, RANGES[area], limit)
        for label in classes
        for threshold in thresholds
    ]
    values = [value[which] for value in values if value is not None]
    return float(np.mean(values)) if values else None


def curve(truth, found, kind, label, threshold, limits, limit) -> tuple[float, float] | None:
    """(AP, highest recall) of one class at one threshold; None when there is nothing to find."""
    judged, total = [], 0
    for objects, detections in zip(truth, found, strict=True):
        mine = np.flatnonzero(objects.classes == label)
        ignored = {i for i in mine if objects.crowd[i] or not limits[0] <= objects.masks[i].sum() <= limits[1]}
        total += len(mine) - len(ignored)
        taken: set[int] = set()
        candidates = np.flatnonzero(detections.classes == label)
        for d in sorted(candidates, key=lambda i: -detections.scores[i])[:limit]:
            overlaps = {i: overlap(detections, d, objects, i, kind) for i in mine if i not in taken or objects.crowd[i]}
            close = {i: value for i, value in overlaps.items() if value >= threshold}
            real = {i: value for i, value in close.items() if i not in ignored}
            if real:
                taken.add(max(real, key=lambda i: real[i]))
                judged.append((detections.scores[d], True))
            elif close:
                taken.add(max(close, key=lambda i: close[i]))
            elif limits[0] <= size_of(detections, d, kind) <= limits[1]:
                judged.append((detections.scores[d], False))
    if total == 0:
        return None
    hits = np.array([hit for _, hit in sorted(judged, key=lambda one: -one[0])], bool)
    right = np.cumsum(hits)
    recall, precision = right / total, right / np.arange(1, len(hits) + 1)
    points = [max(precision[recall >= level], default=0.0) for level in np.linspace(0, 1, 101)]
    return float(np.mean(points)), float(recall[-1]) if len(recall) else 0.0


def size_of(things: Things, index: int, kind: str) -> float:
    if kind == "segm":
        return float(things.masks[index].sum())
    left, top, right, bottom = things.boxes[index]
    return float((right - left) * (bottom - top))


def overlap(detections: Things, d: int, objects: Things, i: int, kind: str) -> float:
    """IoU; with a crowd region the share of the detection that lies in it."""
    if kind == "segm":
        common = float((detections.masks[d] & objects.masks[i]).sum())
    else:
        a, b = detections.boxes[d], objects.boxes[i]
        sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
        common = float(np.prod(sides.clip(0)))
    mine = size_of(detections, d, kind)
    return common / (mine if objects.crowd[i] else mine + size_of(objects, i, kind) - common)
