"""The converter environment: a second Python with Paddle 2.6, for what a newer Paddle cannot do.

Since 3.0 Paddle writes graphs in a form that Paddle Lite, paddle2onnx 1.3 and PaddleSlim do not read. A command that
needs them is started again, with the same words and in the same folder, by the Python of this environment, which takes
the place of the process: output, progress, exit code and signals are those of one program. What the two have in common
are files alone, checkpoints first of all.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mobileseg import __version__
from mobileseg.errors import DependencyError
from mobileseg.paddle_version import BUILDS, CONVERTER, Paddle, installed

VARIABLE = "MOBILESEG_CONVERTER"
FOLDER = ".venv-converter"
SETUP = "make setup-converter"

_ROOT = Path(__file__).resolve().parents[1]
_CALLED = "MOBILESEG_CALLED_BY"
_TIMEOUT, _ANSWER = 60.0, 300.0
"""Seconds in which an environment says what it has, and does a whole command."""

_ASK = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
def of(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
print(json.dumps({"python": "%d.%d.%d" % sys.version_info[:3], **{name: of(name) for name in sys.argv[1:]}}))
"""


@dataclass(frozen=True)
class Converter:
    """A converter environment that can be used.

    Attributes:
        folder: its root.
        python: its interpreter.
        python_version: for example '3.10.13'.
        paddle: its Paddle.
        lite: version of its Paddle Lite, '' without.
    """

    folder: Path
    python: Path
    python_version: str
    paddle: Paddle
    lite: str

    def __str__(self) -> str:
        lite = f"Paddle Lite {self.lite}" if self.lite else "without Paddle Lite"
        return f"{self.folder}: Python {self.python_version}, {self.paddle}, {lite}"


def is_needed() -> bool:
    """Whether the Paddle of this environment cannot convert, and another one is needed for that.

    Without any Paddle the answer is no: such an environment runs exported models, and says what it lacks.
    """
    found = installed()
    return found is not None and not found.converts


def place() -> Path:
    """Where the converter environment is, or should be: ``MOBILESEG_CONVERTER``, or beside this environment."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser().absolute() if named else Path(sys.prefix).absolute().parent / FOLDER


def exists() -> bool:
    """Whether there is something at :func:`place`; whether it works is another question."""
    return _python(place()).exists()


def has_more_engines(wanted: Sequence[str] | None = None) -> bool:
    """Whether exported models run there on an engine that has no wheel here: Paddle Lite.

    Args:
        wanted: engines that must be had; None for all that there are, so that nothing is missed but an environment.
    """
    if not is_needed() or find_spec("paddlelite") is not None:
        return False
    return exists() if wanted is None else "lite" in wanted


def converter() -> Converter:
    """The converter environment.

    Raises:
        DependencyError: it is missing, broken, of another version of the suite, or has another Paddle; the remedy is
            the command that makes or renews it.
    """
    folder = place()
    python = _python(folder)
    if not python.exists():
        raise DependencyError(
            f"this needs the converter environment (Paddle {CONVERTER}: {installed()} writes no graphs that converters "
            f"read), and there is none at {folder}",
            remedy=f"make it with `{SETUP}` (Python 3.10 is needed), or name one with {VARIABLE}=FOLDER",
        )
    facts = _ask(python, folder)
    found = next((Paddle(name, facts[name]) for name in BUILDS if facts.get(name)), None)
    renew = f"renew it with `{SETUP}`"
    if facts.get("mobileseg") != __version__:
        seen = facts.get("mobileseg") or "no mobileseg"
        raise DependencyError(f"the converter environment {folder} has {seen}, and this is {__version__}", remedy=renew)
    if found is None or not found.converts:
        seen = str(found or "no Paddle")
        raise DependencyError(f"the converter environment {folder} has {seen}, not Paddle {CONVERTER}", remedy=renew)
    return Converter(folder, python, facts["python"], found, facts.get("paddlelite") or "")


def hand_over(words: Sequence[str], *, replace: bool) -> int:
    """Do a command in the converter environment.

    Args:
        words: the command line behind ``mobileseg``.
        replace: this process becomes the other one, so that a signal reaches it wherever it comes from; False waits
            for a child instead, for callers inside another program.

    Returns:
        The exit code, where the process is not replaced.

    Raises:
        DependencyError: there is no converter environment that can be used.
    """
    found = converter()
    command = [str(found.python), "-c", _START, *words]
    environment = environment_of(found)
    print(f"converter environment: {found}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    if replace:
        os.execve(command[0], command, environment)  # noqa: S606  # an interpreter that was asked who it is
    import subprocess

    return subprocess.call(command, env=environment)


def answer_of(found: Converter, words: Sequence[str]) -> Any:
    """What a command prints there as JSON.

    Raises:
        DependencyError: it prints none.
    """
    import subprocess

    command = [str(found.python), "-c", _START, *words]
    try:
        done = subprocess.run(
            command, env=environment_of(found), capture_output=True, text=True, timeout=_ANSWER, check=False
        )
        return json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise DependencyError(
            f"the converter environment {found.folder} gives no answer to `mobileseg {' '.join(words)}` "
            f"({type(error).__name__})",
            remedy=f"make it anew with `{SETUP}`",
        ) from error


_START = "import sys; sys.path.remove(''); sys.argv[0] = 'mobileseg'; from mobileseg.cli import main; sys.exit(main())"
"""The command `mobileseg`, without the working directory among the places that are imported from."""


def environment_of(found: Converter) -> dict[str, str]:
    """Environment variables of a process there: those of this one, without what names this Python."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "__PYVENV_LAUNCHER__")}
    variables |= {"VIRTUAL_ENV": str(found.folder), _CALLED: str(sys.prefix)}
    if (_ROOT / "setup.py").is_file():  # a checkout: the same sources on both sides
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), variables.get("PYTHONPATH")]))
    return variables


def was_called() -> bool:
    """Whether this process is one that :func:`hand_over` started."""
    return _CALLED in os.environ


def was_removed(message: str) -> bool:
    """Whether what went wrong in this process is that somebody deletes its converter environment.

    Args:
        message: names the file that is missing, if not the interpreter itself is gone.
    """
    return was_called() and (sys.prefix in message or not os.path.exists(sys.executable))


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _ask(python: Path, folder: Path) -> Mapping[str, Any]:
    """What is installed there, said by its own Python: a folder that was half deleted does not answer."""
    import subprocess

    try:
        command = [str(python), "-I", "-c", _ASK, "mobileseg", "paddlelite", *BUILDS]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=True).stdout
        facts: dict[str, Any] = json.loads(answer)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise DependencyError(
            f"the converter environment {folder} is broken: its Python gives no answer ({type(error).__name__})",
            remedy=f"make it anew with `{SETUP}`",
        ) from error
    return facts
