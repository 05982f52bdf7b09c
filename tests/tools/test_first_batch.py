"""tools/first_batch.py on a few images."""

import importlib.util
import re
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("first_batch", Path(__file__).parents[2] / "tools/first_batch.py")
first_batch = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(first_batch)


def test_one_line_per_turn(photos: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    arguments = ["--workers", "1", "--batch_size", "2", "--turns", "2"]
    monkeypatch.setattr("sys.argv", ["first_batch.py", str(photos / "coco"), *arguments])
    first_batch.main()
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d+ images, \d+\.\d MB to each of 1 workers", lines[0])
    assert [bool(re.fullmatch(r"first batch after \d+\.\d\d s", line)) for line in lines[1:]] == [True, True]
