"""The tolerances of every comparison with a reference, and the rule for raw outputs, the same for every task.

The C++ program compares by the same numbers (deploy/lite/src/tolerances.h); a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LIMIT = 1e-3
"""Largest allowed difference of raw outputs, in standard deviations of the reference (docs/export.md)."""

INPUT_LIMIT = 1e-5
"""Largest allowed difference of inputs that are floats, in parts of the largest value that a pixel can become."""

ROUNDED_SHARE = 1e-3
"""Share of a uint8 input that may differ by 1: a value at .5 may be rounded to either side."""

STEEPNESS = 2.0
"""Of a probability p, times p * (1 - p) and `LIMIT` standard deviations of the logits: what it may differ by beyond
`LIMIT`. Logits that differ by the limit move a probability by so much: a softmax with steep logits is steep."""


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
