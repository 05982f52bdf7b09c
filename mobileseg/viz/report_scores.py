"""Numbers and curves of a run as HTML; what they are is the task's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from mobileseg.viz.charts import chart_svg
from mobileseg.viz.report_parts import bar, cell, swatch, table
from mobileseg.viz.run_charts import run_charts
from mobileseg.viz.task import History, ScoreTable, ShownScores


def tiles(
    scores: ShownScores,
    history: History,
    verified: Sequence[Mapping[str, Any]],
    benchmark: Sequence[Mapping[str, Any]],
) -> str:
    """The numbers one looks for first."""
    found = [(f"{value:.3f}", label) for label, value in scores.headline if value is not None]
    if history["train"]:
        found.append((f"{history['train'][-1]['iter']:,}", "iterations"))
    ran = [row for row in verified if row.get("status") != "converted-not-run"]
    if ran:
        agreed = sum(row.get("status") == "ok" for row in ran)
        found.append((f"{agreed}/{len(ran)}", "graphs agree"))
    fastest = min(benchmark, key=lambda row: row["total"]["median_ms"], default=None)
    if fastest is not None:
        threads = fastest["threads"]
        plural = "s" if threads != 1 else ""
        found.append(
            (f"{fastest['total']['median_ms']:.1f} ms", f"per image, {fastest['engine']}, {threads} thread{plural}")
        )
    cards = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(label)}</span></div>' for value, label in found
    )
    return f'<div class="tiles">{cards}</div>' if cards else ""


def curves(history: History, task: str) -> str:
    """The charts of a run, and its throughput."""
    drawn = [(chart.title, chart_svg(chart)) for chart in run_charts(history, task)]
    cells = "".join(f"<div><h3>{escape(title)}</h3>{svg}</div>" for title, svg in drawn if svg)
    if not cells:
        return ""
    train = history["train"]
    rates = [event["images_per_s"] for event in train if event.get("images_per_s")]
    waits = [event["data_wait"] for event in train if event.get("data_wait") is not None]
    note = ""
    if rates:
        note = f"Throughput {np.median(rates):.1f} images/s (median of {len(rates)} log lines)"
        note += f", {np.mean(waits):.1%} of the time waiting for data." if waits else "."
        note = f'<p class="note">{escape(note)}</p>'
    return f'<div class="charts">{cells}</div>{note}'


def score_tables(scores: ShownScores, classes: Sequence[str], colours: np.ndarray) -> str:
    """The tables of an evaluation, those of classes with a bar each; absent classes are said to be absent."""
    tables = "".join(_table(one, classes, colours) for one in scores.tables)
    note = f'<p class="note">{escape(scores.note)}</p>' if scores.note else ""
    return tables + note if tables else ""


def _table(scores: ScoreTable, classes: Sequence[str], colours: np.ndarray) -> str:
    rows = []
    for index, (name, values) in enumerate(scores.rows):
        cells = [
            cell(value, column.form, minor=column.minor) for value, column in zip(values, scores.columns, strict=True)
        ]
        if scores.by_class:
            # Scores that an old log kept have no names; the classes of the report do.
            name = classes[index] if index < len(classes) else name
            if values[0] is None:
                cells[0] = '<td class="n">absent</td>'
            first = f"<td>{swatch(colours, index)}{escape(name)}</td>"
            cells.insert(0, f'<td class="w">{bar([(values[0] or 0.0, "fill")])}</td>')
        else:
            first = f"<td>{escape(name)}</td>"
        rows.append(f"<tr>{first}{''.join(cells)}</tr>")
    head = f"<th>{escape(scores.head)}</th>" + ("<th></th>" if scores.by_class else "")
    head += "".join(
        f'<th class="n{" hide" if column.minor else ""}">{escape(column.title)}</th>' for column in scores.columns
    )
    return table(head, rows)
