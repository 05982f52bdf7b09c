"""The converter environment: when it is asked for, how it is found, refused and called, and that it does the work.

The environments here are folders whose `bin/python` is a script, beside the real one where there is one.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mobileseg import __version__, cli, converter
from mobileseg.commands import benchmark, demo, doctor, export, predict, val
from mobileseg.errors import DependencyError
from mobileseg.paddle_version import Paddle
from tests.processes import started

pytestmark = pytest.mark.both

ROOT = Path(__file__).parents[1]
FACTS = {"python": "3.10.1", "mobileseg": __version__, "paddlepaddle": "2.6.2", "paddlelite": "2.13rc0"}


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A stand-in with facts and a program for the command; this process believes that it has Paddle 3.3."""
    monkeypatch.setattr(converter, "installed", lambda: Paddle("paddlepaddle", "3.3.1"))

    def made(facts: dict | None = None, program: str = "", folder: str = "a converter") -> Path:
        place = tmp_path / folder
        (place / "bin").mkdir(parents=True)
        answer = json.dumps(FACTS if facts is None else facts)
        python = place / "bin" / "python"
        python.write_text(
            f"#!{sys.executable}\nimport os, sys, time\n"
            f"if '-I' in sys.argv:\n    print({answer!r})\n    sys.exit()\n{textwrap.dedent(program)}"
        )
        python.chmod(0o755)
        monkeypatch.setenv(converter.VARIABLE, str(place))
        return place

    return made


@pytest.mark.parametrize(("found", "needed"), [("2.6.2", False), ("2.6.1", False), ("3.3.1", True), ("3.0.0", True)])
def test_a_paddle_that_cannot_convert_needs_it(found: str, needed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converter, "installed", lambda: Paddle("paddlepaddle", found))
    assert converter.is_needed() == needed
    monkeypatch.setattr(converter, "installed", lambda: None)
    assert not converter.is_needed()


def test_it_is_beside_the_environment_or_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(converter.VARIABLE, raising=False)
    assert converter.place() == Path(sys.prefix).parent / ".venv-converter"
    monkeypatch.setenv(converter.VARIABLE, str(tmp_path))
    assert converter.place() == tmp_path


def test_one_that_fits(environment: Callable[..., Path]) -> None:
    place = environment()
    found = converter.converter()
    assert (found.folder, found.python) == (place, place / "bin" / "python")
    assert str(found) == f"{place}: Python 3.10.1, paddlepaddle 2.6.2, Paddle Lite 2.13rc0"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mobileseg": "0.0.9"}, "has 0.0.9, and this is"),
        ({"mobileseg": None}, "has no mobileseg"),
        ({"paddlepaddle": "3.3.1"}, "has paddlepaddle 3.3.1, not Paddle 2.6.2"),
        ({"paddlepaddle": None}, "has no Paddle, not Paddle 2.6.2"),
    ],
)
def test_one_that_does_not_fit_is_to_be_renewed(changes: dict, words: str, environment: Callable[..., Path]) -> None:
    environment({**FACTS, **changes})
    with pytest.raises(DependencyError, match=words) as caught:
        converter.converter()
    assert "make setup-converter" in str(caught.value.remedy)


