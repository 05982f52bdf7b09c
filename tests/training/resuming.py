"""Trainings that are interrupted and go on."""

import os
import signal
from pathlib import Path

from mobileseg.training.trainer import Trainer, seed_everything

EXACT = ("log_iters=1", "ema.decay=0.9", "clip.norm=2.0")


def interrupted_and_resumed(config, run: Path, stop_at: int) -> Trainer:
    """Train to ``stop_at`` as if a signal had come there, then continue in another trainer."""
    first = Trainer(config, run)
    step = first._step

    def stopping(number):
        result = step(number)
        if first.iteration + 1 == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return result

    first._step = stopping
    result = first.fit()
    assert (result.reason, result.iteration, result.signal) == ("interrupted", stop_at, 15)
    seed_everything(99, 99)  # the second trainer must not depend on what is left in the generators
    second = Trainer(config, run)
    assert second.fit("auto").reason == "finished"
    return second
