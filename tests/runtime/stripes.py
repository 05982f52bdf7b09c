"""Images whose labels are known without a network."""

import numpy as np


def stripes(height: int = 16, width: int = 24) -> np.ndarray:
    """Red, green and blue columns of equal width."""
    image = np.full((height, width, 3), 20, np.uint8)
    for index in range(3):
        image[:, index * width // 3 : (index + 1) * width // 3, index] = 230
    return image


def truth(height: int, width: int) -> np.ndarray:
    return np.repeat(np.arange(3, dtype=np.uint8), width // 3)[None].repeat(height, 0)
