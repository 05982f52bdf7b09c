"""Outputs are kept away from inputs."""

from pathlib import Path

import pytest

from mobileseg.commands.outputs import keep_apart
from mobileseg.errors import ConfigError


@pytest.mark.parametrize(
    ("output", "seen"),
    [
        ("data", "is the input"),
        ("data/sub/../../data", "is the input"),
        ("data/new", "lies in the input"),
        (".", "holds the input"),
        ("link", "is the input"),
        ("link/new", "lies in the input"),
    ],
)
def test_output_and_input_that_hold_each_other(tmp_path: Path, output: str, seen: str) -> None:
    (tmp_path / "data/sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("data")
    with pytest.raises(ConfigError, match=seen):
        keep_apart(tmp_path / output, [tmp_path / "other", tmp_path / "data"])


def test_neighbours(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    keep_apart(tmp_path / "data_2", [tmp_path / "data"])  # the name begins alike
    keep_apart(tmp_path / "data/new", [tmp_path / "data/a.png"])  # beside a file
    keep_apart(tmp_path / "new", [])
