"""Masks as PNG: readers get the numbers, viewers show colours. The one place where drawing needs files of images."""

from __future__ import annotations

import os

import cv2
import numpy as np

from mobileseg.data.io import write_png
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
    if numbers.dtype == np.uint8:
        write_png(os.fspath(path), numbers, index_table(colours, ignore_index))
        return
    _, encoded = cv2.imencode(".png", numbers)
    try:
        write_whole(path, encoded.tobytes())
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}", remedy="check the disk") from error
