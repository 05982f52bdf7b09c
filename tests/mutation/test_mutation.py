"""Thousands of damaged inputs: each is read as it is or refused with a message; none crashes, hangs, or is misread.

One mutant alone, to look into a failure: ``python -m tests.mutation.target NAME SEED 1 /tmp/progress``.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.target import MustRefuse, Target, judge, targets

ROOT = Path(__file__).parents[2]
TARGETS = targets()


def work(name: str, start: int, count: int, tmp_path: Path) -> None:
    """Run mutants in a process of their own, which may die of them."""
    progress = tmp_path / "seed"
    command = [sys.executable, "-m", "tests.mutation.target", name, str(start), str(count), str(progress)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seed = progress.read_text() if progress.exists() else "none"
    assert done.returncode == 0, f"seed {seed} ended the process ({done.returncode}):\n{done.stderr[-3000:]}"
    result = json.loads(done.stdout.splitlines()[-1])
    assert not result["failures"], "\n\n".join(result["failures"])
    assert sum(result["counts"].values()) == count
    assert result["counts"]["refused"] > 0
    assert result["counts"]["accepted"] > 0, "the input is not valid before it is damaged"


@pytest.mark.parametrize("name", TARGETS)
def test_some_mutants(name: str, tmp_path: Path) -> None:
    work(name, 0, TARGETS[name].short, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_many_mutants(name: str, tmp_path: Path) -> None:
    work(name, TARGETS[name].short, TARGETS[name].long, tmp_path)


def test_what_the_test_would_notice() -> None:
    """The judge sees a traceback, a wrong acceptance, and a message that says nothing."""
    from mobileseg.errors import DataError

    def refuse(folder, expectation):
        raise DataError(expectation)

    def fall(folder, expectation):
        raise KeyError("x")

    def accept(folder, expectation):
        pass

    def target(use, expectation=None) -> Target:
        return Target("t", lambda folder, rng: expectation, use)

    assert judge(target(refuse, "a message"), 0)[0] == "refused"
    assert judge(target(refuse, " "), 0)[0] == "failed"
    assert judge(target(fall), 0)[0] == "failed"
    assert judge(target(accept), 0)[0] == "accepted"
    assert judge(target(accept, MustRefuse("it is wrong")), 0)[0] == "failed"


def test_a_crash_and_a_hang_are_noticed(tmp_path: Path) -> None:
    bodies = {"import os; os.abort()": "-6", "import time; time.sleep(60)": "Timeout", "while True: pass": "-27"}
    for body, seen in bodies.items():
        script = (
            "import sys; from pathlib import Path; from tests.mutation import target\n"
            f"def use(folder, expectation):\n    {body}\n"
            "target.LONGEST, target.WAITING = 0.5, 5.0\n"
            "target.targets = lambda: {'t': target.Target('t', lambda folder, rng: None, use)}\n"
            f"target.main('t', 3, 1, Path({str(tmp_path / 'seed')!r}))"
        )
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert seen in f"{done.returncode} {done.stderr}"
        assert (tmp_path / "seed").read_text() == "3"
