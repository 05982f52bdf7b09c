"""The sections of a report as HTML; every value that comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from html import escape
from typing import Any

import numpy as np

STAGES = ("decode", "preprocess", "inference", "postprocess", "draw")
"""Stages of a benchmark row, in the order in which an image passes them."""


def as_mapping(row: Any) -> dict[str, Any]:
    """A dataclass or a mapping as a dict."""
    return asdict(row) if is_dataclass(row) and not isinstance(row, type) else dict(row)


def verification_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every exported graph against the network it came from."""
    lines = []
    for row in rows:
        status = str(row.get("status", ""))
        tone = {"ok": "ok", "failed": "failed"}.get(status, "")
        cells = [
            f"<td>{escape(str(row.get('target') or row.get('engine') or ''))}</td>",
            f'<td><span class="{tone}">{escape(status.replace("-", ", ", 1).replace("-", " "))}</span></td>',
            cell(row.get("max_diff"), "{:.1e}"),
            cell(row.get("equal"), "{:.3%}"),
            cell(None if row.get("size_bytes") is None else row["size_bytes"] / 1e6, "{:.2f} MB"),
            cell(row.get("latency_ms"), "{:.1f} ms"),
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    head = '<th>graph</th><th>status</th><th class="n">largest difference</th>'
    head += '<th class="n">equal results</th>'
    head += '<th class="n">size</th><th class="n">latency</th>'
    note = (
        '<p class="note">Differences of raw outputs in standard deviations of the network in Paddle. '
        "A graph that no engine here can run is converted, not run.</p>"
    )
    return table(head, lines) + note if lines else ""


def latency_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Medians per engine and thread count, the stages as parts of one bar."""
    if not rows:
        return ""
    longest = max(row["total"]["median_ms"] for row in rows) or 1.0
    several = len({row["name"] for row in rows}) > 1
    lines = []
    for row in sorted(rows, key=lambda row: (str(row["name"]), row["total"]["median_ms"])):
        parts = [
            (row["stages"][stage]["median_ms"] / longest, f"s{index}")
            for index, stage in enumerate(STAGES)
            if stage in row["stages"]
        ]
        label = f"{row['name']}: {row['engine']}" if several else str(row["engine"])
        lines.append(
            f'<tr><td>{escape(label)}</td><td class="n">{row["threads"]}</td><td class="w">{bar(parts)}</td>'
            f"{cell(row['total']['median_ms'], '{:.1f} ms')}"
            f'<td class="n hide">{row["total"]["p95_ms"]:.1f} ms</td></tr>'
        )
    head = '<th>engine</th><th class="n">threads</th><th></th><th class="n">median</th><th class="n hide">p95</th>'
    used = [(i, stage) for i, stage in enumerate(STAGES) if any(stage in row["stages"] for row in rows)]
    keys = "".join(f'<span><i class="s{i}"></i>{stage}</span>' for i, stage in used)
    first = rows[0]
    note = f"{first['runs']} runs each, engines interleaved; {first['cpu']}, {first['image']}."
    return table(head, lines) + f'<div class="keys">{keys}</div><p class="note">{escape(note)}</p>'


def fact_list(facts: Mapping[str, Any]) -> str:
    """Names and values."""
    items = "".join(f"<dt>{escape(str(key))}</dt><dd>{escape(str(value))}</dd>" for key, value in facts.items())
    return f'<dl class="facts">{items}</dl>' if items else ""


def table(head: str, rows: Sequence[str]) -> str:
    """Rows below a head, scrolled when they are too wide."""
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def bar(parts: Sequence[tuple[float, str]]) -> str:
    """A bar of (share, class of the style sheet)."""
    fills = "".join(f'<i class="{tone}" style="width:{100 * share:.2f}%"></i>' for share, tone in parts)
    return f'<div class="bar">{fills}</div>'


def cell(value: float | None, form: str, *, minor: bool = False) -> str:
    """A number in a table, a dash for None; a minor one is hidden where there is little room."""
    return f'<td class="n{" hide" if minor else ""}">{"–" if value is None else form.format(value)}</td>'


def swatch(colours: np.ndarray, index: int) -> str:
    """A patch in the colour of a class."""
    red, green, blue = (int(v) for v in colours[index]) if index < len(colours) else (128, 128, 128)
    return f'<i class="swatch" style="background:rgb({red},{green},{blue})"></i>'
