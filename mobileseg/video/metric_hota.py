"""HOTA (Luiten et al., HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking, IJCV 2021), on masks.

At a threshold of the IoU, every frame's objects are matched with detections so that tracks which agree over the whole
video are preferred. DetA is the Jaccard index of detections; AssA, the mean over all true positives of how far the two
tracks of the pair agree; HOTA, the geometric mean of both. What is reported is the mean over thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from mobileseg.video.metric_tracks import FrameObjects

THRESHOLDS = np.arange(0.05, 0.99, 0.05)
"""Of the IoU: 0.05, 0.10, ..., 0.95."""


def _zeros() -> np.ndarray:
    return np.zeros(len(THRESHOLDS))


@dataclass(frozen=True)
class HotaCounts:
    """Sums by threshold, float64 [19] each; those of several videos and classes are added.

    Attributes:
        true_positives: objects that are matched.
        false_negatives: objects that are not.
        false_positives: detections that are not matched.
        association: sum over true positives of the Jaccard index of their two tracks.
        overlap: sum over true positives of their IoU.
    """

    true_positives: np.ndarray = field(default_factory=_zeros)
    false_negatives: np.ndarray = field(default_factory=_zeros)
    false_positives: np.ndarray = field(default_factory=_zeros)
    association: np.ndarray = field(default_factory=_zeros)
    overlap: np.ndarray = field(default_factory=_zeros)

    def __add__(self, other: HotaCounts) -> HotaCounts:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return HotaCounts(*(mine + theirs for mine, theirs in pairs))

    def numbers(self) -> dict[str, float | None]:
        """``hota``, ``deta``, ``assa`` and ``loca``, means over thresholds; None where there is nothing to score.

        LocA is the mean IoU of true positives; a threshold without any has a LocA of 1, as in the authors' code.
        """
        positives = self.true_positives
        everything = positives + self.false_negatives + self.false_positives
        if not everything.any():
            return dict.fromkeys(("hota", "deta", "assa", "loca"))
        detection = positives / everything
        association = self.association / np.maximum(positives, 1)
        location = np.divide(self.overlap, positives, out=np.ones_like(positives), where=positives > 0)
        return {
            "hota": float(np.sqrt(detection * association).mean()),
            "deta": float(detection.mean()),
            "assa": float(association.mean()),
            "loca": float(location.mean()),
        }


def hota_counts(frames: Sequence[FrameObjects], found: int, true: int) -> HotaCounts:
    """Count the tracks of one class in one video.

    Args:
        frames: of :meth:`mobileseg.video.metric_tracks.TrackGroup.objects`.
        found: number of found tracks.
        true: number of true tracks.
    """
    lengths = _lengths(frames, found, true)
    alignment = _alignment(frames, lengths)
    counts = HotaCounts()
    pairs = np.zeros((len(THRESHOLDS), found, true))
    for frame in frames:
        rows, columns = linear_sum_assignment(alignment[np.ix_(frame.found, frame.true)] * frame.iou, maximize=True)
        overlap = frame.iou[rows, columns]
        matched = overlap >= THRESHOLDS[:, None] - np.finfo(float).eps  # [19, pairs]
        number = matched.sum(axis=1)
        counts.true_positives[:] += number
        counts.false_negatives[:] += len(frame.true) - number
        counts.false_positives[:] += len(frame.found) - number
        counts.overlap[:] += matched @ overlap
        pairs[:, frame.found[rows], frame.true[columns]] += matched
    union = lengths[0][:, None] + lengths[1][None, :] - pairs
    counts.association[:] = (pairs**2 / np.maximum(union, 1)).sum(axis=(1, 2))
    return counts


def _lengths(frames: Sequence[FrameObjects], found: int, true: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames in which each track is seen, float64 [D] and [G]."""
    lengths = np.zeros(found), np.zeros(true)
    for frame in frames:
        lengths[0][frame.found] += 1
        lengths[1][frame.true] += 1
    return lengths


def _alignment(frames: Sequence[FrameObjects], lengths: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """How far two tracks agree before anything is matched, 0..1, float64 [D, G].

    A Jaccard index in which a pair of masks counts by its IoU over the sum of all IoUs that compete with it.
    """
    shared = np.zeros((len(lengths[0]), len(lengths[1])))
    for frame in frames:
        competing = frame.iou.sum(axis=1, keepdims=True) + frame.iou.sum(axis=0, keepdims=True) - frame.iou
        share = np.divide(frame.iou, competing, out=np.zeros(frame.iou.shape), where=competing > np.finfo(float).eps)
        shared[np.ix_(frame.found, frame.true)] += share
    return shared / np.maximum(lengths[0][:, None] + lengths[1][None, :] - shared, np.finfo(float).eps)
