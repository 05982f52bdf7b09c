import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "compare_losses.py"


@pytest.mark.skipif(find_spec("paddleseg") is None, reason="needs the paddleseg package")
def test_both_sides_agree_and_are_timed() -> None:
    call = [sys.executable, str(TOOL), "--runs", "1", "--batch", "2", "--size", "24", "32"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert [row.split("|")[1].strip() for row in rows] == ["OHEM", "cross entropy", "weighted cross entropy"]
    assert all(float(row.strip("|").split("|")[-1]) > 0 for row in rows)
