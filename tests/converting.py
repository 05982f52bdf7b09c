"""What a test needs that only the converter's Paddle can do, and the two Paddles side by side."""

import os
import sys
from typing import Any

import pytest

from mobileseg import converter
from mobileseg.errors import DependencyError
from tests.processes import run_alone
from tests.training.toy import REPOSITORY

traces = pytest.mark.skipif(converter.is_needed(), reason="graphs are traced with Paddle 2.6 (docs/paddle.md)")
"""For a test of networks that ends in a graph."""

NEWER, CONVERTER = "3.3", "2.6"


def pythons() -> dict[str, str]:
    """Interpreters by their Paddle: this one, which must have the newer, and the converter environment's."""
    if not converter.is_needed():
        pytest.skip("compares the Paddle of .venv with the converter environment's; they are the same here")
    try:
        return {NEWER: sys.executable, CONVERTER: str(converter.converter().python)}
    except DependencyError as error:
        pytest.skip(str(error))


def run_on(paddle: str, *words: str) -> Any:
    """`mobileseg ...` with one of the Paddles, in a process of its own: what it printed and its exit code."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    return run_alone([pythons()[paddle], "-m", "mobileseg", *words], env=environment)
