"""Rows of benchmarks, from this machine or others: files, tables, comparison of two folders."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mobileseg.benchmarking.benchmark import FIELDS
from mobileseg.errors import DataError
from mobileseg.files import write_whole
from mobileseg.viz.report_parts import STAGES

FORMAT = 1

OPTIONS = ("frame", "precision", "graph", "power", "preset")
"""What rows may say besides: the kind of frame of a video network; of a phone the power mode, of a folder the number
format and the graph."""

_WRITTEN_BY = "name a JSON file that `mobileseg benchmark`, `mobileseg_lite benchmark` or a phone's run wrote"


def save_rows(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as JSON, replacing an older file when complete."""
    write_whole(path, json.dumps({"format": FORMAT, "rows": list(rows)}, indent=1) + "\n")


def load_rows(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read rows, of this machine or another.

    Raises:
        DataError: no such file, or not the rows of a benchmark.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", remedy=_WRITTEN_BY) from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}", remedy=_WRITTEN_BY) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT or not isinstance(document.get("rows"), list):
        raise DataError(f"{path} holds no rows of a benchmark of format {FORMAT}", remedy=_WRITTEN_BY)
    for number, row in enumerate(document["rows"], start=1):
        _check_row(row, f"{path}: row {number}")
    rows: list[dict[str, Any]] = document["rows"]
    return rows


def render_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Medians and 95th percentiles in milliseconds, as a Markdown table that is aligned for the terminal.

    Of a stream whose frames are of different kinds the total is the mean: the median is that of the usual kind.

    'pre+post' is the share of preprocessing and postprocessing in preprocessing, inference and postprocessing.
    """
    devices = {row["cpu"] for row in rows}
    head = ["folder"] if len({row["folder"] for row in rows}) > 1 else []
    head += ["device"] if len(devices) > 1 else []
    options = [key for key in OPTIONS if any(key in row for row in rows)]
    head += ["engine", *options, "threads", "image", *STAGES, "total", "p95", "max", "pre+post"]
    lines = []
    for row in rows:
        cells = [str(row["folder"])] if "folder" in head else []
        cells += [str(row["cpu"])] if "device" in head else []
        cells += [str(row["engine"]), *(str(row.get(key, "-")) for key in options)]
        cells += [str(row["threads"]), str(row["image"])]
        cells += [f"{row['stages'][stage]['median_ms']:.2f}" if stage in row["stages"] else "-" for stage in STAGES]
        total = row["total"]
        cells += [f"{total.get('mean_ms', total['median_ms']):.2f}", f"{total['p95_ms']:.2f}"]
        cells += [f"{row['total']['max_ms']:.2f}" if "max_ms" in row["total"] else "-", f"{overhead(row):.1%}"]
        lines.append(cells)
    numeric = head.index("threads")
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]
    rule = [("-" * (width - 1) + ":") if column >= numeric else "-" * width for column, width in enumerate(widths)]

    def joined(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(widths[column]) if column >= numeric else cell.ljust(widths[column])
            for column, cell in enumerate(cells)
        ]
        return f"| {' | '.join(padded)} |"

    return "\n".join(joined(line) for line in [head, rule, *lines])


def overhead(row: Mapping[str, Any]) -> float:
    """Share of preprocessing and postprocessing in the pipeline of a decoded image, from the medians."""
    pre, inference, post = (row["stages"][stage]["median_ms"] for stage in ("preprocess", "inference", "postprocess"))
    whole = pre + inference + post
    return float((pre + post) / whole) if whole else 0.0


def ratios(rows: Sequence[Mapping[str, Any]], first: str, second: str) -> str:
    """Median of the second folder divided by that of the first, per device, engine and thread count both have."""
    ours = {_circumstances(row): row for row in rows if row["folder"] == first}
    theirs = {_circumstances(row): row for row in rows if row["folder"] == second}
    several = len({row["cpu"] for row in rows}) > 1
    lines = []
    for key in ours.keys() & theirs.keys():
        a, b = ours[key], theirs[key]
        parts = [key[0], f"{key[1]} threads", key[2], key[3] if several else "", f"{key[5]} frames" if key[5] else ""]
        case = ", ".join(part for part in parts if part)
        inference = b["stages"]["inference"]["median_ms"] / a["stages"]["inference"]["median_ms"]
        total = b["total"]["median_ms"] / a["total"]["median_ms"]
        lines.append(f"  {case}: inference x{inference:.2f}, total x{total:.2f}")
    return "\n".join([f"{second} takes, against {first}:", *sorted(lines)]) if lines else ""


def _circumstances(row: Mapping[str, Any]) -> tuple[str, int, str, str, str, str]:
    return (
        str(row["engine"]),
        int(row["threads"]),
        str(row.get("power", "")),
        str(row["cpu"]),
        str(row.get("graph", "")),
        str(row.get("frame", "")),
    )


def _check_row(row: Any, where: str) -> None:
    missing = [field for field in FIELDS if not isinstance(row, dict) or field not in row]
    if missing:
        raise DataError(f"{where} lacks {', '.join(missing)}", remedy=_WRITTEN_BY)
    figures = [row["total"], *(row["stages"].values() if isinstance(row["stages"], dict) else [None])]
    for figure in figures:
        if not isinstance(figure, dict) or not all(
            isinstance(figure.get(key), (int, float)) for key in ("median_ms", "p95_ms")
        ):
            raise DataError(f"{where} has a stage without median_ms and p95_ms", remedy=_WRITTEN_BY)
    if not {"preprocess", "inference", "postprocess"} <= row["stages"].keys():
        raise DataError(f"{where} lacks preprocess, inference or postprocess", remedy=_WRITTEN_BY)
