"""NMS as loops over single boxes, from the description of each method."""

import numpy as np


def overlap(a: np.ndarray, b: np.ndarray, extra: float = 0.0) -> float:
    """Intersection over union in float64."""
    a, b = a.astype(float), b.astype(float)
    width = max(min(a[2], b[2]) - max(a[0], b[0]) + extra, 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]) + extra, 0)
    areas = [(box[2] - box[0] + extra) * (box[3] - box[1] + extra) for box in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union > 0 else 0.0


def slow_fast(boxes, scores, threshold, top_k, wanted, floor):
    found = []
    for kind in range(scores.shape[1]):
        order = sorted(range(len(boxes)), key=lambda row: (-scores[row, kind], row))
        order = [row for row in order if floor is None or scores[row, kind] > np.float32(floor)][:top_k]
        for place, row in enumerate(order):
            if all(overlap(boxes[row], boxes[better]) <= threshold for better in order[:place]):
                found.append((row, kind))
    return ranked(found, scores, wanted)


def slow_cross(boxes, scores, threshold, top_k, wanted):
    best = [max(range(scores.shape[1]), key=lambda kind: (scores[row, kind], -kind)) for row in range(len(boxes))]
    order = sorted(range(len(boxes)), key=lambda row: (-scores[row, best[row]], row))[:top_k]
    found = []
    for place, row in enumerate(order):
        if all(overlap(boxes[row], boxes[better]) <= threshold for better in order[:place]):
            found.append((row, best[row]))
    return found[:wanted]


def slow_greedy(boxes, scores, threshold, wanted, floor, inclusive):
    found = []
    for kind in range(scores.shape[1]):
        order = sorted(range(len(boxes)), key=lambda row: (-scores[row, kind], row))
        kept: list[int] = []
        for row in order:
            if scores[row, kind] <= np.float32(floor):
                continue
            values = [overlap(boxes[row], boxes[other], 1.0 if inclusive else 0.0) for other in kept]
            if all(value < threshold if inclusive else value <= threshold for value in values):
                kept.append(row)
        found += [(row, kind) for row in kept]
    return ranked(found, scores, wanted)


def ranked(found, scores, wanted):
    return sorted(found, key=lambda pair: (-scores[pair], pair))[:wanted]
