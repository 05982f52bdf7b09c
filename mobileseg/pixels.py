"""The one place where pixels are resized, with the same numbers on every machine; and the rounding to 8 bits.

Images and scores are resized bilinearly with half-pixel centres, in float32, never rounded back to 8 bits: what
OpenCV's INTER_LINEAR computes on float32, and what the C++ program computes by itself (deploy/lite/src/resize.cc).
OpenCV's x86 wheels hand it to Intel IPP, whose weights are rounded otherwise at many sizes, by more than a self test
allows; so IPP is switched off here. Labels are resized with nearest neighbour under the same half-pixel geometry,
which never mixes classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

_BAND_PIXELS = 1 << 17
"""Pixels that are made floats at a time where a reduced image is made in bands: they are then read from a cache."""


def resize(
    image: np.ndarray, size: Sequence[int], interpolation: int = cv2.INTER_LINEAR, out: np.ndarray | None = None
) -> np.ndarray:
    """Resize ``image`` [H, W] or [H, W, C], of any type that OpenCV takes; an axis C of length 1 is dropped.

    OpenCV keeps the switch of IPP per thread: it stays off in the thread that called.

    Args:
        image: pixels.
        size: (height, width) of the result.
        interpolation: OpenCV's constant.
        out: array of the result's shape and type to fill.
    """
    cv2.ipp.setUseIPP(False)
    return cv2.resize(image, (int(size[1]), int(size[0])), dst=out, interpolation=interpolation)


def resize_bilinear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize [H, W] or [H, W, C] to ``size`` = (height, width), bilinear, half-pixel centres, float32."""
    image = np.asarray(image)
    if image.shape[:2] == tuple(size):
        return np.asarray(image, dtype=np.float32)
    period = None if image.dtype == np.float32 else _row_period(image.shape[0], size[0])
    if period is None:
        resized = resize(np.asarray(image, dtype=np.float32), size)
    else:
        resized = _resize_bands(image, size, *period)
    return resized if resized.ndim == image.ndim else resized[..., None]


def _row_period(source: int, target: int) -> tuple[int, int] | None:
    """So many rows of an image become so many rows of the reduced one, all by themselves, and it goes on like that.

    None where the image is not reduced, or where weights of rows would be rounded otherwise from the top of the image
    than from the top of a band: those of a ratio whose denominator is a power of two are exact in float32.
    """
    common = math.gcd(source, target)
    rows = target // common
    if source < target or rows & (rows - 1) or source * rows >= 1 << 23:
        return None
    return source // common, rows


def _resize_bands(image: np.ndarray, size: tuple[int, int], source: int, target: int) -> np.ndarray:
    """`resize` of the image as float32, the same numbers, without ever holding all of it as float32."""
    periods = max(1, _BAND_PIXELS // (source * image.shape[1]))
    source, target = min(periods * source, image.shape[0]), periods * target
    floats = np.empty((source, *image.shape[1:]), np.float32)
    resized = np.empty((*size, *image.shape[2:]), np.float32)
    for number in range(math.ceil(size[0] / target)):
        rows = image[number * source : (number + 1) * source]
        band = resized[number * target : (number + 1) * target]
        np.copyto(floats[: len(rows)], rows)
        resize(floats[: len(rows)], band.shape[:2], out=band)
    return resized


def resize_nearest_label(label: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize uint8 [H, W] to ``size`` = (height, width): the pixel under the centre of each new pixel."""
    height, width = label.shape
    if (height, width) == tuple(size):
        return label
    rows, columns = nearest_indices(size[0], height), nearest_indices(size[1], width)
    if height < size[0]:  # rows are copied in one piece, columns pixel by pixel: those while there are fewer
        return label.take(columns, axis=1).take(rows, axis=0)
    return label.take(rows, axis=0).take(columns, axis=1)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Round float32 [H, W, C] 0..255 to the nearest uint8, values outside clipped."""
    return cv2.add(image, 0.0, dtype=cv2.CV_8U)  # rounds and clips in one pass


def nearest_indices(size: int, source: int) -> np.ndarray:
    """Source index of every target pixel: ``floor((i + 0.5) * source / size)`` in exact integers, int64 [size]."""
    return (2 * np.arange(size, dtype=np.int64) + 1) * source // (2 * size)
