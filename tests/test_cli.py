"""The command: dispatch, one clear message per error, exit codes."""

import errno
import logging
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from types import ModuleType

import pytest

from mobileseg import cli
from mobileseg.errors import ConfigError, DataError

ROOT = Path(__file__).parent.parent


def verb_that(action) -> ModuleType:
    module = ModuleType("verb")
    module.HELP = "a verb for tests"
    module.add_arguments = lambda parser: parser.add_argument("--number", type=int, default=0)
    module.run = action
    return module


@pytest.fixture
def run_action(monkeypatch):
    """Run `mobileseg models` with another action behind it."""

    def run(action, *flags: str) -> int:
        monkeypatch.setattr(cli, "_command", lambda verb: verb_that(action))
        return cli.main(["models", *flags])

    return run


def raising(error: BaseException):
    def action(args: Namespace) -> int:
        raise error

    return action


def test_the_verb_decides_the_exit_code(run_action) -> None:
    assert run_action(lambda args: args.number, "--number", "5") == 5


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (DataError("photo.jpg is truncated", remedy="copy it again"), 3, ["photo.jpg is truncated", "copy it again"]),
        (OSError(errno.ENOSPC, "No space left on device", "run/last"), 74, ["disk is full", "run/last", "intact"]),
        (PermissionError(errno.EACCES, "Permission denied", "/sealed"), 77, ["/sealed", "another folder"]),
        (OSError(errno.EIO, "Input/output error"), 74, ["Input/output error"]),
        (KeyboardInterrupt(), 130, ["Ctrl-C"]),
        (ModuleNotFoundError("No module named 'nowhere.x'", name="nowhere.x"), 8, ["'nowhere.x'", "make setup"]),
        (ModuleNotFoundError("No module named 'mobileseg.x'", name="mobileseg.x"), 70, ["unexpected", "--debug"]),
        (ZeroDivisionError("division by zero"), 70, ["unexpected ZeroDivisionError", "--debug"]),
    ],
)
def test_one_message_and_no_traceback(run_action, capsys, error, code, words) -> None:
    assert run_action(raising(error)) == code
    printed = capsys.readouterr()
    assert all(word in printed.err for word in words)
    assert "Traceback" not in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("error", [DataError("broken"), OSError(errno.ENOSPC, "full"), ValueError("odd")])
def test_debug_shows_the_traceback(run_action, error) -> None:
    with pytest.raises(type(error)):
        run_action(raising(error), "--debug")


def test_an_empty_word_is_not_the_working_directory(run_action, capsys) -> None:
    assert run_action(lambda args: pytest.fail("it was run"), "--number", "") == ConfigError.exit_code
    assert "an argument is empty" in capsys.readouterr().err


def test_every_verb_explains_itself() -> None:
    for verb in cli.VERBS:
        command = cli._command(verb)
        assert len(command.HELP) > 20
        parser = ArgumentParser()
        command.add_arguments(parser)


def test_help_lists_the_verbs_and_unknown_ones_are_refused(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    listed = capsys.readouterr().out
    assert all(verb in listed for verb in cli.VERBS)
    with pytest.raises(SystemExit) as stop:
        cli.main(["fly"])
    assert stop.value.code == 2


def test_tools_are_the_same_command() -> None:
    answer = subprocess.run(
        [sys.executable, "tools/train.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "--resume_model" in answer.stdout


def test_help_loads_nothing_that_takes_time() -> None:
    """Every verb's module is imported for the list of verbs."""
    code = (
        "import sys\nfrom mobileseg.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "segment images" in done.stdout
    loaded = set(done.stderr.split())
    slow = {"numpy", "cv2", "yaml", "pydantic", "paddle", "subprocess", "PIL", "onnxruntime", "email", "difflib"}
    assert not loaded & slow


def test_a_log_line_is_shown_once_whatever_others_do_to_the_root_logger(run_action, capsys) -> None:
    root, logger = logging.getLogger(), logging.getLogger("mobileseg")
    foreign: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: foreign.append(record.getMessage())  # type: ignore[method-assign]
    root.addHandler(handler)
    before = logger.propagate, logger.level, list(logger.handlers)
    try:
        for _ in range(2):
            assert run_action(lambda args: logging.getLogger("mobileseg.some.module").info("12 weights fit") or 0) == 0
            assert capsys.readouterr().err == "12 weights fit\n"
    finally:
        root.removeHandler(handler)
    assert foreign == []
    assert (logger.propagate, logger.level, list(logger.handlers)) == before
