"""The steps of an iteration: each has its own data and its own losses, and ends with a step of the optimizer."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import paddle

from mobileseg.data.loading.batching import SampleOrder
from mobileseg.training.distributed import Processes
from mobileseg.training.loader import batches
from mobileseg.training.objective import Objective

Results = dict[str, list[dict[str, paddle.Tensor]]]
"""What the steps of an iteration left for later ones: name of the step -> for each of its batches, name -> detached
tensor. Batch n of a later step sees what their batches n left."""


@dataclass(frozen=True)
class Step:
    """One step of every iteration.

    Attributes:
        objective: what it minimises.
        dataset: what it is trained on, ``dataset[(epoch, index)]``; None for a step that lives on what earlier ones
            left.
        name: of the step; the losses of all steps but the first are logged as ``<name>.<loss>``.
        batch_size: samples per batch and process, None for that of the configuration.
    """

    objective: Objective
    dataset: Any
    name: str = "train"
    batch_size: int | None = None


@dataclass
class Running:
    """A step in training: where it stands in the order of its samples.

    Attributes:
        step: what is done.
        order: which samples stand where; None without data of its own.
        wrapped: the objective as it is called, which averages gradients over the processes.
        position: batches taken from the order.
    """

    step: Step
    order: SampleOrder | None
    wrapped: paddle.nn.Layer
    position: int = 0
    _stream: Generator[dict[str, Any], None, None] | None = field(default=None, repr=False)

    def open(self, batches_left: int, num_workers: int) -> closing[Generator[dict[str, Any], None, None]]:
        """Start loading; the block in which batches are taken."""
        stop = self.position + batches_left
        if self.order is None:
            self._stream = ({} for _ in range(batches_left))
        else:
            self._stream = batches(self.step.dataset, self.order, self.position, stop, num_workers=num_workers)
        return closing(self._stream)

    def backward(
        self, processes: Processes, accumulate: int, scale: float, earlier: Results
    ) -> tuple[dict[str, paddle.Tensor], float]:
        """Gradients of ``accumulate`` batches; returns the mean losses and the seconds spent waiting for data.

        Args:
            processes: all of them; the last batch averages over them.
            accumulate: batches.
            scale: of the loss (float16).
            earlier: what earlier steps of this iteration left; what this one leaves is put there.
        """
        assert self._stream is not None
        waited = 0.0
        means: dict[str, paddle.Tensor] = {}
        left: list[dict[str, paddle.Tensor]] = []
        for number in range(accumulate):
            began = time.perf_counter()
            batch = next(self._stream)
            self.position += 1
            waited += time.perf_counter() - began
            if earlier:
                batch = {**batch, "earlier": {name: results[number] for name, results in earlier.items()}}
            with nullcontext() if number == accumulate - 1 else processes.without_reduction(self.wrapped):
                losses: dict[str, paddle.Tensor] = self.wrapped(batch)
                total = paddle.add_n(list(losses.values()))
                (total * (scale / accumulate)).backward()
            for name, value in losses.items():
                share = value.detach() / accumulate
                means[name] = means[name] + share if name in means else share
            left.append({name: value.detach() for name, value in self.step.objective.results.items()})
            self.step.objective.results = {}
        if any(left):
            earlier[self.step.name] = left
        return means, waited

    def sampler_state(self) -> dict[str, int]:
        """Where the step stands, in samples, so that another batch size can go on near there."""
        if self.order is None:
            return {"epoch": 0, "samples": self.position, "batch": 1, "seed": 0}
        epoch, batch = divmod(self.position, self.order.batches_per_epoch)
        whole = self.order.whole
        return {"epoch": epoch, "samples": batch * whole, "batch": whole, "seed": self.order.seed}

    def load_sampler(self, state: Mapping[str, int]) -> None:
        """Go on where a checkpoint stood."""
        if self.order is None:
            self.position = state["samples"]
            return
        self.position = state["epoch"] * self.order.batches_per_epoch + state["samples"] // self.order.whole


def result_arrays(earlier: Results) -> dict[str, np.ndarray]:
    """Results of steps as arrays for a checkpoint, under ``<step>/<number of the batch>/<name>``."""
    return {
        f"{step}/{number}/{name}": value.numpy()
        for step, batches_left in earlier.items()
        for number, named in enumerate(batches_left)
        for name, value in named.items()
    }


def results_of(arrays: Mapping[str, np.ndarray]) -> Results:
    """Results of steps from what :func:`result_arrays` gave."""
    found: dict[str, dict[int, dict[str, paddle.Tensor]]] = {}
    for key, array in arrays.items():
        step, number, name = key.split("/", 2)
        found.setdefault(step, {}).setdefault(int(number), {})[name] = paddle.to_tensor(array)
    return {step: [named for _, named in sorted(batches_left.items())] for step, batches_left in found.items()}
