"""Precision per component: which combinations there are, which are worth trying, which one is best."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from mobileseg.compress.precision.scores import Evaluation, OutOfTime
from mobileseg.compress.precision.simulate import Precision

DEVICE_ONLY = "device only"
"""Latency of float16: CPUs of servers and desktops compute it in float32."""

Combination: TypeAlias = tuple[Precision, ...]


@dataclass(frozen=True)
class CombinationRow:
    """One combination.

    Attributes:
        combination: precision of every component, in the order of the network.
        scores: metric -> value; the first one decides.
        latency_ms: of ONNX Runtime on this machine; None for float16.
    """

    combination: Combination
    scores: Mapping[str, float] = field(default_factory=dict)
    latency_ms: float | None = None

    @property
    def name(self) -> str:
        """As 'int8-fp32-fp16'."""
        return "-".join(self.combination)

    @property
    def score(self) -> float:
        """The score that decides."""
        return next(iter(self.scores.values()))


class Combinations:
    """The combinations of one network.

    Args:
        evaluation: of the simulated network.
        paths: component -> paths of its layers.
        precisions: what to combine, the first one being the finest.
        say: told what is going on.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        paths: Mapping[str, tuple[str, ...]],
        precisions: Sequence[Precision],
        say: Callable[[str], None],
    ) -> None:
        self._evaluation = evaluation
        self.paths = dict(paths)
        self.precisions = tuple(dict.fromkeys(precisions))
        self._say = say

    def assignment(self, combination: Combination) -> dict[str, Precision]:
        """Path of a layer of a component -> precision."""
        return assignment(self.paths, combination)

    def score(self, combinations: Sequence[Combination], time_limit: float | None = None) -> list[CombinationRow]:
        """Score combinations; raises OutOfTime, see :meth:`Evaluation.scores`."""
        found = self._evaluation.scores([self.assignment(one) for one in combinations], time_limit=time_limit)
        return [CombinationRow(one, scores.named()) for one, scores in zip(combinations, found, strict=True)]

    def search(self, time_limit: float, max_drop: float) -> tuple[list[CombinationRow], bool]:
        """Score all combinations or, where that takes too long, those of a greedy descent.

        Args:
            time_limit: seconds.
            max_drop: loss of the score at which the descent ends.

        Returns:
            The rows, and whether they are all there are.
        """
        everything = list(itertools.product(self.precisions, repeat=len(self.paths)))
        self._say(f"score {len(everything)} combinations on {len(self._evaluation.dataset)} images")
        try:
            return self.score(everything, time_limit), True
        except OutOfTime as late:
            self._say(
                f"all {len(everything)} combinations would take {late.seconds:.0f} s, "
                f"compress.search.time_limit is {time_limit:.0f} s: greedy search instead"
            )
        return self.descend(max_drop), False

    def descend(self, max_drop: float) -> list[CombinationRow]:
        """From the finest precision on, always take the coarser component that costs least; until it costs too much."""
        best = self.score([(self.precisions[0],) * len(self.paths)])[0]
        first, known = best.score, {best.combination: best}
        while True:
            steps = [step for step in self._coarser(best.combination) if step not in known]
            if not steps:
                return list(known.values())
            rows = self.score(steps)
            known.update({row.combination: row for row in rows})
            best = max(rows, key=lambda row: row.score)
            self._say(f"  {best.name}: {best.score:.4f} ({first:.4f} without)")
            if first - best.score > max_drop:
                return list(known.values())

    def _coarser(self, combination: Combination) -> list[Combination]:
        found = []
        for index, precision in enumerate(combination):
            level = self.precisions.index(precision) + 1
            if level < len(self.precisions):
                found.append((*combination[:index], self.precisions[level], *combination[index + 1 :]))
        return found


def assignment(paths: Mapping[str, tuple[str, ...]], combination: Combination) -> dict[str, Precision]:
    """Path of a layer of a component -> precision."""
    pairs = zip(paths.values(), combination, strict=True)
    return {path: precision for members, precision in pairs for path in members}


def best_row(rows: Sequence[CombinationRow], *, max_drop: float, latency_ms: float | None) -> CombinationRow | None:
    """The best combination under the budget, among those that this machine can run.

    Args:
        rows: with one for float32 alone, or its finest precision, first.
        max_drop: largest loss of the score, where no latency is asked for.
        latency_ms: largest latency; then the best score counts.
    """
    timed = [(row, row.latency_ms) for row in rows if row.latency_ms is not None]
    if latency_ms is not None:
        fitting = [row for row, latency in timed if latency <= latency_ms]
        return max(fitting, key=lambda row: row.score, default=None)
    fitting_drop = [(row, latency) for row, latency in timed if rows[0].score - row.score <= max_drop]
    return min(fitting_drop, key=lambda pair: pair[1], default=(None, 0.0))[0]


def with_latency(rows: Sequence[CombinationRow], latencies: Mapping[Combination, float]) -> list[CombinationRow]:
    """The rows with what was measured."""
    return [replace(row, latency_ms=latencies.get(row.combination)) for row in rows]
