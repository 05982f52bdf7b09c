"""Who speaks for a process of several that is gone, and that nobody speaks for one that ended by itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mobileseg.errors import TrainingError
from mobileseg.training.lost_process import said_when_lost
from tests.processes import run_alone
from tests.training.toy import REPOSITORY

pytestmark = pytest.mark.both

PROGRAM = """
import os, signal, sys
from pathlib import Path
from mobileseg.training.lost_process import said_when_lost
with said_when_lost(1, int(sys.argv[1]), Path("a run")):
    {}
"""


def end_of(what: str, count: int = 2) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(what), str(count)]
    return run_alone(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL])
def test_an_abort_is_said_by_another(number: signal.Signals) -> None:
    """The reader of standard error is there until the shell has spoken."""
    done = end_of(f"os.kill(os.getpid(), {int(number)})")
    assert done.returncode == -number
    assert done.stderr.startswith("error: process 1 of 2 of this training has ended: another one was lost")
    assert done.stderr.endswith("the newest checkpoint in a run\n")


@pytest.mark.parametrize(("what", "code"), [("pass", 0), ("sys.exit(3)", 3)])
def test_an_end_that_was_meant_is_silent(what: str, code: int) -> None:
    done = end_of(what)
    assert (done.returncode, done.stderr) == (code, "")


def test_one_process_alone_needs_nobody() -> None:
    done = end_of("os.kill(os.getpid(), signal.SIGKILL)", count=1)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")


def test_errors_of_the_exchange_and_others(capfd: pytest.CaptureFixture[str]) -> None:
    words = "[/paddle/third_party/gloo/gloo/transport/tcp/pair.cc:576] Connection reset by peer"
    with pytest.raises(TrainingError) as caught, said_when_lost(0, 3, Path("run")):
        raise RuntimeError(words)
    assert caught.value.message == f"process 0 of 3 lost another one ({words})"
    assert "--resume" in str(caught.value.remedy)
    with pytest.raises(RuntimeError, match="shapes differ"), said_when_lost(0, 3, Path("run")):
        raise RuntimeError("shapes differ")
    assert capfd.readouterr().err == ""
