"""Which anchor learns which object (Bolya et al., YOLACT, ICCV 2019; the rule for crowds from its code)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mobileseg.instance.anchors import VARIANCES, encode

BACKGROUND, NEUTRAL = 0, -1


class Targets(NamedTuple):
    """What the anchors of one image are to learn.

    Attributes:
        loc: float32 [P, 4], encoded boxes; zero where the anchor is not positive.
        classes: int64 [P]: class + 1 on positive anchors, 0 background, -1 neutral (takes part in no loss).
        matched: int64 [P]: row of the object in the boxes that were given, -1 where the anchor is not positive.
    """

    loc: np.ndarray
    classes: np.ndarray
    matched: np.ndarray


def match(
    anchors: np.ndarray,
    boxes: np.ndarray,
    classes: np.ndarray,
    crowd: np.ndarray,
    positive: float = 0.5,
    negative: float = 0.4,
    crowd_overlap: float = 0.7,
    variances: tuple[float, float] = VARIANCES,
) -> Targets:
    """Match the anchors of one image with its objects.

    An anchor takes the object it overlaps most: it is positive from an IoU of ``positive``, background below
    ``negative``, neutral between. Before that every object is given an anchor of its own, the pair of the highest IoU
    first, then the best pair of the remaining objects and anchors, and so on; such an anchor is positive whatever its
    IoU. An object that overlaps none of the remaining anchors gets none.

    An anchor that is not positive becomes neutral when more than ``crowd_overlap`` of its own area lies in one crowd
    box. Crowds are never matched.

    Args:
        anchors: float32 [P, 4] (cx, cy, w, h), normalised to the image.
        boxes: float32 [M, 4] xyxy, normalised; rows without area are left out.
        classes: int64 [M], -1 marks a row that is padding.
        crowd: uint8 or bool [M].
        positive: lowest IoU of a positive anchor.
        negative: IoU below which an anchor is background.
        crowd_overlap: share of an anchor's area above which a crowd hides it.
        variances: of the encoding, centre and size.
    """
    count = len(anchors)
    targets = Targets(np.zeros((count, 4), np.float32), np.zeros(count, np.int64), np.full(count, -1, np.int64))
    solid = (classes >= 0) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    objects, crowds = np.flatnonzero(solid & (crowd == 0)), np.flatnonzero(solid & (crowd != 0))
    corners = _corners(anchors)
    area = anchors[:, 2] * anchors[:, 3]
    if len(objects):
        overlaps = _iou(boxes[objects], corners, area)
        nearest = overlaps.argmax(axis=0)
        best = overlaps[nearest, np.arange(count)]
        chosen, owners = _own_anchors(overlaps)
        nearest[chosen], best[chosen] = owners, 2.0
        rows = np.flatnonzero(best >= positive)
        targets.classes[(best >= negative) & (best < positive)] = NEUTRAL
        targets.matched[rows] = objects[nearest[rows]]
        targets.classes[rows] = classes[targets.matched[rows]] + 1
        targets.loc[rows] = encode(boxes[targets.matched[rows]], anchors[rows], variances)
    if len(crowds):
        hidden = (_intersection(boxes[crowds], corners) / area).max(axis=0) > crowd_overlap
        targets.classes[hidden & (targets.classes <= BACKGROUND)] = NEUTRAL
    return targets


def _own_anchors(overlaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different anchors for the objects, best pairs first: anchors int64 [n], objects int64 [n].

    The best anchor of each object is remembered, so that a step looks at one number per object and goes through the
    anchors again only for objects whose best one has just been taken.
    """
    remaining = overlaps.copy()
    best_anchor = remaining.argmax(axis=1)
    best = remaining[np.arange(len(remaining)), best_anchor]
    anchors, objects = [], []
    while (owner := int(best.argmax())) >= 0 and best[owner] > 0:
        taken = int(best_anchor[owner])
        anchors.append(taken)
        objects.append(owner)
        best[owner] = -1.0
        remaining[:, taken] = -1.0
        losers = np.flatnonzero((best_anchor == taken) & (best > 0))
        best_anchor[losers] = remaining[losers].argmax(axis=1)
        best[losers] = remaining[losers, best_anchor[losers]]
    return np.array(anchors, np.int64), np.array(objects, np.int64)


def _corners(anchors: np.ndarray) -> np.ndarray:
    half = anchors[:, 2:] / 2
    return np.concatenate([anchors[:, :2] - half, anchors[:, :2] + half], axis=1)


def _intersection(boxes: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Common area of every box [M, 4] with every anchor [P, 4], both xyxy: [M, P]."""
    x1, y1, x2, y2 = boxes.T[:, :, None]
    width = np.minimum(x2, corners[:, 2]) - np.maximum(x1, corners[:, 0])
    height = np.minimum(y2, corners[:, 3]) - np.maximum(y1, corners[:, 1])
    shared: np.ndarray = width.clip(min=0) * height.clip(min=0)
    return shared


def _iou(boxes: np.ndarray, corners: np.ndarray, area: np.ndarray) -> np.ndarray:
    shared = _intersection(boxes, corners)
    own = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    quotient: np.ndarray = shared / (own[:, None] + area - shared)
    return quotient
