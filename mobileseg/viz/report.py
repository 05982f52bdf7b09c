"""One HTML file that shows runs: nothing is loaded from elsewhere, so it can be mailed or archived as it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from mobileseg.files import write_whole
from mobileseg.tasks import stage
from mobileseg.viz.history import read_history
from mobileseg.viz.palette import palette as generated_palette
from mobileseg.viz.report_examples import Example, example_grid
from mobileseg.viz.report_parts import as_mapping, fact_list, latency_table, verification_table
from mobileseg.viz.report_scores import curves, score_tables, tiles
from mobileseg.viz.task import ModelFacts, Visualization

__all__ = ["Example", "NetworkReport", "write_report"]


@dataclass(frozen=True)
class NetworkReport:
    """What a report shows of one network; a part without data is left out.

    Attributes:
        task: of the network; its package knows how scores and results are shown.
        title: heading; '' for none, where the report has one network.
        facts: name -> value, what the numbers are of.
        log_path: ``log.jsonl`` of the run folder.
        eval_metrics: scores as `mobileseg.training.evaluator.evaluate` gives them, or as ``scores.json`` holds them.
        examples: images with prediction and, where known, truth.
        verification_rows: rows of the comparison made at export (dataclasses or mappings with engine or target,
            status, max_diff, equal, size_bytes, latency_ms).
        benchmark_rows: rows of `mobileseg benchmark`.
        config_yaml: resolved configuration.
        classes: class names; those of ``eval_metrics`` when empty.
        palette: [K, 3] RGB, generated when None.
    """

    task: str
    title: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    log_path: str | os.PathLike[str] | None = None
    eval_metrics: Mapping[str, Any] | None = None
    examples: Sequence[Example] = ()
    verification_rows: Sequence[Any] = ()
    benchmark_rows: Sequence[Mapping[str, Any]] = ()
    config_yaml: str = ""
    classes: Sequence[str] = ()
    palette: np.ndarray | None = None

    def html(self) -> str:
        """The sections of this network."""
        show: Visualization = stage(self.task, "visualize")
        scores = dict(self.eval_metrics or {})
        shown = show.scores(scores)
        names = [str(name) for name in (self.classes or scores.get("classes") or ())]
        colours = generated_palette(max(len(names), 1)) if self.palette is None else np.asarray(self.palette, np.uint8)
        history = read_history(self.log_path) if self.log_path is not None else {"train": [], "eval": []}
        verified = [as_mapping(row) for row in self.verification_rows]
        parts = [
            f'<h2 class="network">{escape(self.title)}</h2>' if self.title else "",
            tiles(shown, history, verified, self.benchmark_rows),
            _section("Run", fact_list(self.facts)),
            _section("Training", curves(history, self.task)),
            _section("Scores by class", score_tables(shown, names, colours)),
            _section("Examples", example_grid(self.examples, ModelFacts(self.title, self.task, names, colours))),
            _section("Verification of the exported graphs", verification_table(verified)),
            _section("Latency", latency_table(self.benchmark_rows)),
            _folded("Configuration", f"<pre>{escape(self.config_yaml)}</pre>" if self.config_yaml.strip() else ""),
        ]
        return "\n".join(part for part in parts if part)


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    networks: Sequence[NetworkReport] = (),
    environment: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report.

    Args:
        path: HTML file to write, replaced when complete; its folder is made.
        title: heading of the page.
        networks: what to show, one network after the other.
        environment: name -> value: versions, machine.

    Raises:
        OSError: the file cannot be written.
    """
    parts = [network.html() for network in networks]
    parts.append(_section("Environment", fact_list(environment or {})))
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
