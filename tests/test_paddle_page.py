"""docs/paddle.md against what is installed by setup.py, the requirement lists and the constraints."""

import re
from pathlib import Path

import pytest

from mobileseg.paddle_version import CONVERTER, LITE_PYTHON, PYTHONS, TRAINING

ROOT = Path(__file__).parents[1]
LISTS = {CONVERTER: ("requirements-paddle-2.6.txt", "constraints.txt")}
LISTS[TRAINING] = ("requirements-paddle-3.3.txt", "constraints-paddle-3.3.txt")


def rows() -> list[list[str]]:
    """Cells of the table's rows, without the heading."""
    lines = [line for line in (ROOT / "docs" / "paddle.md").read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def pinned(constraints: str, name: str, python: str) -> str:
    """The version that a constraints file gives a package on a Python."""
    minor = int(python.split(".")[1])
    for line in (ROOT / constraints).read_text().splitlines():
        found = re.fullmatch(rf'{name}==(\S+?)(?:; python_version (==|>=) "3\.(\d+)")?', line)
        if found is None:
            continue
        version, relation, limit = found.groups()
        if relation is None or (minor == int(limit) if relation == "==" else minor >= int(limit)):
            return version
    raise AssertionError(f"{constraints} has no {name} for Python {python}")


def test_every_supported_pair_has_its_row() -> None:
    pairs = [(f"{major}.{minor}", paddle) for paddle in PYTHONS for major, minor in PYTHONS[paddle]]
    assert [(row[0], row[1]) for row in rows()] == pairs


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0]} with {row[1]}")
def test_a_row_says_what_is_installed(row: list[str]) -> None:
    python, paddle, numpy, opencv, trains, exports, lite = row
    requirements, constraints = LISTS[paddle]
    assert f"paddlepaddle=={paddle} " in (ROOT / requirements).read_text()
    if paddle == TRAINING or python == "3.10":
        assert pinned(constraints, "paddlepaddle", python) == paddle
        assert pinned(constraints, "numpy", python) == numpy
        assert pinned(constraints, "opencv-python", python) == opencv
    last = ".".join(map(str, LITE_PYTHON))
    assert trains == "yes"
    assert exports == ("yes" if paddle == CONVERTER else "converter environment")
    expected = ("yes" if python == last else "no") if paddle == CONVERTER else "converter environment"
    assert lite == expected


def test_setup_names_the_same_pythons() -> None:
    source = (ROOT / "setup.py").read_text()
    pythons = sorted({python for pythons in PYTHONS.values() for python in pythons})
    classifiers = re.findall(r"Programming Language :: Python :: 3\.(\d+)", source)
    assert [(3, int(minor)) for minor in classifiers] == pythons
    first, last = pythons[0][1], pythons[-1][1]
    assert f'python_requires=">=3.{first},<3.{last + 1}"' in source
    assert f'LAST_LITE = "{LITE_PYTHON[0]}.{LITE_PYTHON[1]}"' in source


def test_the_readme_names_them_too() -> None:
    assert "Python 3.10 to 3.13" in (ROOT / "README.md").read_text()[:1500]
