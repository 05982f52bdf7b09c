"""The rule for raw outputs, which is the same for every task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LIMIT = 1e-3
"""Largest allowed difference of raw outputs, in standard deviations of the reference (docs/export.md)."""


@dataclass(frozen=True)
class Agreement:
    """One engine against the reference, over all items.

    Attributes:
        max_diff: largest difference of raw scores in standard deviations of the reference; None for a graph
            that gives results only.
        equal: share of equal labels, or of detections that were found again.
        problems: what breaks the rule, one sentence each; empty when the graph agrees.
    """

    max_diff: float | None
    equal: float
    problems: tuple[str, ...]


def difference(
    name: str, value: np.ndarray, expected: np.ndarray, scale: float, slack: np.ndarray | float = 0.0
) -> tuple[float, str]:
    """Compare one output.

    Args:
        name: of the output, for the message.
        value: what an engine answered.
        expected: what the network answered.
        scale: standard deviation of the network's whole output.
        slack: difference that is allowed beyond `LIMIT` standard deviations.

    Returns:
        Largest difference in standard deviations, and what is wrong with it ('' when nothing is).
    """
    if value.shape != expected.shape:
        return float("inf"), f"'{name}' has shape {list(value.shape)}, the reference {list(expected.shape)}"
    scale = scale or 1.0
    off = np.abs(value.astype(np.float64) - expected)
    worst = float(off.max(initial=0.0)) / scale
    if (~(off <= LIMIT * scale + slack)).any():  # also for NaN
        return worst, f"'{name}' differs by {worst:.2e} standard deviations (allowed {LIMIT:.0e})"
    return worst, ""
