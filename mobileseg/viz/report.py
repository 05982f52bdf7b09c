"""One HTML file that shows a run: nothing is loaded from elsewhere, so it can be mailed or archived as it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from mobileseg.files import write_whole
from mobileseg.viz.history import read_history
from mobileseg.viz.report_parts import (
    Example,
    as_mapping,
    class_table,
    curves,
    example_grid,
    fact_list,
    latency_table,
    tiles,
    verification_table,
)

__all__ = ["Example", "write_report"]


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    log_path: str | os.PathLike[str] | None = None,
    eval_metrics: Mapping[str, Any] | None = None,
    examples: Sequence[Example] = (),
    verification_rows: Sequence[Any] = (),
    benchmark_rows: Sequence[Mapping[str, Any]] = (),
    config_yaml: str = "",
    environment: Mapping[str, Any] | None = None,
    classes: Sequence[str] = (),
    palette: np.ndarray | None = None,
) -> Path:
    """Write the report; a part without data is left out.

    Args:
        path: HTML file to write, replaced when complete.
        title: name of the run.
        log_path: ``log.jsonl`` of the run folder.
        eval_metrics: scores as `mobileseg.semantic.metric.summary` gives them.
        examples: pictures with prediction and, where known, truth.
        verification_rows: rows of the comparison made at export (dataclasses or mappings with engine or target,
            status, max_diff, labels_equal, size_bytes, latency_ms).
        benchmark_rows: rows of `mobileseg benchmark`.
        config_yaml: resolved configuration.
        environment: name -> value: versions, machine.
        classes: class names; those of ``eval_metrics`` when empty.
        palette: [K, 3] RGB, generated when None.

    Raises:
        OSError: the file cannot be written.
    """
    from mobileseg.viz.palette import palette as generated_palette

    scores = dict(eval_metrics or {})
    names = [str(name) for name in (classes or scores.get("classes") or ())]
    colours = generated_palette(max(len(names), 1)) if palette is None else np.asarray(palette, np.uint8)
    history = read_history(log_path) if log_path is not None else {"train": [], "eval": []}
    verified = [as_mapping(row) for row in verification_rows]
    parts = [
        tiles(scores, history, verified, benchmark_rows),
        _section("Training", curves(history)),
        _section("Scores by class", class_table(scores, names, colours)),
        _section("Examples", example_grid(examples, names, colours)),
        _section("Verification of the exported graphs", verification_table(verified)),
        _section("Latency", latency_table(benchmark_rows)),
        _section("Environment", fact_list(environment or {})),
        _folded("Configuration", f"<pre>{escape(config_yaml)}</pre>" if config_yaml.strip() else ""),
    ]
    template = Template(files("mobileseg.viz").joinpath("report.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title=escape(title),
        lead=f"mobileseg report, {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        body="\n".join(part for part in parts if part),
    )
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, page)
    return target


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{escape(heading)}</h2>{content}</section>" if content else ""


def _folded(heading: str, content: str) -> str:
    return f"<section><details><summary>{escape(heading)}</summary>{content}</details></section>" if content else ""
