"""YouTube-VIS AP: average precision of tracks (Yang, Fan and Xu, Video Instance Segmentation, ICCV 2019).

COCO's evaluation with tracks in place of masks. The rules are those of the benchmark's reference code: a track has one
score; the IoU is taken over all frames; a track is small up to a mean area of 128^2 pixels and large from 256^2, a
track on a border being both; a crowd track is compared by the ordinary IoU and takes up any number of found tracks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mobileseg.instance.metric_coco import PrecisionCurves
from mobileseg.video.metric_tracks import MaskTrack, TrackGroup, grouped

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Of the IoU."""

_RECALLS = np.linspace(0, 1, 101)
_BORDERS = np.array([(0, 1e10), (0, 128**2), (128**2, 256**2), (256**2, 1e10)])  # pixels; both ends belong to a range
_LIMITS = (1, 10, 100)  # found tracks per video and class


def track_precision(found: Iterable[MaskTrack], true: Iterable[MaskTrack], classes: int) -> PrecisionCurves:
    """Match found tracks with true ones.

    Args:
        found: tracks of a network.
        true: annotated ones.
        classes: their number.

    Raises:
        ValueError: masks of different sizes.
    """
    matching = TrackMatching(classes)
    for group in grouped(found, true):
        matching.add(group)
    return matching.curves()


@dataclass(frozen=True)
class _Matched:
    """Outcome of a group: scores [D], hits and ignored found tracks bool [A, T, D], tracks to find [A]."""

    scores: np.ndarray
    hits: np.ndarray
    ignored: np.ndarray
    wanted: np.ndarray


class TrackMatching:
    """Collects the outcome of groups, about 100 bytes per found track.

    Args:
        classes: their number.
    """

    def __init__(self, classes: int) -> None:
        self._outcomes: list[list[_Matched]] = [[] for _ in range(classes)]

    def add(self, group: TrackGroup) -> None:
        """Take in the tracks of a class in a video; groups of equal scores rank in the order in which they come."""
        self._outcomes[group.label].append(_match(group))

    def curves(self) -> PrecisionCurves:
        """Precision and recall over all groups; -1 for a class or an area range without a track to find."""
        shape = len(self._outcomes), len(_BORDERS), len(_LIMITS)
        precision = -np.ones((len(THRESHOLDS), len(_RECALLS), *shape))
        recall = -np.ones((len(THRESHOLDS), *shape))
        for label, outcomes in enumerate(self._outcomes):
            wanted = np.sum([outcome.wanted for outcome in outcomes], axis=0) if outcomes else np.zeros(len(_BORDERS))
            for number, limit in enumerate(_LIMITS):
                merged = _merged(outcomes, limit)
                for area in np.flatnonzero(wanted):
                    precision[:, :, label, area, number], recall[:, label, area, number] = _curve(
                        merged[0][area], merged[1][area], int(wanted[area])
                    )
        return PrecisionCurves(precision, recall)


def _match(group: TrackGroup) -> _Matched:
    """Each found track, best first, claims the free true one of the highest IoU; an ignored one only where it must.

    All area ranges and thresholds at a time. Of equal IoU the last true track is claimed.
    """
    found, true = group.found[: _LIMITS[-1]], group.true
    crowd = np.array([track.crowd for track in true], bool)
    beyond = crowd | _outside(true)  # [A, G]
    shape = len(_BORDERS), len(THRESHOLDS), len(found)
    hits, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    if true and found:
        iou = group.iou()[: len(found)]
        reached = iou[:, None, :] >= np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]  # [D, T, G]
        free = np.ones((*shape[:2], len(true)), bool)
        ranks = np.argsort(np.argsort(iou, axis=1, kind="stable"), axis=1) + 1  # 1 for the lowest IoU
        for index in range(len(found)):
            # What is to be ignored ranks below everything else; 0 is what cannot be claimed.
            worth = (ranks[index] + np.where(beyond, 0, len(true)))[:, None, :] * (reached[index] & (free | crowd))
            best = worth.argmax(axis=2)
            hit = worth.max(axis=2) > 0
            hits[:, :, index] = hit
            ignored[:, :, index] = hit & np.take_along_axis(beyond, best, axis=1)
            areas, levels = np.nonzero(hit)
            free[areas, levels, best[hit]] = False
    ignored |= ~hits & _outside(found)[:, None, :]
    return _Matched(np.array([track.score for track in found]), hits, ignored, (~beyond).sum(axis=1))


def _outside(tracks: list[MaskTrack]) -> np.ndarray:
    """bool [A, n]: tracks whose mean area is not in a range."""
    areas = np.array([track.mean_area for track in tracks])
    return np.asarray((areas < _BORDERS[:, :1]) | (areas > _BORDERS[:, 1:]))


def _merged(outcomes: list[_Matched], limit: int) -> tuple[np.ndarray, np.ndarray]:
    """True and false positives of all groups, best first, bool [A, T, n] each."""
    if not outcomes:
        nothing = np.zeros((len(_BORDERS), len(THRESHOLDS), 0), bool)
        return nothing, nothing
    order = np.argsort(-np.concatenate([one.scores[:limit] for one in outcomes]), kind="stable")
    hits = np.concatenate([one.hits[:, :, :limit] for one in outcomes], axis=2)[:, :, order]
    counted = ~np.concatenate([one.ignored[:, :, :limit] for one in outcomes], axis=2)[:, :, order]
    return hits & counted, ~hits & counted


def _curve(true: np.ndarray, false: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Precision at the 101 recalls, [T, 101], and the highest recall, [T], of positives bool [T, n], best first."""
    right, wrong = np.cumsum(true, axis=1, dtype=float), np.cumsum(false, axis=1, dtype=float)
    recall = right / wanted
    precision = np.zeros((len(true), len(_RECALLS)))
    if not true.shape[1]:
        return precision, np.zeros(len(true))
    exact = right / (right + wrong + np.spacing(1))
    monotone = np.maximum.accumulate(exact[:, ::-1], axis=1)[:, ::-1]
    for level, reached in enumerate(recall):
        positions = np.searchsorted(reached, _RECALLS, side="left")
        inside = positions < reached.size
        precision[level, inside] = monotone[level, positions[inside]]
    return precision, recall[:, -1]
