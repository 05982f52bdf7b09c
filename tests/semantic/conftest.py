"""A small batch that losses are compared on."""

import numpy as np
import pytest


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray]:
    """Logits float32 [2, 4, 6, 7] and an int64 label [2, 6, 7] in blocks, some of it ignored, class 3 absent."""
    rng = np.random.default_rng(5)
    label = rng.integers(0, 3, (2, 3, 4)).repeat(2, 1).repeat(2, 2)[:, :, :7]
    label[0, :2, :3] = 255
    label[1, 5, 6] = 255
    logits = rng.normal(0, 2, (2, 4, 6, 7)).astype(np.float32)
    return logits, label.astype(np.int64)
