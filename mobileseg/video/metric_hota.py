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
    pairs, overlaps = [np.zeros((2, 0), np.int64)], [np.zeros(0)]
    for frame in frames:
        rows, columns = linear_sum_assignment(alignment[np.ix_(frame.found, frame.true)] * frame.iou, maximize=True)
        pairs.append(np.stack([frame.found[rows], frame.true[columns]]))
        overlaps.append(frame.iou[rows, columns])
    overlap = np.concatenate(overlaps)
    matched = overlap >= THRESHOLDS[:, None] - np.finfo(float).eps  # [19, pairs]
    positives = matched.sum(axis=1).astype(float)
    return HotaCounts(
        true_positives=positives,
        false_negatives=lengths[1].sum() - positives,
        false_positives=lengths[0].sum() - positives,
        association=_association(np.concatenate(pairs, axis=1), matched, lengths),
        overlap=matched @ overlap,
    )


def _association(pairs: np.ndarray, matched: np.ndarray, lengths: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Sum over true positives of the Jaccard index of their tracks, [19].

    Args:
        pairs: int64 [2, n], found and true track of every pair of masks.
        matched: bool [19, n], whether the pair is a true positive.
        lengths: frames in which each track is seen.
    """
    (found, true), which = np.unique(pairs, axis=1, return_inverse=True)
    together = np.stack([np.bincount(which.ravel(), weights, minlength=len(found)) for weights in matched])
    union = lengths[0][found] + lengths[1][true] - together
    return np.asarray((together**2 / union).sum(axis=1))


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
