"""A checkout of the suite for chains: what they write stays out of the real one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with test_tipc/ copied, without data and results, and all that it needs linked."""
    root = tmp_path / "checkout"
    shutil.copytree(
        ROOT / "test_tipc", root / "test_tipc", ignore=shutil.ignore_patterns("data", "output", "__pycache__")
    )
    for name in ("tools", "configs", "mobileseg"):
        (root / name).symlink_to(ROOT / name)
    return root


@pytest.fixture
def bash(checkout: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script or a line of bash in the checkout, with this Python."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHON": sys.executable}
        return subprocess.run(
            ["bash", *words], cwd=checkout, env=environment, capture_output=True, text=True, check=False
        )

    return run
