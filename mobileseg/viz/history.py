"""What a run wrote into its log, read back as one history."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

LOG = "log.jsonl"
"""Name of the log in a run folder: one JSON object per line, its kind under ``event``."""


def read_log(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The events of a run in order; none when there is no log.

    A killed run was perhaps ahead of the checkpoint it resumed from: what a ``resume`` event takes back is left out,
    as is a line cut short by the kill.

    Args:
        path: run folder, or the log itself.
    """
    file = Path(path)
    if file.is_dir():
        file = file / LOG
    if not file.is_file():
        return []
    events: list[dict[str, Any]] = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            continue
        if event["event"] == "resume":
            events = [one for one in events if _iteration(one) <= _iteration(event)]
        events.append(event)
    return events


def read_history(path: str | os.PathLike[str]) -> dict[str, list[dict[str, Any]]]:
    """The ``train`` and the ``eval`` events of :func:`read_log` that tell their iteration."""
    history: dict[str, list[dict[str, Any]]] = {"train": [], "eval": []}
    for event in read_log(path):
        if event["event"] in history and isinstance(event.get("iter"), int):
            history[event["event"]].append(event)
    return history


def _iteration(event: dict[str, Any]) -> int:
    number = event.get("iter", 0)
    return number if isinstance(number, int) else 0
