"""IDF1 (Ristani et al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, 2016), on masks.

Every true track is given at most one found track, and the other way round, so that as many detections as possible are
those of the right object: these are the IDTP. IDF1 mixes two things, how well objects are detected and how well
detections are associated. So beside it stands what perfect association of the same detections would reach: each
detection that matches an object bears that object's identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from mobileseg.video.metric_tracks import FrameObjects

THRESHOLD = 0.5
"""IoU from which a detection can be an object."""


@dataclass(frozen=True)
class IdentityCounts:
    """Sums of several videos and classes are added.

    Attributes:
        matched: detections of the right object (IDTP).
        matchable: IDTP of perfect association: the most pairs of object and detection that each frame allows.
        found: detections.
        true: objects in all frames.
    """

    matched: int = 0
    matchable: int = 0
    found: int = 0
    true: int = 0

    def __add__(self, other: IdentityCounts) -> IdentityCounts:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return IdentityCounts(*(mine + theirs for mine, theirs in pairs))

    def numbers(self) -> dict[str, float | None]:
        """Scores in 0..1, None where there is nothing to score.

        ``idf1``, ``idp`` (of detections) and ``idr`` (of objects); ``idf1_perfect``: the IDF1 of perfect association;
        ``association``: the share of it that was reached, None where no detection matches an object.
        """
        return {
            "idf1": _ratio(2 * self.matched, self.found + self.true),
            "idp": _ratio(self.matched, self.found),
            "idr": _ratio(self.matched, self.true),
            "idf1_perfect": _ratio(2 * self.matchable, self.found + self.true),
            "association": _ratio(self.matched, self.matchable),
        }


def identity_counts(frames: Sequence[FrameObjects], found: int, true: int) -> IdentityCounts:
    """Count the tracks of one class in one video.

    Args:
        frames: of :meth:`mobileseg.video.metric_tracks.TrackGroup.objects`.
        found: number of found tracks.
        true: number of true tracks.
    """
    together = np.zeros((found, true), np.int64)  # frames in which two tracks match
    matchable = 0
    for frame in frames:
        matches = frame.iou >= THRESHOLD
        together[np.ix_(frame.found, frame.true)] += matches
        matchable += int(matches[linear_sum_assignment(matches, maximize=True)].sum())
    return IdentityCounts(
        matched=int(together[linear_sum_assignment(together, maximize=True)].sum()),
        matchable=matchable,
        found=sum(len(frame.found) for frame in frames),
        true=sum(len(frame.true) for frame in frames),
    )


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
