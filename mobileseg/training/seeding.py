"""Seeds of everything random."""

from __future__ import annotations

import random

import numpy as np
import paddle


def seed_everything(seed: int, iteration: int, rank: int = 0, step: int = 0) -> None:
    """Seed Python, NumPy and Paddle from (seed, iteration, rank) and, after the first, the number of the step.

    Done before every iteration, so that no generator state has to be kept to continue exactly (Paddle 2.6 gives none
    out that could be stored).
    """
    words = np.random.SeedSequence([seed, iteration, rank, *([step] if step else [])]).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    paddle.seed(int(words[2]))
