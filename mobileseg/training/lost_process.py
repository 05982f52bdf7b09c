"""What is said when a process of a training on several is lost: it was killed, or its machine went away.

The others find out in their next exchange of numbers. Outside of backward gloo's error is one of Python; inside, Paddle
(2.6 and 3.3) has nobody to catch it, and the process aborts with a trace that names no checkpoint. So a shell stands
by, and speaks where Python no longer can.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mobileseg.errors import TrainingError

_STAND_BY = 'read -r word || printf "%s\\n" "$1" >&2'
"""Waits for a line; without one, since whoever would write it is gone, says the first argument."""


@contextmanager
def said_when_lost(rank: int, count: int, run: Path) -> Iterator[None]:
    """Inside, the loss of a process is said on standard error by those that are left, with what to do about it.

    Args:
        rank: number of this process.
        count: number of processes; nothing is done for one alone.
        run: folder of the checkpoints.

    Raises:
        TrainingError: another process was lost, and Python learned of it.
    """
    if count == 1:
        yield
        return
    remedy = f"start all of them again with --resume: they go on from the newest checkpoint in {run}"
    words = f"process {rank} of {count} of this training has ended: another one was lost, or it was killed itself"
    command = ["sh", "-c", _STAND_BY, "sh", f"error: {words}\n  hint: {remedy}"]
    # A session of its own: what Ctrl-C ends is the training, which says so itself.
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as shell:
        try:
            yield
        except RuntimeError as error:
            if "gloo" not in str(error):
                raise
            raise TrainingError(f"process {rank} of {count} lost another one ({error})", remedy=remedy) from error
        finally:
            shell.communicate(b"\n")
