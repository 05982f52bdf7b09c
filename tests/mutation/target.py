"""What a target of the mutation test is, and the process that works through its mutants.

A module ``tests/mutation/targets_*.py`` has a list ``TARGETS``; that is all it takes to add more.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import re
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LONGEST = 10.0
"""Seconds of processor time for one mutant."""

UNEXPECTED = re.compile(r"unexpected \w*(Error|Exception|Warning|Interrupt|Exit|Iteration)\b")
"""How the suite says that something happened which nobody had thought of."""

WAITING = 120.0
"""Seconds for one mutant on the clock, which on a busy machine runs while others work."""

MEMORY = 6 << 30
"""Bytes of address space for the process."""


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote.

    Attributes:
        name: unique.
        write: ``(folder, rng) -> expectation``: writes a valid input into an empty folder and damages it. The
            expectation is a reason why it must be refused, or anything that ``use`` compares with; None: none.
        use: ``(folder, expectation) -> None``: reads it as the product does. Raises a
            :class:`~mobileseg.errors.MobileSegError` to refuse it, AssertionError when what was accepted is wrong.
        short: mutants in ``make test``.
        long: mutants in ``make test-long``.
    """

    name: str
    write: Callable[[Path, np.random.Generator], Any]
    use: Callable[[Path, Any], None]
    short: int = 60
    long: int = 1000


class MustRefuse(str):
    """An expectation: why the input must be refused."""


def targets() -> dict[str, Target]:
    """All targets by name."""
    modules = [path.stem for path in sorted(Path(__file__).parent.glob("targets_*.py"))]
    found = [target for name in modules for target in importlib.import_module(f"tests.mutation.{name}").TARGETS]
    assert len({target.name for target in found}) == len(found)
    return {target.name: target for target in found}


def judge(target: Target, seed: int) -> tuple[str, str]:
    """('accepted' | 'refused' | 'failed', what went wrong) of one mutant."""
    from mobileseg.errors import MobileSegError

    with tempfile.TemporaryDirectory() as name:
        expectation = target.write(Path(name), np.random.default_rng([7, seed]))
        try:
            target.use(Path(name), expectation)
        except MobileSegError as error:
            if not error.message.strip() or UNEXPECTED.search(error.message):
                return "failed", f"the message says nothing: {error.message!r}"
            return "refused", ""
        except BaseException:
            return "failed", traceback.format_exc()
    if isinstance(expectation, MustRefuse):
        return "failed", f"accepted although {expectation}"
    return "accepted", ""


def main(name: str, start: int, count: int, progress: Path) -> None:
    """Work through mutants; ``progress`` always holds the seed at work, the last line of output is the result."""
    import mobileseg  # noqa: F401  # zlib before Paddle

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard), hard))
    target = targets()[name]
    faulthandler.register(signal.SIGPROF, chain=True)  # says where, then the process ends
    counts = {"accepted": 0, "refused": 0, "failed": 0}
    failures = []
    for seed in range(start, start + count):
        progress.write_text(str(seed))
        faulthandler.dump_traceback_later(WAITING, exit=True)
        signal.setitimer(signal.ITIMER_PROF, LONGEST)
        verdict, why = judge(target, seed)
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        counts[verdict] += 1
        if why and len(failures) < 5:
            failures.append(f"seed {seed}: {why}")
    print(json.dumps({"counts": counts, "failures": failures}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
