"""What scores become at another size, written out in float64."""

import numpy as np


def half_pixel_bilinear(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """The rule, one axis after the other: source = (i + 0.5) * scale - 0.5, clamped at the border, float64."""

    def along(values: np.ndarray, size: int, axis: int) -> np.ndarray:
        source = values.shape[axis]
        position = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
        low = np.floor(position).astype(int)
        high = np.minimum(low + 1, source - 1)
        shape = [1, 1, 1]
        shape[axis] = size
        share = (position - low).reshape(shape)
        return np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share

    return along(along(scores.astype(np.float64), height, 1), width, 2)


def clear_pixels(resized: np.ndarray, gap: float = 5e-5) -> np.ndarray:
    """Where the two best classes do not tie to the precision of float32, bool [H, W]."""
    top = np.sort(np.concatenate([resized, np.full((1, *resized.shape[1:]), -1e9)]), axis=0)
    return top[-1] - top[-2] > gap
