"""Running converters and engines in processes of their own, because they die by signal.

A child gets its task as a JSON file and answers with one; whatever it prints goes to a log of which the
last lines become part of the error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT = 600.0
"""Seconds after which a child is stopped; the slowest converter here needs about ten."""

_LOG_LINES = 8
_PACKAGE_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Failure(Exception):
    """A child that did not do its task.

    Attributes:
        task: what it was doing, for messages.
        reason: one line: the signal, the exit code, the time limit or the error it reported.
        log: last lines of its output.
        died: it ended without an answer (signal, abort), rather than by an error it could report.
    """

    task: str
    reason: str
    log: str = ""
    died: bool = False

    def __str__(self) -> str:
        return f"{self.task}: {self.reason}"


def run_task(task: str, payload: Mapping[str, Any], *, timeout: float = TIMEOUT, threads: int = 1) -> dict[str, Any]:
    """Run one task of :mod:`mobileseg.export.conversion.worker` in a new Python process.

    Args:
        task: a name in the worker's table.
        payload: JSON-serialisable arguments; paths as str.
        timeout: seconds.
        threads: OpenMP threads of the child.

    Returns:
        The task's answer.

    Raises:
        Failure: the task reported an error, died, or ran out of time.
    """
    with tempfile.TemporaryDirectory(prefix="mobileseg-") as folder:
        request, answer = Path(folder, "request.json"), Path(folder, "answer.json")
        request.write_text(json.dumps(dict(payload)), encoding="utf-8")
        command = [sys.executable, "-m", "mobileseg.export.conversion.worker", task, str(request), str(answer)]
        run_program(command, task, timeout=timeout, threads=threads, answer=answer)
        result: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    if "error" in result:
        raise Failure(task, result["error"])
    return result


def run_program(
    command: Sequence[str], task: str, *, timeout: float = TIMEOUT, threads: int = 1, answer: Path | None = None
) -> str:
    """Run a program to its end and return what it printed.

    Args:
        command: program and arguments; no shell is involved.
        task: name for messages.
        timeout: seconds.
        threads: OpenMP threads of the child.
        answer: file that must exist afterwards, None when the exit code says all.

    Raises:
        Failure: exit code not 0, death by signal, time limit, or no answer.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    inherited = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([str(_PACKAGE_ROOT), *([inherited] if inherited else [])])
    with tempfile.TemporaryFile() as log:
        try:
            code = subprocess.run(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                env=environment,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise Failure(task, f"was still running after {timeout:.0f} s", _tail(_content(log)), died=True) from None
        printed = _content(log)
    if code != 0:
        raise Failure(task, _describe(code), _tail(printed), died=code < 0 or code > 128)
    if answer is not None and not answer.is_file():
        raise Failure(task, "ended without an answer", _tail(printed), died=True)
    return printed


def _describe(code: int) -> str:
    number = -code if code < 0 else code - 128
    if code < 0 or code > 128:
        try:
            return f"died by signal {signal.Signals(number).name}"
        except ValueError:
            pass
    return f"ended with exit code {code}"


def _content(log: Any) -> str:
    log.seek(0)
    return bytes(log.read()).decode("utf-8", errors="replace")


def _tail(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-_LOG_LINES:])
