"""Non-maximum suppression (NMS) over boxes with a score for every class (NumPy, vectorised).

Three forms of YOLACT (Bolya et al. 2019, arXiv:1904.02689): Fast NMS per class, Fast NMS over the best class of each
box, and the traditional greedy one. In all of them a box can only be dropped for one of a higher score, and of equal
scores the box of the lower index comes first. So the candidates are looked at best first, and only as many of them as
it takes to fill the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mobileseg.boxes import iou

_FIRST_LOOK = 4
"""The first candidates looked at, as a multiple of the wanted number of results."""

_PAIRS = 1 << 18
"""Pairs of boxes compared at a time."""


@dataclass(frozen=True)
class Kept:
    """What is left, best first.

    Attributes:
        indices: int64 [m], rows of the boxes; with several classes a row may come more than once.
        classes: int64 [m].
        scores: float32 [m].
    """

    indices: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


def fast_nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    *,
    iou_threshold: float,
    top_k: int,
    max_detections: int,
    floor: float | None = None,
) -> Kept:
    """Fast NMS per class: a box goes if any better one of its class overlaps it, also one that goes itself.

    Args:
        boxes: float32 [n, 4], x1, y1, x2, y2.
        scores: float32 [n, K].
        iou_threshold: overlap above which a box goes.
        top_k: candidates per class.
        max_detections: length of the result at most.
        floor: scores that are not above it are no candidates; None takes all.
    """

    def survivors(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        keep = places < top_k
        candidates = np.flatnonzero(keep)
        keep[candidates] = ~_overlapped(boxes[rows[candidates]], places[candidates], iou_threshold)
        return keep

    return _per_class(scores, floor, max_detections, survivors)


def cross_class_nms(
    boxes: np.ndarray, scores: np.ndarray, *, iou_threshold: float, top_k: int, max_detections: int
) -> Kept:
    """Fast NMS in one list: every box stands for its best class, and boxes of different classes compete.

    Args:
        boxes: float32 [n, 4], x1, y1, x2, y2.
        scores: float32 [n, K].
        iou_threshold: overlap above which a box goes.
        top_k: candidates in all.
        max_detections: length of the result at most.
    """
    if len(scores) == 0:
        return _nothing()
    classes = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), classes]
    order = _best_first(best, None, top_k)[:top_k]
    order = order[~_overlapped(boxes[order], np.arange(len(order)), iou_threshold)][:max_detections]
    return Kept(order, classes[order], best[order])


def traditional_nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    *,
    iou_threshold: float,
    max_detections: int,
    floor: float,
    inclusive: bool = False,
) -> Kept:
    """Greedy NMS per class: the best box stays, those that overlap it go, and so on with the rest.

    Args:
        boxes: float32 [n, 4], x1, y1, x2, y2; in pixels when ``inclusive``.
        scores: float32 [n, K].
        iou_threshold: overlap above which a box goes.
        max_detections: length of the result at most.
        floor: scores that are not above it are no candidates.
        inclusive: corners are pixels that belong to the box (sides one longer), and an overlap of ``iou_threshold``
            drops a box too, as in the published code.
    """

    def survivors(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        keep = np.zeros(len(rows), np.bool_)
        for group in np.split(np.arange(len(rows)), np.flatnonzero(places == 0)[1:]):
            waiting = group
            while len(waiting):
                first, waiting = waiting[0], waiting[1:]
                keep[first] = True
                corners = boxes[rows[first]], boxes[rows[waiting]]
                overlap = iou(corners[0][None], corners[1], inclusive=inclusive)
                waiting = waiting[overlap < iou_threshold if inclusive else overlap <= iou_threshold]
        return keep

    return _per_class(scores, floor, max_detections, survivors)


def _overlapped(boxes: np.ndarray, places: np.ndarray, threshold: float) -> np.ndarray:
    """Whether a box overlaps one before it in its group by more than the threshold, bool [n].

    Args:
        boxes: float32 [n, 4], group after group, best first.
        places: int64 [n], 0, 1, 2, ... in every group.
        threshold: of the overlap.
    """
    gone = np.zeros(len(boxes), np.bool_)
    pairs_before = np.concatenate([[0], np.cumsum(places)])
    start = 0
    while start < len(boxes):
        stop = int(np.searchsorted(pairs_before, pairs_before[start] + _PAIRS, side="right")) - 1
        part = np.arange(start, max(stop, start + 1))
        own = places[part]
        # Box i at place p of its group is compared with the boxes i - p to i - 1.
        later = np.repeat(part, own)
        earlier = later - np.repeat(own, own) + np.arange(len(later)) - np.repeat(np.cumsum(own) - own, own)
        gone[later[iou(boxes[earlier], boxes[later]) > threshold]] = True
        start = int(part[-1]) + 1
    return gone


def _per_class(
    scores: np.ndarray, floor: float | None, wanted: int, survivors: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Kept:
    """NMS in every class for itself, until ``wanted`` are found or nothing is left.

    Args:
        scores: float32 [n, K].
        floor: scores that are not above it are no candidates.
        wanted: length of the result at most.
        survivors: whether candidates stay, bool [m], from their rows, class after class and best first, and their
            places in their class, 0, 1, 2, ...; both int64 [m].
    """
    count, total = wanted * _FIRST_LOOK, scores.size
    while True:
        order = _best_first(scores.reshape(-1), floor, count)
        rows, classes = np.divmod(order, max(scores.shape[1], 1))
        grouped = np.argsort(classes, kind="stable")
        starts = np.flatnonzero(np.diff(classes[grouped], prepend=-1))
        places = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
        keep = np.zeros(len(order), np.bool_)
        keep[grouped] = survivors(rows[grouped], places)
        if keep.sum() >= wanted or len(order) < count or count >= total:
            chosen = np.flatnonzero(keep)[:wanted]
            return Kept(rows[chosen], classes[chosen], scores.reshape(-1)[order[chosen]])
        count *= _FIRST_LOOK


def _best_first(values: np.ndarray, floor: float | None, count: int) -> np.ndarray:
    """Indices of the ``count`` highest values above ``floor``, descending, and of all that equal the last of these."""
    chosen = np.arange(len(values)) if floor is None else np.flatnonzero(values > floor)
    found = values[chosen]
    if len(found) > count:
        bound = np.partition(found, len(found) - count)[len(found) - count]
        inside = found >= bound
        chosen, found = chosen[inside], found[inside]
    return chosen[np.argsort(-found, kind="stable")]


def _nothing() -> Kept:
    return Kept(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
