"""The one place where pixels are resized, with the same numbers on every machine; and the rounding to 8 bits.

Images and scores are resized bilinearly with half-pixel centres, in float32, never rounded back to 8 bits: what
OpenCV's INTER_LINEAR computes on float32, and what the C++ program computes by itself (deploy/lite/src/resize.cc).
OpenCV's x86 wheels hand it to Intel IPP, whose weights are rounded otherwise at many sizes, by more than a self test
allows; so IPP is switched off here. Labels are resized with nearest neighbour under the same half-pixel geometry,
which never mixes classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np


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
    """Resize float32 [H, W] or [H, W, C] to ``size`` = (height, width), bilinear, half-pixel centres, float32."""
    image = np.asarray(image, dtype=np.float32)
    if image.shape[:2] == tuple(size):
        return image
    resized = resize(image, size)
    return resized if resized.ndim == image.ndim else resized[..., None]


def resize_nearest_label(label: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize uint8 [H, W] to ``size`` = (height, width): the pixel under the centre of each new pixel."""
    height, width = label.shape
    if (height, width) == tuple(size):
        return label
    return label.take(nearest_indices(size[0], height), axis=0).take(nearest_indices(size[1], width), axis=1)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Round float32 [H, W, C] 0..255 to the nearest uint8, values outside clipped."""
    return cv2.add(image, 0.0, dtype=cv2.CV_8U)  # rounds and clips in one pass


def nearest_indices(size: int, source: int) -> np.ndarray:
    """Source index of every target pixel: ``floor((i + 0.5) * source / size)`` in exact integers, int64 [size]."""
    return (2 * np.arange(size, dtype=np.int64) + 1) * source // (2 * size)
