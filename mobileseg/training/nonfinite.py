"""Losses that are not finite: found without waiting for the device in every step, and kept for inspection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from mobileseg.data.loading.batching import load_batch
from mobileseg.errors import TrainingError
from mobileseg.training.distributed import Processes
from mobileseg.training.logs import RunLog
from mobileseg.training.steps import Running


class FiniteWatch:
    """Remembers the losses of the latest iterations and stops the run if one of them is not finite.

    On one CPU process the losses are looked at in every iteration. Elsewhere looking means waiting for the device or
    for the other processes, so it is done before log lines and always before saving: a batch is a function of its
    number, so the offending one can be made again later. Under float16 scaling an overflow is routine and is
    left to the scaler.

    Args:
        steps: of an iteration.
        accumulate: batches of every step.
        processes: all of them.
        log: is told; its folder gets the batch.
        scaled: whether losses are scaled (float16).
    """

    def __init__(
        self, steps: Sequence[Running], accumulate: int, processes: Processes, log: RunLog, *, scaled: bool
    ) -> None:
        self.steps = steps
        self.accumulate = accumulate
        self.processes = processes
        self.log = log
        self.active = not scaled
        self._at_once = processes.count == 1 and paddle.get_device() == "cpu"
        self._recent: list[tuple[int, list[int], dict[str, paddle.Tensor]]] = []

    def add(self, iteration: int, losses: dict[str, paddle.Tensor]) -> None:
        """Note the losses of an iteration that has just been done."""
        if self.active:
            self._recent.append((iteration, [running.position for running in self.steps], losses))
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
        finite = np.isfinite(self.processes.mean(totals).numpy())
        recent, self._recent = self._recent, []
        if finite.all():
            return
        iteration, positions, losses = recent[int(np.argmin(finite))]
        values = {name: value.item() for name, value in losses.items()}
        path = self._save_batch(iteration, positions, values)
        self.log.event("nonfinite", iter=iteration, batch=path.name, losses={k: str(v) for k, v in values.items()})
        named = ", ".join(f"{name} {value:g}" for name, value in values.items())
        raise TrainingError(
            f"the loss of iteration {iteration} is not finite ({named}); its batch is in {path}",
            remedy="look at the batch, lower the learning rate, lengthen warmup_iters or set clip: {norm: 5}; the "
            "checkpoints saved before are intact, continue from one with --resume",
        )

    def _save_batch(self, iteration: int, positions: Sequence[int], losses: Mapping[str, float]) -> Path:
        """Make the batches of an iteration again and save them with the names of their files."""
        arrays: dict[str, Any] = {}
        for running, position in zip(self.steps, positions, strict=True):
            if running.order is None:
                continue
            prefix = "" if running is self.steps[0] else f"{running.step.name}."
            made = range(position - self.accumulate, position)
            keys = [key for number in made for key in running.order.batch(number)]
            own: dict[str, Any] = dict(load_batch(running.step.dataset, keys))
            if running.order.sizes:  # what it was resized to: batches of several sizes do not stack
                own["multi_scale"] = np.array([running.order.image_size(number) for number in made], np.int64)
            items = getattr(running.step.dataset, "items", None)
            if items is not None:
                own["files"] = np.array([[str(items[index].image), str(items[index].label)] for _, index in keys])
            own["epoch_index"] = np.array(keys, dtype=np.int64)
            arrays |= {f"{prefix}{name}": array for name, array in own.items()}
        for name, value in losses.items():
            arrays[f"loss.{name}"] = np.float64(value)
        rank = f"_rank{self.processes.rank}" if self.processes.count > 1 else ""
        path = self.log.folder / f"nonfinite_iter_{iteration:06d}{rank}.npz"
        np.savez_compressed(path, **arrays)
        return path
