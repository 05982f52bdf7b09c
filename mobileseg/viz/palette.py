"""Colours of classes."""

from __future__ import annotations

import numpy as np


def palette(n: int) -> np.ndarray:
    """Colours for ``n`` classes, uint8 [n, 3], RGB: the colour map of PASCAL VOC.

    Bit 0, 1, 2 of each group of three bits of the class index goes to red, green, blue, the lowest group to the
    highest bit of the colour; class 0 is black and the first 256 colours are all different.
    """
    indices = np.arange(n)
    colours = np.zeros((n, 3), np.uint8)
    for group in range(8):
        for channel in range(3):
            bit = (indices >> (3 * group + channel)) & 1
            colours[:, channel] |= (bit << (7 - group)).astype(np.uint8)
    return colours
