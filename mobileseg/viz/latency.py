"""Bars of latency per engine, for a document or a slide (matplotlib, without a display)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mobileseg.viz.report_parts import STAGES
from mobileseg.viz.style import COLOURS, INK, figure, save

_COLOURS = dict(zip(STAGES, COLOURS, strict=False))


def plot_latency(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Write a bar per row, the median of each stage as one part, a tick at the 95th percentile of the whole.

    Args:
        path: .png or .svg file.
        rows: rows of `mobileseg benchmark`, at least one.
        title: heading.

    Raises:
        OSError: the file cannot be written.
    """
    with figure(8.5, 1.6 + 0.42 * len(rows)) as made:
        axes = made.add_subplot()
        positions = range(len(rows))
        starts = [0.0] * len(rows)
        for stage in STAGES:
            values = [row["stages"].get(stage, {"median_ms": 0.0})["median_ms"] for row in rows]
            if any(values):
                axes.barh(positions, values, left=starts, height=0.62, color=_COLOURS[stage], label=stage)
            starts = [start + value for start, value in zip(starts, values, strict=True)]
        p95 = [row["total"]["p95_ms"] for row in rows]
        axes.plot(p95, positions, linestyle="none", marker="|", markersize=13, color=INK, label="95th percentile")
        margin = max([*p95, *starts]) * 0.015
        for position, start, high in zip(positions, starts, p95, strict=True):
            axes.text(max(start, high) + margin, position, f"{start:.1f}", va="center", color=INK)
        axes.set_yticks(list(positions), _labels(rows), color=INK)
        axes.set_xlim(0, max([*p95, *starts]) * 1.1)
        axes.invert_yaxis()
        axes.set_xlabel("milliseconds per image (sum of the stages' medians)")
        axes.set_title(title)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=True, axis="x")
        made.legend(loc="outside lower left", ncols=len(STAGES) + 1)
        save(made, path)


def _labels(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Engine and threads, and of the rest only what tells rows apart."""
    folders = len({row["folder"] for row in rows}) > 1
    devices = len({row["cpu"] for row in rows}) > 1
    options = [key for key in ("frame", "precision", "graph", "power") if len({row.get(key) for row in rows}) > 1]
    labels = []
    for row in rows:
        parts = [str(row["folder"])] if folders else []
        parts += [str(row["cpu"])] if devices else []
        case = f"{row['engine']}, {row['threads']} thread{'s' if row['threads'] != 1 else ''}"
        parts.append(", ".join([case, *(str(row[key]) for key in options if key in row)]))
        labels.append("\n".join(parts))
    return labels
