"""Mixed precision: casting by Paddle, loss scaling by :mod:`mobileseg.training.scaler`. Needs a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import paddle
from paddle.optimizer import Optimizer

from mobileseg.errors import TrainingError
from mobileseg.training.scaler import LossScaler


class Precision:
    """The number format of training.

    Losses are always computed in float32, from outputs cast back to it.

    Args:
        section: ``amp:`` section (dtype, level, init_loss_scaling), None for float32.

    Raises:
        TrainingError: mixed precision on a CPU; Paddle 2.6 would silently compute in float32 there.
    """

    def __init__(self, section: Mapping[str, Any] | None) -> None:
        self.dtype = "float32" if section is None else str(section["dtype"])
        self.level = "O0" if section is None else str(section["level"])
        if section is not None and paddle.get_device() == "cpu":
            raise TrainingError(
                f"amp: {self.dtype} was asked for, but training runs on the CPU, where Paddle ignores it silently",
                remedy="leave amp (--precision) out, or train on a GPU (--device gpu)",
            )
        scale = 1.0 if section is None else float(section["init_loss_scaling"])
        self.scaler = LossScaler(scale, enabled=self.dtype == "float16")

    def decorate(self, network: paddle.nn.Layer, optimizer: Optimizer) -> tuple[paddle.nn.Layer, Optimizer]:
        """Level O2: parameters become ``dtype``, with float32 masters and gradients in the optimizer."""
        if self.level != "O2":
            return network, optimizer
        network, optimizer = paddle.amp.decorate(
            network, optimizer, level="O2", dtype=self.dtype, master_weight=True, master_grad=True, save_dtype="float32"
        )
        return network, optimizer

    def autocast(self) -> AbstractContextManager[None]:
        """Inside, operators run in the format of training."""
        if self.level == "O0":
            return nullcontext()
        return paddle.amp.auto_cast(enable=True, level=self.level, dtype=self.dtype)

    @paddle.no_grad()
    def unscale(self, parameters: Sequence[paddle.Tensor]) -> bool:
        """Divide the gradients by the loss scale; returns whether all are finite. Without scaling: nothing, True."""
        if not self.scaler.enabled:
            return True
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for gradient in gradients:
            gradient.scale_(1.0 / self.scaler.scale)
        finite = [paddle.isfinite(gradient).all() for gradient in gradients]
        return bool(paddle.stack(finite).all().item())
