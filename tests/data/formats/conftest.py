"""Tiny files in the folders of the named datasets."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def save() -> Callable[[Path, np.ndarray], None]:
    """Writes an image; folders are made."""

    def write(path: Path, pixels: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)

    return write


@pytest.fixture
def image() -> np.ndarray:
    """A 4x6 image."""
    return np.zeros((4, 6, 3), np.uint8)


@pytest.fixture
def row() -> Callable[..., np.ndarray]:
    """Makes a 4x6 label whose first pixels have the given values, the others 0."""

    def make(*values: int) -> np.ndarray:
        label = np.zeros((4, 6), np.uint8)
        label[0, : len(values)] = values
        return label

    return make