def test_a_missing_one(environment: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment()
    monkeypatch.setenv(converter.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(DependencyError, match=f"there is none at {tmp_path}/none") as caught:
        converter.converter()
    assert "make setup-converter" in str(caught.value.remedy)


@pytest.mark.parametrize("damage", ["deleted", "silent", "fails"])
def test_a_broken_one(damage: str, environment: Callable[..., Path]) -> None:
    """Half deleted: the interpreter is a link to nothing that runs, prints nothing, or fails."""
    python = environment() / "bin" / "python"
    text = {"deleted": "#!/nowhere/python\n", "silent": "#!/bin/sh\n", "fails": "#!/bin/sh\nexit 3\n"}[damage]
    python.write_text(text)
    with pytest.raises(DependencyError, match="broken: its Python gives no answer") as caught:
        converter.converter()
    assert "make setup-converter" in str(caught.value.remedy)


def arguments(verb: object, *words: str) -> object:
    import argparse

    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return parser.parse_args(list(words))


@pytest.mark.parametrize(
    ("verb", "words", "handed"),
    [
        (export, ["--config", "a.yml"], True),
        (val, ["--config", "a.yml", "--model", "m", "--engine", "lite"], True),
        (val, ["--config", "a.yml", "--model", "m", "--engine", "onnxruntime"], False),
        (val, ["--config", "a.yml", "--model_path", "run"], False),
        (predict, ["--model", "m", "--engine", "lite", "a.jpg"], True),
        (predict, ["--model", "m", "a.jpg"], False),
        (benchmark, ["m", "--engines", "lite", "ncnn"], True),
        (benchmark, ["m", "--engines", "ncnn"], False),
        (benchmark, ["m"], True),
        (benchmark, ["--merge", "a.json"], False),
        (doctor, ["model", "m"], True),
        (doctor, ["model", "m", "--engine", "onnxruntime"], False),
        (doctor, ["env"], False),
    ],
)
def test_what_is_handed_over(
    verb: object, words: list[str], handed: bool, environment: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment()
    monkeypatch.setattr(converter, "find_spec", lambda name: None)
    assert verb.needs_converter(arguments(verb, *words)) == handed


def test_nothing_is_handed_over_where_everything_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converter, "installed", lambda: Paddle("paddlepaddle", "2.6.2"))
    assert not converter.has_more_engines(["lite"])
    assert not converter.has_more_engines()


SHOW = """
    print("words", sys.argv[3:], "in", os.getcwd())
    print("trouble", file=sys.stderr)
    sys.exit(6)
"""


def test_words_folder_output_and_code_are_those_of_the_command(
    environment: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    environment(program=SHOW, folder="with blanks, and ü")
    words = ["export", "--config", "my file.yml", "--save_dir", "a b", "-o", "model.name='x y'"]
    assert cli.main(words) == 6
    shown = capfd.readouterr()
    assert shown.out == f"words {words} in {os.getcwd()}\n"
    assert shown.err.endswith("trouble\n")


def test_a_missing_one_is_one_message(
    environment: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment()
    monkeypatch.setenv(converter.VARIABLE, str(tmp_path / "none"))
    assert cli.main(["export", "--config", "a.yml"]) == DependencyError.exit_code
    said = capsys.readouterr().err
    assert "make setup-converter" in said
    assert "Traceback" not in said


AS_PROGRAM = """
import sys
from mobileseg import cli, converter
from mobileseg.paddle_version import Paddle
converter.installed = lambda: Paddle("paddlepaddle", "3.3.1")
sys.exit(cli.main())
"""
WAIT = """
    import signal
    def stop(number, frame):
        print("stopped by", number, flush=True)
        sys.exit(130)
    signal.signal(signal.SIGINT, stop)
    print("pid", os.getpid(), flush=True)
    time.sleep(60)
"""


def test_a_signal_reaches_the_one_process_that_there_is(environment: Callable[..., Path]) -> None:
    """The command takes the place of its caller, so Ctrl-C and kill cannot leave it behind."""
    environment(program=WAIT)
    command = [sys.executable, "-c", AS_PROGRAM, "export", "--config", "a.yml"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    with started(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == f"pid {process.pid}\n"
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert rest == "stopped by 2\n"
    assert process.returncode == 130


def test_variables_of_this_python_do_not_reach_the_other(
    environment: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = environment()
    found = converter.converter()
    monkeypatch.setenv("PYTHONHOME", "/somewhere")
    monkeypatch.setenv("PYTHONPATH", "/plugins")
    variables = converter.environment_of(found)
    assert "PYTHONHOME" not in variables
    assert variables["VIRTUAL_ENV"] == str(place)
    assert variables["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "/plugins"]


def test_the_demo_asks_for_it_before_it_trains(
    environment: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment()
    monkeypatch.setenv(converter.VARIABLE, str(tmp_path / "none"))
    monkeypatch.chdir(ROOT)
    start = time.perf_counter()
    with pytest.raises(DependencyError, match="converter environment"):
        demo.run(arguments(demo, "--quick", "--output", str(tmp_path / "demo")))
    assert time.perf_counter() - start < 10
    assert not (tmp_path / "demo").exists()
