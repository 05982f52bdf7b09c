"""What a step of training minimises."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import paddle
from paddle import nn

from mobileseg.nn.nested import cast


class Objective(nn.Layer):
    """``batch -> {name: loss}``, the thing that is wrapped for several processes.

    As it stands it is the objective of supervised training: the criterion of the network's outputs and the batch.
    Tasks whose steps are made otherwise derive from it and replace :meth:`forward`.

    Args:
        network: what is trained.
        criterion: ``(outputs, batch) -> {name: scalar}``.

    Attributes:
        autocast: opens the number format in which networks run; the trainer sets it.
        partly: whether trained parameters are left out, which several processes must know.
        results: what later steps of the same iteration may read, by name; set in :meth:`forward`, detached by the
            trainer.
    """

    def __init__(self, network: nn.Layer, criterion: nn.Layer) -> None:
        super().__init__()
        self.network = network
        self.criterion = criterion
        self.partly = False
        self.autocast: Callable[[], AbstractContextManager[None]] = nullcontext
        self.results: dict[str, paddle.Tensor] = {}

    def outputs(self, image: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """The network's outputs for float32 [N, C, H, W], float32 whatever the number format."""
        with self.autocast():
            outputs = self.network(image)
        return cast(outputs, "float32")

    def forward(self, batch: dict[str, Any]) -> dict[str, paddle.Tensor]:
        """Losses by name, float32 scalars.

        Args:
            batch: ``image`` float32 [N, C, H, W] and what the criterion needs. ``batch["earlier"]`` has what earlier
                steps of the iteration left: name of the step -> name -> tensor.
        """
        losses: dict[str, paddle.Tensor] = self.criterion(self.outputs(batch["image"]), batch)
        return losses
