"""The rule that decides whether a graph and the network agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mobileseg.export.reference import LIMIT, ReferenceItem, subsample
from mobileseg.runtime.specs import OutputSpec


@dataclass(frozen=True)
class Agreement:
    """One engine against the reference, over all items.

    Attributes:
        max_diff: largest difference of raw scores in standard deviations of the reference; None for a graph
            that gives labels only.
        labels_equal: share of equal labels.
        problems: what breaks the rule, one sentence each; empty when the graph agrees.
    """

    max_diff: float | None
    labels_equal: float
    problems: tuple[str, ...]


def compare(
    answers: Sequence[Mapping[str, np.ndarray]], items: Sequence[ReferenceItem], specs: Sequence[OutputSpec]
) -> Agreement:
    """Compare an engine's answers, item by item.

    Raw scores must lie within `LIMIT` standard deviations of the reference's, probabilities within that and
    what such a difference of the logits makes of them; labels must be equal except where the two best logits
    of the reference are closer than that.

    Args:
        answers: per item, output name -> array.
        items: the reference.
        specs: what the graph returns.
    """
    problems: list[str] = []
    worst: float | None = None
    equal = total = 0
    for number, (answer, item) in enumerate(zip(answers, items, strict=True)):
        for spec in specs:
            value = answer[spec.name]
            if spec.kind != "labels":
                expected = item.logits if spec.kind == "logits" else item.outputs.get(spec.name)
                diff, problem = _score_difference(value, expected, item, spec)
                worst = diff if worst is None else max(worst, diff)
                problems.extend([f"image {number}: {problem}"] if problem else [])
                labels = value[0].argmax(axis=0)
            else:
                labels = value.reshape(value.shape[-2:])
            if labels.shape != item.argmax.shape:
                problems.append(
                    f"image {number}: labels have size {labels.shape}, the reference has {item.argmax.shape}"
                )
                continue
            same = labels == item.argmax
            equal, total = equal + int(same.sum()), total + same.size
            wrong = int((~same & ~item.close).sum())
            if wrong:
                problems.append(
                    f"image {number}: {wrong} of {same.size} labels of '{spec.name}' differ where the network is sure"
                )
    return Agreement(worst, equal / total if total else 0.0, tuple(problems))


def _score_difference(
    value: np.ndarray, expected: np.ndarray | None, item: ReferenceItem, spec: OutputSpec
) -> tuple[float, str]:
    if expected is None:
        return float("inf"), f"the reference has no output '{spec.name}', it has {sorted(item.outputs)}"
    value = subsample(value, item.stride)
    if value.shape != expected.shape:
        return float("inf"), f"'{spec.name}' has shape {list(value.shape)}, the reference {list(expected.shape)}"
    scale = item.scales[spec.kind] or 1.0
    difference = np.abs(value.astype(np.float64) - expected)
    allowed = np.full(expected.shape, LIMIT * scale)
    if spec.kind == "probabilities":
        # What logits that differ by the limit may do to a probability: a softmax with steep logits is steep.
        allowed += 2 * LIMIT * item.scales["logits"] * expected * (1.0 - expected)
    worst = float(difference.max()) / scale
    wrong = ~(difference <= allowed)  # also true for NaN
    if wrong.any():
        return worst, f"'{spec.name}' differs by {worst:.2e} standard deviations (allowed {LIMIT:.0e})"
    return worst, ""
