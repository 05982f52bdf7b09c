"""Class colours: distinct, stable, and the table that a palette PNG needs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

IGNORED_COLOUR = (255, 255, 255)
"""Colour of pixels that belong to no class."""

_STEPS = 9
_LIGHTNESS = (38.0, 88.0)  # CIE L*: neither lost in shadow nor next to the white of ignored pixels
_CHROMA = (22.0, 92.0)  # greys disappear on photographs, pure screen colours drown them


def palette(count: int) -> np.ndarray:
    """Colours that stay apart: each is the candidate farthest (CIE Lab) from all before it.

    The colour of a class does not depend on how many follow, so adding a class repaints nothing.

    Args:
        count: number of classes, at most 256.

    Returns:
        uint8 [count, 3], RGB.

    Raises:
        ValueError: more classes than a label has values.
    """
    if not 0 <= count <= 256:
        raise ValueError(f"a palette has 0 to 256 colours, asked for {count}")
    return _ordered_colours()[:count].copy()


def index_table(colours: Sequence[Sequence[int]] | np.ndarray, ignore_index: int = 255) -> np.ndarray:
    """A colour for each of the 256 values of a label: the classes', white for ignored, black for the rest.

    Args:
        colours: [K, 3] RGB 0..255, K at most 256.
        ignore_index: label value of ignored pixels; a class of that number keeps its own colour.

    Returns:
        uint8 [256, 3].
    """
    table = np.zeros((256, 3), np.uint8)
    if 0 <= ignore_index < 256:
        table[ignore_index] = IGNORED_COLOUR
    values = np.asarray(colours, np.uint8).reshape(-1, 3)
    table[: len(values)] = values
    return table


@lru_cache(maxsize=1)
def _ordered_colours() -> np.ndarray:
    levels = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = cv2.cvtColor(cube[None].astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)[0]
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    kept = (lab[:, 0] >= _LIGHTNESS[0]) & (lab[:, 0] <= _LIGHTNESS[1]) & (chroma >= _CHROMA[0]) & (chroma <= _CHROMA[1])
    cube, lab = cube[kept], lab[kept]
    start = int(np.abs(cube.astype(int) - (0, 128, 255)).sum(1).argmin())
    order = [start]
    distance = np.linalg.norm(lab - lab[start], axis=1)
    while len(order) < 256:
        order.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(lab - lab[order[-1]], axis=1))
    return cube[order]
