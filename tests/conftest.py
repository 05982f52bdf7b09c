"""Fixtures shared by all tests."""

import os
import zlib  # noqa: F401  # before Paddle, see mobileseg/__init__.py
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parent / "reference"


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder with parameter names (keys/) and outputs of the originals (golden/)."""
    return REFERENCE


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of real photographs (camvid/, coco/, ...), named by MOBILESEG_DATA."""
    folder = os.environ.get("MOBILESEG_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs photographs: set MOBILESEG_DATA to the folder that holds camvid/ and coco/")
    return Path(folder)
