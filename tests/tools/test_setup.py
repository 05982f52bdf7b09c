"""tools/setup.sh: which Python gets which Paddle. The interpreters are stand-ins that note what they should install."""

import shutil
from pathlib import Path

import pytest

from tests.processes import run_alone

ROOT = Path(__file__).parents[2]
NEW, OLD = "3.3", "2.6"
CONVERTER = {".venv-converter": (10, OLD)}
NEEDED = ("bash", "cat", "chmod", "cp", "cut", "dirname", "env", "grep", "mkdir", "rm", "sha256sum")
STAND_IN = """\
#!/bin/sh
case "$1 $2" in
    "--version "*) echo "Python 3.{minor}.1" ;;
    "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip") echo "$0 $*" >> "$NOTES" ;;
    "-c import paddlelite") exit {lite} ;;
    "-c import sys, venv"*) case "$2" in *"(3, {minor})"*) exit 0 ;; *) exit 1 ;; esac ;;
    "-c import sys; print"*) echo {minor} ;;
esac
"""


class Machine:
    """A machine on which some Pythons can be had, and a checkout on it."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.bin, self.notes = folder / "a checkout", folder / "bin", folder / "notes"
        self.bin.mkdir()
        for name in NEEDED:
            (self.bin / name).symlink_to(str(shutil.which(name)))
        (self.checkout / "tools").mkdir(parents=True)
        (self.checkout / "mobileseg").mkdir()
        for name in ("tools/setup.sh", "mobileseg/__init__.py"):
            shutil.copy(ROOT / name, self.checkout / name)
        for file in (*ROOT.glob("requirements*.txt"), *ROOT.glob("constraints*.txt")):
            shutil.copy(file, self.checkout)

    def has(self, *minors: int) -> None:
        for minor in minors:
            python = self.bin / f"python3.{minor}"
            python.write_text(STAND_IN.format(minor=minor, lite=int(minor > 10)))
            python.chmod(0o755)

    def setup(self, *words: str, **variables: str) -> tuple[int, str]:
        """Exit code and words of the script."""
        environment = {"PATH": str(self.bin), "HOME": str(self.bin), "NOTES": str(self.notes), **variables}
        done = run_alone([str(self.bin / "bash"), "tools/setup.sh", *words], cwd=self.checkout, env=environment)
        return done.returncode, done.stdout + done.stderr

    def made(self) -> dict[str, tuple[int, str]]:
        """Environment -> minor version of its Python, and its Paddle by the lists that were installed."""
        found = {}
        for place in (".venv", ".venv-converter"):
            python = self.checkout / place / "bin" / "python"
            if python.exists():
                minor = int(python.read_text().split("Python 3.")[1].split(".")[0])
                asked = [line for line in self.notes.read_text().splitlines() if line.startswith(f"{place}/bin")]
                (paddle,) = {name for line in asked for name in (OLD, NEW) if f"requirements-paddle-{name}.txt" in line}
                found[place] = (minor, paddle)
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if any(Path("/opt/pyenv/versions").glob("*")):
        pytest.skip("this machine has Pythons in /opt/pyenv, where the script looks whatever HOME is")
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("pythons", "variables", "expected"),
    [
        ((10, 13), {}, {".venv": (13, NEW)} | CONVERTER),
        ((10, 11), {}, {".venv": (11, NEW)} | CONVERTER),
        ((10,), {}, {".venv": (10, NEW)} | CONVERTER),
        ((11, 12, 13), {}, {".venv": (12, OLD)}),
        ((13,), {}, {".venv": (13, NEW)}),
        ((10, 12, 13), {"MOBILESEG_PADDLE": NEW}, {".venv": (13, NEW)} | CONVERTER),
        ((10, 12), {"MOBILESEG_PADDLE": NEW}, {".venv": (12, NEW)} | CONVERTER),
        ((10,), {"MOBILESEG_PADDLE": NEW}, {".venv": (10, NEW)} | CONVERTER),
        ((10, 13), {"MOBILESEG_PADDLE": OLD}, {".venv": (10, OLD)}),
        ((12, 13), {"MOBILESEG_PADDLE": OLD}, {".venv": (12, OLD)}),
    ],
)
def test_which_environments_are_made(
    pythons: tuple[int, ...], variables: dict[str, str], expected: dict[str, tuple[int, str]], machine: Machine
) -> None:
    machine.has(*pythons)
    code, said = machine.setup(**variables)
    assert code == 0, said
    assert machine.made() == expected
    lacks_converter = expected[".venv"][1] == NEW and ".venv-converter" not in expected
    assert ("no Python 3.10 for the converter environment" in said) == lacks_converter
    machine.notes.write_text("")
    assert machine.setup(**variables)[0] == 0
    assert machine.notes.read_text() == ""  # nothing is done twice


@pytest.mark.parametrize(("paddle", "expected"), [(NEW, {".venv": (13, NEW)} | CONVERTER), (OLD, {".venv": (10, OLD)})])
def test_an_environment_stays_what_it_is(paddle: str, expected: dict, machine: Machine) -> None:
    machine.has(10, 13)
    machine.setup(MOBILESEG_PADDLE=paddle)
    (machine.checkout / "requirements.txt").write_text("numpy\n")  # an update
    code, said = machine.setup()
    assert code == 0, said
    assert machine.made() == expected


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [(OLD, NEW, {".venv": (13, NEW)} | CONVERTER), (NEW, OLD, {".venv": (10, OLD)} | CONVERTER)],
)
def test_another_paddle_gets_an_environment_of_its_own(
    first: str, then: str, expected: dict[str, tuple[int, str]], machine: Machine
) -> None:
    machine.has(10, 13)
    machine.setup(MOBILESEG_PADDLE=first)
    left = machine.checkout / ".venv" / "a_package_of_the_first"
    left.touch()
    old = machine.notes.read_text()
    code, said = machine.setup(MOBILESEG_PADDLE=then)
    assert code == 0, said
    assert not left.exists()
    machine.notes.write_text(machine.notes.read_text().removeprefix(old) + "".join(_of_the_converter(old)))
    assert machine.made() == expected


def _of_the_converter(notes: str) -> list[str]:
    return [line for line in notes.splitlines(keepends=True) if line.startswith(".venv-converter/bin")]


def test_pythons_that_do_not_fit(machine: Machine) -> None:
    code, said = machine.setup()
    assert code != 0
    assert "no Python 3.10, 3.11 or 3.12 with venv was found" in said
    machine.has(13)
    code, said = machine.setup("converter")
    assert code == 1
    assert "no Python 3.10 with venv was found" in said
    assert "MOBILESEG_CONVERTER_PYTHON=/path/to/python make setup-converter" in said
    code, said = machine.setup(MOBILESEG_PADDLE=OLD, MOBILESEG_PYTHON=str(machine.bin / "python3.13"))
    assert code == 1
    assert "Paddle 2.6 has no wheel for Python 3.13" in said
    code, said = machine.setup(MOBILESEG_PADDLE="3.2")
    assert code != 0
    assert "3.2" in said
