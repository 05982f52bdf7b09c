"""Losses that are not finite: found without waiting for the device in every step, and kept for inspection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import paddle

from mobileseg.data.loading.batching import load_batch
from mobileseg.errors import TrainingError

if TYPE_CHECKING:
    from mobileseg.training.trainer import Trainer


class FiniteWatch:
    """Remembers the losses of the latest iterations and stops the run if one of them is not finite.

    On one CPU process the losses are looked at in every iteration. Elsewhere looking means waiting for the device or
    for the other processes, so it is done before log lines and always before saving: a batch is a function of its
    number, so the offending one can be made again later. Under float16 scaling an overflow is routine and is
    left to the scaler.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.active = not trainer.precision.scaler.enabled
        self._at_once = trainer.processes.count == 1 and paddle.get_device() == "cpu"
        self._recent: list[tuple[int, int, dict[str, paddle.Tensor]]] = []

    def add(self, iteration: int, losses: dict[str, paddle.Tensor]) -> None:
        """Note the losses of an iteration that has just been done.

        Raises:
            TrainingError: see :meth:`check`.
        """
        if self.active:
            self._recent.append((iteration, self.trainer.position, losses))
            if self._at_once:
                self.check()

    def check(self) -> None:
        """Look at the losses noted since the last check.

        Raises:
            TrainingError: one of them is NaN or infinite; the batch of the first such iteration was saved.
        """
        if not self._recent:
            return
        totals = paddle.stack([paddle.add_n(list(losses.values())).reshape([]) for _, _, losses in self._recent])
        finite = np.isfinite(self.trainer.processes.mean(totals).numpy())
        recent, self._recent = self._recent, []
        if finite.all():
            return
        iteration, position, losses = recent[int(np.argmin(finite))]
        values = {name: float(value) for name, value in losses.items()}
        path = _save_batch(self.trainer, iteration, position, values)
        self.trainer.log.event(
            "nonfinite", iter=iteration, batch=path.name, losses={k: str(v) for k, v in values.items()}
        )
        named = ", ".join(f"{name} {value:g}" for name, value in values.items())
        raise TrainingError(
            f"the loss of iteration {iteration} is not finite ({named}); its batch is in {path}",
            remedy="look at the batch, lower the learning rate, lengthen warmup_iters or set clip: {norm: 5}; the "
            "checkpoints saved before are intact, continue from one with --resume",
        )


def _save_batch(trainer: Trainer, iteration: int, position: int, losses: dict[str, float]) -> Path:
    """Make the batches of an iteration again and save them with the names of their files."""
    keys = [key for number in range(position - trainer.accumulate, position) for key in trainer.order.batch(number)]
    arrays: dict[str, Any] = dict(load_batch(trainer.train_dataset, keys))
    items = getattr(trainer.train_dataset, "items", None)
    if items is not None:
        arrays["files"] = np.array([[str(items[index].image), str(items[index].label)] for _, index in keys])
    arrays["epoch_index"] = np.array(keys, dtype=np.int64)
    for name, value in losses.items():
        arrays[f"loss.{name}"] = np.float64(value)
    rank = f"_rank{trainer.processes.rank}" if trainer.processes.count > 1 else ""
    path = trainer.run / f"nonfinite_iter_{iteration:06d}{rank}.npz"
    np.savez_compressed(path, **arrays)
    return path
