"""Programs run by tests, of which nothing is left when the test is over."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

LIMIT = 600.0  # seconds; far above what any of them needs, so that a busy machine fails no test


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The running program; at the end of the block it and its children are killed."""
    process = subprocess.Popen(command, text=True, start_new_session=True, **options)
    try:
        yield process
    finally:
        kill_all_of(process.pid)
        process.communicate()


def kill_all_of(leader: int) -> None:
    """SIGKILL for a program, its group, and its children in sessions of their own, as a launcher's trainers are."""
    try:
        family = psutil.Process(leader).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    with suppress(ProcessLookupError):  # all have ended
        os.killpg(leader, signal.SIGKILL)
    for child in family:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def run_alone(command: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    """The finished program with its output."""
    with started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        out, err = process.communicate(timeout=LIMIT)
        return subprocess.CompletedProcess(command, process.returncode, out, err)


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
