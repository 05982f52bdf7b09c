"""Masks as PNG: readers get the numbers, viewers show colours."""

from __future__ import annotations

import io
import os

import numpy as np
from PIL import Image

from mobileseg.errors import DataError
from mobileseg.files import write_whole
from mobileseg.viz.palette import index_table


def write_mask(path: str | os.PathLike[str], numbers: np.ndarray, colours: np.ndarray, ignore_index: int = 255) -> None:
    """Write a number per pixel as PNG: 8 bits with a palette, 16 bits (which PNG has no palette for) as greyscale.

    Args:
        path: file to write, replaced when complete.
        numbers: uint8 or uint16 [H, W].
        colours: uint8 [K, 3] RGB, the colour of each number of 8 bits.
        ignore_index: number of ignored pixels, shown white; -1 for none.

    Raises:
        DataError: the file cannot be written.
    """
    image = Image.fromarray(numbers)
    if numbers.dtype == np.uint8:
        image.putpalette(index_table(colours, ignore_index).tobytes())
    save_png(path, image)


def save_png(path: str | os.PathLike[str], image: Image.Image) -> None:
    """Write an image as PNG, which appears when it is complete.

    Raises:
        DataError: the file cannot be written.
    """
    stored = io.BytesIO()
    image.save(stored, format="PNG")
    try:
        write_whole(path, stored.getvalue())
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror or error}", remedy="check the folder and disk space"
        ) from error
