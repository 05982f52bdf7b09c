"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import paddle

from mobileseg.nn.compat import own_copy
from mobileseg.registry import EXTENSIONS
from mobileseg.training.extension import Extension, Surroundings


class WeightAverage:
    """Float32 average of parameters and floating-point buffers; integer buffers are copied.

    After update t (from 1) the average is ``d * average + (1 - d) * weights`` with ``d = min(decay, (1 + t) / (10 +
    t))``, so that the random initial weights are forgotten quickly (the rule of TensorFlow's ExponentialMovingAverage).

    Args:
        network: the network in training.
        decay: limit of d, in [0, 1).
    """

    def __init__(self, network: paddle.nn.Layer, decay: float) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"ema.decay must be in [0, 1), got {decay}")
        self.decay = decay
        self.updates = 0
        self._weights = dict(network.state_dict())
        self._average = {name: _master(tensor) for name, tensor in self._weights.items()}

    @paddle.no_grad()
    def update(self) -> None:
        """Take in the current weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, tensor in self._weights.items():
            average = self._average[name]
            if average.dtype == paddle.float32:
                average.scale_(decay)
                average.add_(tensor.astype("float32") * (1.0 - decay))
            else:
                average.set_value(tensor)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the network carries the average; afterwards its own weights, bit for bit."""
        own = {name: tensor.clone() for name, tensor in self._weights.items()}
        try:
            for name, tensor in self._weights.items():
                tensor.set_value(self._average[name].astype(tensor.dtype))
            yield
        finally:
            for name, tensor in self._weights.items():
                tensor.set_value(own[name])

    def arrays(self) -> dict[str, np.ndarray]:
        """The average, float32 arrays by structured name (integer buffers as they are)."""
        return {name: tensor.numpy() for name, tensor in self._average.items()}

    def load(self, arrays: Mapping[str, np.ndarray], updates: int) -> None:
        """Continue from a saved average."""
        self.updates = updates
        for name, tensor in self._average.items():
            tensor.set_value(arrays[name])


@paddle.no_grad()
def _master(tensor: paddle.Tensor) -> paddle.Tensor:
    return own_copy(tensor, "float32" if tensor.is_floating_point() else tensor.dtype)


class Average(Extension):
    """The section ``ema``: an average of the weights is kept, evaluated and saved beside them.

    Args:
        decay: see :class:`WeightAverage`.
    """

    name = "ema"
    evaluates = True

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self._average: WeightAverage | None = None

    @property
    def average(self) -> WeightAverage:
        """The average; there is none before :meth:`start`."""
        assert self._average is not None
        return self._average

    def start(self, network: paddle.nn.Layer) -> None:
        """Begin with the weights that the network has now."""
        self._average = WeightAverage(network, self.decay)

    def after_step(self) -> None:
        """Take in the new weights."""
        self.average.update()

    def evaluated(self) -> AbstractContextManager[None]:
        """Inside, the network carries the average."""
        return self.average.applied()

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The average and the number of its updates."""
        return self.average.arrays(), {"updates": self.average.updates}

    def load(
        self, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any], weights: Mapping[str, np.ndarray]
    ) -> None:
        """Go on from a saved average, or begin anew with the saved weights."""
        self.average.load(arrays or weights, values.get("updates", 0))


@EXTENSIONS.add_component
def ema(surroundings: Surroundings) -> Average:
    """The extension of the section ``ema``."""
    section = surroundings.config.to_dict()["ema"]
    return Average(section["decay"])
