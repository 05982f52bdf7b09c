"""The table of what masks cost: both ways make about the same masks."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

TOOL = Path(__file__).parents[2] / "tools" / "benchmark_masks.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = spec_from_file_location(TOOL.stem, TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_compared_is_alike(tool: ModuleType) -> None:
    kernels, features = tool.made_up(128)
    slow = tool.published(kernels, features, 128, (96, 128))
    masks, _ = tool.make_masks(kernels, features, tool.STRIDE, (128, 128), (96, 128))
    overlaps = [(one & other).sum() / (one | other).sum() for one, other in zip(slow, masks.to_array(), strict=True)]
    assert np.mean(overlaps) > 0.85  # the published way resizes three times
    assert 0.03 < np.mean(slow) < 0.15


def test_the_table() -> None:
    command = [sys.executable, str(TOOL), "--size", "64", "--runs", "1"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "all 100 queries, as published",
        "100 that are kept",
        "20 that are kept",
        "10 that are kept",
        "5 that are kept",
    ]
