"""The tables of `mobileseg compress search`."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mobileseg.compress.precision.combine import DEVICE_ONLY, CombinationRow
from mobileseg.compress.table import Table


@dataclass(frozen=True)
class Calibration:
    """Scores after calibration with so many images.

    Attributes:
        images: 0 for ranges taken anew from every input.
        scores: combination -> metric -> value.
    """

    images: int
    scores: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Effect:
    """What one component in a coarser precision changes, all else being equal.

    Attributes:
        component: its name.
        precision: instead of the finest one.
        pairs: of combinations that differ in this component alone.
        scores: metric -> mean change over the pairs.
        latency_ms: mean change over the pairs that were timed; None when there are none.
    """

    component: str
    precision: str
    pairs: int
    scores: Mapping[str, float]
    latency_ms: float | None


def effects(components: Sequence[str], rows: Sequence[CombinationRow]) -> list[Effect]:
    """Effect of every coarser precision in every component; those without a pair are left out.

    A single combination's score scatters by more than int8 changes it; the mean over all that surrounds a component
    scatters less.

    Args:
        components: names, in the order of the combinations.
        rows: the first one has the finest precision everywhere.
    """
    known = {row.combination: row for row in rows}
    finest = rows[0].combination[0]
    found = []
    for index, component in enumerate(components):
        for precision in dict.fromkeys(row.combination[index] for row in rows):
            coarse = [row for row in rows if row.combination[index] == precision != finest]
            twins = [known.get((*row.combination[:index], finest, *row.combination[index + 1 :])) for row in coarse]
            pairs = [(row, twin) for row, twin in zip(coarse, twins, strict=True) if twin is not None]
            if not pairs:
                continue
            changes = {
                metric: statistics.mean(row.scores[metric] - twin.scores[metric] for row, twin in pairs)
                for metric in rows[0].scores
            }
            gains = [
                row.latency_ms - twin.latency_ms
                for row, twin in pairs
                if row.latency_ms is not None and twin.latency_ms is not None
            ]
            found.append(Effect(component, precision, len(pairs), changes, statistics.mean(gains) if gains else None))
    return found


def combinations_table(
    components: Sequence[str], rows: Sequence[CombinationRow], chosen: CombinationRow | None
) -> Table:
    """A row per combination; the chosen one is marked."""
    metrics = list(rows[0].scores)
    head = [*components, "", *metrics, "lost", "ms on ONNX Runtime"]
    body = [
        [
            *row.combination,
            "best under the budget" if row == chosen else "",
            *(f"{row.scores[metric]:.4f}" for metric in metrics),
            _signed(rows[0].score - row.score),
            DEVICE_ONLY if row.latency_ms is None else f"{row.latency_ms:.1f}",
        ]
        for row in rows
    ]
    return Table(head, body, words=len(components) + 1)


def effects_table(found: Sequence[Effect]) -> Table:
    """A row per component and coarser precision."""
    metrics = list(found[0].scores)
    head = ["component", "precision", "pairs", *metrics, "ms on ONNX Runtime"]
    body = [
        [
            one.component,
            one.precision,
            one.pairs,
            *(_signed(one.scores[metric]) for metric in metrics),
            DEVICE_ONLY if one.latency_ms is None else f"{one.latency_ms:+.1f}",
        ]
        for one in found
    ]
    return Table(head, body, words=2)


def calibrations_table(calibrations: Sequence[Calibration]) -> Table:
    """A row per number of images, all metrics of every combination."""
    columns = [(name, metric) for name, scores in calibrations[0].scores.items() for metric in scores]
    head = ["images to calibrate with", *(f"{name}: {metric}" for name, metric in columns)]
    body = [
        [one.images or "0 (range of each input)", *(f"{one.scores[name][metric]:.4f}" for name, metric in columns)]
        for one in calibrations
    ]
    return Table(head, body, words=1)


def _signed(value: float) -> str:
    return f"{round(value, 4) + 0.0:+.4f}"  # + 0.0: no "-0.0000"
