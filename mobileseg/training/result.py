"""What a training gave."""

from __future__ import annotations

from dataclasses import dataclass

from mobileseg.scores import Scores


@dataclass(frozen=True)
class FitResult:
    """How a call of :meth:`Trainer.fit` ended.

    Attributes:
        iteration: iterations done, those before a resume included.
        reason: 'finished', 'already finished', 'early stop' or 'interrupted'.
        signal: number of the signal that interrupted, else 0.
        best_score: highest validation score of the run, None without an evaluation.
        metric: what that score is, 'mIoU' or 'mask AP'; None without an evaluation.
        scores: the last evaluation of this call, None without one.
    """

    iteration: int
    reason: str
    signal: int
    best_score: float | None
    metric: str | None
    scores: Scores | None
