"""Lower precision simulated on a network in memory: fake int8 and float16, layer by layer.

int8 is what PaddleSlim's graph computes: symmetric, the input of a kernel by one scale, its weights by one scale per
output channel (Krishnamoorthi 2018, arXiv:1806.08342), everything else in float32. float16 rounds weights and the
results of all layers to half precision; sums stay float32, as the accumulators of most devices do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import numpy as np
import paddle
from paddle import nn

from mobileseg.compress.precision.ranges import LEVELS
from mobileseg.errors import CompressionError

Precision: TypeAlias = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


def fake_int8(x: paddle.Tensor, limit: float) -> paddle.Tensor:
    """float32 of the same shape: rounded to the 255 values of int8 between -limit and limit."""
    step = limit / LEVELS
    return paddle.clip(paddle.round(x / step), -LEVELS, LEVELS) * step


def int8_weight(weight: np.ndarray, axis: int) -> np.ndarray:
    """Weights rounded to int8 with a scale per channel.

    Args:
        weight: float32 kernel.
        axis: of the output channels.
    """
    others = tuple(index for index in range(weight.ndim) if index != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    step = np.where(largest > 0, largest, 1.0) / LEVELS
    return (np.rint(weight / step) * step).astype(np.float32)


def channel_axis(layer: nn.Layer) -> int:
    """Axis of a kernel that PaddleSlim takes as that of the channels."""
    return 1 if isinstance(layer, nn.Conv2DTranspose) else 0


class Simulation:
    """A network whose layers can be switched between precisions.

    Args:
        network: in evaluation mode, norms folded; :meth:`close` gives it back as it was.
        limits: layer path -> range of its input at each use of one forward, or one run of its graph, over and over
            when it is used more often than there are ranges; None instead: the range of the input itself, taken anew
            every time ('dynamic range', for which no calibration is needed).

    Raises:
        CompressionError: a path names no convolution of the network.
    """

    def __init__(self, network: nn.Layer, limits: Mapping[str, Sequence[float] | None]) -> None:
        self.network = network
        self._layers = dict(network.named_sublayers())
        unknown = [path for path in limits if not isinstance(self._layers.get(path), (nn.Conv2D, nn.Conv2DTranspose))]
        if unknown:
            raise CompressionError(f"the network has no convolution '{unknown[0]}'")
        self.limits = dict(limits)
        self.layers = tuple(limits)
        self._kernels = {path: self._layers[path].weight for path in limits}
        self._rounded: dict[tuple[str, Precision], paddle.Tensor] = {}
        self._modes: dict[str, Precision] = {}
        #: id of a layer -> how often it was used in int8 since :meth:`set`, or in the present forward.
        self.uses: dict[int, int] = {}
        self._half: tuple[str, ...] = ()
        self._handles: list[Any] = [network.register_forward_pre_hook(self._begin)]
        for path, layer in self._layers.items():
            if path in limits:
                self._handles.append(layer.register_forward_pre_hook(self._input_of(path)))
            if not layer.sublayers():
                self._handles.append(layer.register_forward_post_hook(self._result_of(path)))

    def modes(self, precision: Mapping[str, Precision]) -> dict[str, Precision]:
        """Layer -> precision that it gets.

        Args:
            precision: path of a layer or of a part of the network -> precision; the longest path that fits a layer
                decides, and what nothing fits runs in float32. Layers that have no int8 kernel stay in float32.
        """
        found = {path: _precision_of(path, precision) for path in self._layers}
        return {path: mode if mode != "int8" or path in self.limits else "fp32" for path, mode in found.items()}

    def set(self, precision: Mapping[str, Precision]) -> None:
        """Switch layers; see :meth:`modes`."""
        self.uses.clear()
        self._modes = self.modes(precision)
        for path in self.limits:
            self._layers[path]._parameters["weight"] = self._weight(path, self._modes[path])

    def int8_result(self, path: str, use: int, x: paddle.Tensor) -> paddle.Tensor:
        """What one layer would give in int8 for an input, whatever its precision is now.

        Args:
            path: of the layer.
            use: which use of the layer in a forward this is.
            x: its input.
        """
        layer = self._layers[path]
        before = layer._parameters["weight"]
        layer._parameters["weight"] = self._weight(path, "int8")
        try:
            return layer.forward(fake_int8(x, self._limit(path, use, x)))
        finally:
            layer._parameters["weight"] = before

    def layer(self, path: str) -> nn.Layer:
        """The layer of a path."""
        return self._layers[path]

    def close(self) -> None:
        """Take the hooks off and put the weights back."""
        self.set({})
        for handle in self._handles:
            handle.remove()

    def _weight(self, path: str, mode: Precision) -> paddle.Tensor:
        original = self._kernels[path]
        if mode == "fp32":
            return original
        if (path, mode) not in self._rounded:
            values = original.numpy()
            rounded = (
                int8_weight(values, channel_axis(self._layers[path]))
                if mode == "int8"
                else values.astype(np.float16).astype(np.float32)
            )
            self._rounded[path, mode] = paddle.to_tensor(rounded)
        return self._rounded[path, mode]

    def _limit(self, path: str, use: int, x: paddle.Tensor) -> float:
        known = self.limits[path]
        limit = float(x.abs().max()) if known is None else known[use % len(known)]
        return limit or 1.0

    def _begin(self, _layer: nn.Layer, _inputs: Any) -> None:
        self.uses.clear()

    def _input_of(self, path: str) -> Callable[..., Any]:
        def hook(layer: nn.Layer, inputs: tuple[paddle.Tensor, ...]) -> tuple[paddle.Tensor, ...] | None:
            mode = self._modes.get(path, "fp32")
            if mode == "fp32":
                return None
            x = inputs[0]
            if mode == "fp16":
                return (_half(x), *inputs[1:])
            use = self.uses.get(id(layer), 0)
            self.uses[id(layer)] = use + 1
            return (fake_int8(x, self._limit(path, use, x)), *inputs[1:])

        return hook

    def _result_of(self, path: str) -> Callable[..., Any]:
        def hook(_layer: nn.Layer, _inputs: Any, output: Any) -> Any:
            if self._modes.get(path) == "fp16" and isinstance(output, paddle.Tensor):
                return _half(output)
            return None

        return hook


@contextmanager
def simulated(
    network: nn.Layer, limits: Mapping[str, Sequence[float] | None], precision: Mapping[str, Precision]
) -> Iterator[Simulation]:
    """Inside, the network runs with that precision; see :class:`Simulation`."""
    simulation = Simulation(network, limits)
    try:
        simulation.set(precision)
        yield simulation
    finally:
        simulation.close()


def _half(x: paddle.Tensor) -> paddle.Tensor:
    return x.astype("float16").astype("float32") if x.dtype == paddle.float32 else x


def _precision_of(path: str, precision: Mapping[str, Precision]) -> Precision:
    best = max((key for key in precision if path == key or path.startswith(key + ".")), key=len, default=None)
    return "fp32" if best is None else precision[best]
