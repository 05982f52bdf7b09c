"""The one place where pixels are resized: the same numbers on every machine.

Bilinear on float32 with half-pixel centres is what OpenCV's INTER_LINEAR computes, and what the C++ program computes
by itself (deploy/lite/src/resize.cc). OpenCV's x86 wheels hand it to Intel IPP, whose weights are rounded otherwise at
many sizes, by more than the self test of an exported folder allows; so IPP is switched off here.
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
