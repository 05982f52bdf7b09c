"""The report of a compression: ``report.md``, ``report.html`` and the trade-off as ``report.png``."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from mobileseg.compress.table import Table
from mobileseg.compress.variants import Variant, Variants
from mobileseg.files import write_whole
from mobileseg.viz.report_parts import fact_list, table
from mobileseg.viz.style import COLOURS, INK, figure, save

_MARKERS = "osD^vP*X<>p"  # 11 beside 6 colours: 66 variants until the same pair comes again


@dataclass(frozen=True)
class Wording:
    """What a recipe says in its report beside what was measured.

    Attributes:
        lead: sentences at the beginning.
        variants: the table of the variants; None: one of all that was measured.
        tables: caption -> table that follows.
        about: names of the variants that the sentences below the tables are about; None: all.
    """

    lead: Sequence[str] = ()
    variants: Table | None = None
    tables: Mapping[str, Table] = field(default_factory=dict)
    about: Collection[str] | None = None


def write_report(variants: Variants, title: str, wording: Wording | None = None) -> str:
    """Write the three files beside ``report.json``; the plot only when scores and latencies are there.

    Returns:
        The tables and the lead, for the terminal, where the end is what one sees.

    Raises:
        OSError: a file cannot be written.
    """
    wording = wording or Wording()
    plotted = plot_trade_off(variants.folder / "report.png", variants.read(), title)
    notes = _notes(variants, wording.about)
    rows = wording.variants.markdown() if wording.variants else render_table(variants.read())
    tables = [part for caption, one in wording.tables.items() for part in (f"{caption}:", one.markdown())]
    image = ["![accuracy over latency](report.png)"] if plotted else []
    parts = [f"# {title}", *wording.lead, rows, *tables, *image, *notes]
    write_whole(variants.folder / "report.md", "\n\n".join(parts) + "\n")
    write_whole(variants.folder / "report.html", _page(variants, title, wording, notes, plotted))
    return "\n\n".join([rows, *tables, *wording.lead])


def render_table(rows: Sequence[Variant]) -> str:
    """The rows as a Markdown table that is aligned for the terminal; a dash where nothing was measured."""
    head, cells = _cells(rows)
    return Table(head, cells, words=2).markdown()


def _cells(rows: Sequence[Variant]) -> tuple[list[str], list[list[str]]]:
    """Head and body; the change against the first row stands in brackets."""
    first = rows[0] if rows else Variant("", "")
    metrics, files_, engines, peaks = (
        _keys([getattr(row, name) for row in rows]) for name in ("scores", "sizes", "latency_ms", "memory_mb")
    )
    head = ["variant", "step", *metrics, "parameters", "MACs"]
    head += [f"{name} file" for name in files_] + [f"{name} ms" for name in engines] + [f"{name} MB" for name in peaks]
    body = []
    for row in rows:
        line = [row.name, row.step, *(_number(row.scores.get(name), "{:.4f}") for name in metrics)]
        line += [_change(row.parameters, first.parameters, 1e6, "M"), _change(row.macs, first.macs, 1e9, "G")]
        line += [_change(row.sizes.get(name), first.sizes.get(name), 1e6, " MB") for name in files_]
        line += [_change(row.latency_ms.get(name), first.latency_ms.get(name), 1, "") for name in engines]
        line += [_change(row.memory_mb.get(name), first.memory_mb.get(name), 1, "") for name in peaks]
        body.append(line)
    return head, body


def _keys(mappings: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _change(value: float | None, first: float | None, unit: float, name: str) -> str:
    if value is None:
        return "–"
    scaled = value / unit
    shown = f"{scaled:.3f}{name}" if scaled < 10 else f"{scaled:.1f}{name}"
    return shown if not first or value == first else f"{shown} ({value / first - 1:+.1%})"


def _notes(variants: Variants, about: Collection[str] | None) -> list[str]:
    rows, facts = variants.read(), variants.facts
    chosen = [row for row in rows if about is None or row.name in about]
    notes = [
        _summary(rows[0], row)
        for row in chosen
        if row is not rows[0] and row.latency_ms and row.name not in facts.get("like", {})
    ]
    notes += [f"{row.name}: {row.note}." for row in chosen if row.note]
    like: dict[str, list[str]] = {}
    for name, twin in facts.get("like", {}).items():
        like.setdefault(twin, []).append(name)
    for twin, names in like.items():
        notes.append(f"Latency and memory of {', '.join(names)} are those of {twin}: the layers have the same shapes.")
    if "machine" in facts:
        machine = facts["machine"]
        memory = " memory: peak resident memory of a fresh process that segments one image;"
        notes.append(
            f"Latency: median of {facts['runs']} runs of the network alone, {facts['threads']} thread(s), all variants "
            f"interleaved;{memory if any(row.memory_mb for row in rows) else ''} {machine['cpu']}, "
            f"{machine['cores']} cores, {machine['load']} of them busy before."
        )
    return notes


def _summary(first: Variant, row: Variant) -> str:
    """Speed as a factor, what became smaller in percent."""
    parts = [
        f"{name} {1000 / value:.2f} images/s, {first.latency_ms[name] / value:.3f} times"
        for name, value in row.latency_ms.items()
        if name in first.latency_ms
    ]
    parts += [
        f"{name} file {value / first.sizes[name] - 1:+.1%}" for name, value in row.sizes.items() if name in first.sizes
    ]
    parts += [
        f"peak memory on {name} {value / first.memory_mb[name] - 1:+.1%}"
        for name, value in row.memory_mb.items()
        if name in first.memory_mb
    ]
    return f"{row.name} against {first.name}: {'; '.join(parts)}."


def plot_trade_off(path: Path, rows: Sequence[Variant], title: str) -> bool:
    """Write the plot: the score that decides over latency, a panel per engine, a point per variant.

    Returns:
        Whether there was something to plot.
    """
    shown = [row for row in rows if row.scores and row.latency_ms]
    engines = _keys([row.latency_ms for row in shown])
    if not shown or not engines:
        return False
    with figure(5.2 * len(engines) + 2.2, max(4.4, 0.2 * len(shown) + 1.2)) as made:
        metric = next(iter(shown[0].scores))
        panels = made.subplots(1, len(engines), sharey=True, squeeze=False)[0]
        for axes, engine in zip(panels, engines, strict=True):
            for index, row in enumerate(shown):
                if engine in row.latency_ms and metric in row.scores:
                    axes.plot(
                        row.latency_ms[engine],
                        row.scores[metric],
                        linestyle="none",
                        marker=_MARKERS[index % len(_MARKERS)],
                        markersize=9,
                        color=COLOURS[index % len(COLOURS)],
                        markeredgecolor="white",
                        label=row.name,
                    )
            axes.set_xlabel(f"{engine}, milliseconds")
            axes.margins(0.12)
            axes.grid(visible=True)
        panels[0].set_ylabel(metric)
        made.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
        handles, labels = panels[0].get_legend_handles_labels()
        made.legend(handles, labels, loc="outside right center")
        save(made, path, dpi=130)
    return True


def _stacked(text: str, below: str, tag: str = "<td>") -> str:
    """A cell with something smaller below, so that a dozen columns fit beside each other."""
    return f"{tag}{escape(text)}{f'<small>{escape(below)}</small>' if below else ''}</td>"


def _number_cell(text: str) -> str:
    value, _, change = text.partition(" (")
    return _stacked(value, change.removesuffix(")"), "<td class=n>")


def _variants_table(rows: Sequence[Variant]) -> str:
    """As :func:`render_table`, the step below the name and the change below the number."""
    head, body = _cells(rows)
    cells = [f"<tr>{_stacked(name, step)}{''.join(map(_number_cell, numbers))}</tr>" for name, step, *numbers in body]
    names = "".join(
        f"<th{' class=n' if name != 'variant' else ''}>{escape(name)}</th>" for name in head if name != "step"
    )
    return table(names, cells)


def _section(caption: str, content: str) -> str:
    return f"<section><h2>{escape(caption)}</h2>{content}</section>"


def _paragraphs(texts: Sequence[str]) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in texts)


def _page(variants: Variants, title: str, wording: Wording, notes: Sequence[str], plotted: bool) -> str:
    parts = [_section("Result", _paragraphs(wording.lead))] if wording.lead else []
    if wording.variants is None:
        parts.append(_section("Variants", _variants_table(variants.read()) + _paragraphs(notes)))
    if plotted:
        encoded = base64.b64encode((variants.folder / "report.png").read_bytes()).decode("ascii")
        image = f'<img alt="accuracy over latency" style="max-width:100%" src="data:image/png;base64,{encoded}">'
        parts.append(_section("Accuracy over latency", image))
    parts += [_section(caption, one.html()) for caption, one in wording.tables.items()]
    if wording.variants is not None:  # many rows, below what is made of them
        parts.append(_section("Variants", wording.variants.html() + _paragraphs(notes)))
    narrowed = variants.facts.get("widths") or {}
    if narrowed:
        layers = Table(["layer", "channels", "after"], [[name, *pair] for name, pair in narrowed.items()], words=1)
        summary = "<summary>Layers that became narrower</summary>"
        parts.append(f"<section><details>{summary}{layers.html()}</details></section>")
    if "machine" in variants.facts:
        parts.append(_section("Machine", fact_list(variants.facts["machine"])))
    template = Template(files("mobileseg.viz").joinpath("report.html").read_text(encoding="utf-8"))
    lead = f"mobileseg compress, {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
    return template.substitute(title=escape(title), lead=lead, body="\n".join(parts))
