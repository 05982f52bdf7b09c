"""Rows of a benchmark in the form that `mobileseg benchmark --merge` reads."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phone.artefact import Artefact
from phone.errors import DeviceError

FORMAT = 1
FIELDS = ("name", "folder", "engine", "threads", "image", "input", "runs", "stages", "total", "cpu", "versions", "date")
"""What every row has; `mobileseg benchmark` refuses others."""

STAGES = ("decode", "preprocess", "inference", "postprocess", "draw")


def read_rows(path: Path, runs: int) -> list[dict[str, Any]]:
    """The rows of the program's file: of a video network one for each kind of frame, and last that of the stream.

    Args:
        path: file pulled from the device.
        runs: timed runs that were asked for.

    Raises:
        DeviceError: another content.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        rows: list[dict[str, Any]] = document["rows"]
        figures = [figure for row in rows for figure in (row["total"], *(row["stages"][stage] for stage in STAGES))]
        fine = document["format"] == FORMAT and all(field in row for row in rows for field in FIELDS)
        fine = fine and rows[-1]["runs"] == runs
        fine = fine and all(isinstance(figure[key], float | int) for figure in figures for key in _FIGURES)
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        fine = False
    if not fine:
        raise DeviceError("the program's rows cannot be read", "build mobileseg_lite from the same checkout")
    return rows


_FIGURES = ("median_ms", "p95_ms", "max_ms")


def completed(
    row: Mapping[str, Any],
    artefact: Artefact,
    device: Mapping[str, str],
    name: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    preset: str | None,
) -> dict[str, Any]:
    """The program's row with what only this side knows.

    Args:
        row: of the program.
        artefact: what was run; its folder here replaces the one on the device, so that host rows of it join.
        device: identity of the phone.
        name: of the phone, for tables; '' keeps the program's.
        before: state of the phone before the case.
        after: and after it.
        preset: name of the protocol, if any.
    """
    whole = {**row, "folder": str(artefact.folder), "cpu": name or row["cpu"], "device": dict(device)}
    whole |= {"precision": artefact.precision} if artefact.precision else {}
    whole |= {"preset": preset} if preset else {}
    whole |= {"before": dict(before), "after": dict(after)}
    return whole


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the file, under its name only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(json.dumps({"format": FORMAT, "rows": list(rows)}, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
