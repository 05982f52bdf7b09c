"""Masks pixel by pixel, from the description of the method."""

import numpy as np


def enlarge(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear with half-pixel centres, the border repeated."""
    for axis, length in enumerate(size):
        cells = plane.shape[axis]
        position = np.clip((np.arange(length) + 0.5) * cells / length - 0.5, 0, cells - 1)
        low = np.floor(position).astype(int)
        high = np.minimum(low + 1, cells - 1)
        shape = (-1, 1) if axis == 0 else (1, -1)
        share = (position - low).reshape(shape)
        plane = plane.take(low, axis) * (1 - share) + plane.take(high, axis) * share
    return plane


def slow_probabilities(prototypes, coefficients, box, size) -> np.ndarray:
    """The published steps on the whole grid, in float64 but for the corners of the box."""
    _, height, width = prototypes.shape
    plane = 1 / (1 + np.exp(-np.tensordot(coefficients.astype(float), prototypes.astype(float), 1)))
    x1, x2 = sorted((np.float32(box[0]) * np.float32(width), np.float32(box[2]) * np.float32(width)))
    y1, y2 = sorted((np.float32(box[1]) * np.float32(height), np.float32(box[3]) * np.float32(height)))
    x1, y1, x2, y2 = max(x1 - 1, 0), max(y1 - 1, 0), min(x2 + 1, width), min(y2 + 1, height)
    for row in range(height):
        for column in range(width):
            if not (x1 <= column < x2 and y1 <= row < y2):
                plane[row, column] = 0
    return enlarge(plane, size)
