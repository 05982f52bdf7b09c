"""Instructions per pass: the plugin in a stand-in for the emulator, and in QEMU where it is installed."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tools import count_instructions

LOOP = """
.globl _start
_start: mov $1000000, %rcx
1: dec %rcx
   jnz 1b
   mov $231, %eax
   xor %edi, %edi
   syscall
"""  # 1 + 2 for each turn + 3 instructions

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="the plugin was NOT tested: no C compiler")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("host") / "plugin_host"
    source = Path(__file__).with_name("plugin_host.c")
    subprocess.run(["cc", "-Wall", "-Werror", "-rdynamic", str(source), "-o", str(made), "-ldl"], check=True)
    return made


def test_loading_drops_out_and_stages_add_up(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert count_instructions.main(["program", "one", "two", "--emulator", str(host), "--passes", "2", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "| model | graph | preprocess | postprocess | total |"
    assert lines[4:] == [f"| {model} | 5.00 | 0.30 | 0.04 | 5.34 |" for model in ("one", "two")]


def test_functions_are_told_apart(host: Path, tmp_path: Path) -> None:
    plugin = count_instructions.build_plugin(tmp_path)
    few, many = (count_instructions.count([str(host)], plugin, ["program", "model", n], tmp_path) for n in ("1", "4"))
    assert few == {"main": 1_000_000, "-": 5_000_000, "_ZN12Preprocessor3run": 300_000, "tail": 40_000}
    assert many == {"main": 1_000_000, "-": 20_000_000, "_ZN12Preprocessor3run": 1_200_000, "tail": 160_000}
    found = count_instructions.stages(count_instructions.per_pass(few, many, 3))
    assert found == pytest.approx({"graph": 5, "preprocess": 0.3, "postprocess": 0.04, "total": 5.34})


@pytest.mark.parametrize(
    ("emulator", "model", "seen"),
    [
        ("{host}", "broken", "exit code 3 of .* a broken model"),
        ("true", "model", "ran the program, but not the plugin\n  hint: take one that knows -plugin"),
        ("no-such-emulator", "model", "there is no program no-such-emulator\n  hint: install it"),
    ],
)
def test_failures_say_what_to_do(
    host: Path, emulator: str, model: str, seen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert count_instructions.main(["program", model, "--emulator", emulator.format(host=host)]) == 1
    assert re.search(seen, capsys.readouterr().err, re.DOTALL)


def test_passes_must_grow() -> None:
    with pytest.raises(SystemExit):
        count_instructions.main(["program", "model", "--passes", "3", "3"])


def test_qemu_counts_a_loop(tmp_path: Path) -> None:
    qemu = shutil.which("qemu-x86_64")
    if qemu is None or platform.machine() != "x86_64":
        pytest.skip("counting was NOT tested in the emulator: no qemu-x86_64; Debian: apt-get install qemu-user")
    (tmp_path / "loop.s").write_text(LOOP)
    command = ["cc", "-nostdlib", "-static", "-no-pie", str(tmp_path / "loop.s"), "-o", str(tmp_path / "loop")]
    subprocess.run(command, check=True)
    found = count_instructions.count([qemu], count_instructions.build_plugin(tmp_path), [tmp_path / "loop"], tmp_path)
    assert sum(found.values()) == 2_000_004
