"""int8 in ONNX: quantise and dequantise nodes around the kernels of a float graph.

The ranges are those that PaddleSlim's calibration found for the Paddle graph. ONNX Runtime joins dequantise, kernel and
quantise into one int8 kernel where everything that goes in and comes out is quantised, so the results of kernels are
quantised too, which the fake-quantised Paddle graph does not do; but not for readers that stay float: what leaves the
int8 part of a network, or answers, is not rounded. Activations are uint8: -limit..limit around 128 in steps of
limit/127, as in the Paddle graph; what cannot be negative is 0..limit in steps of limit/255, because a ReLU in front of
such a tensor vanishes into the rounding.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.compress.precision.ranges import KERNELS, LEVELS, GraphRanges
from mobileseg.errors import CompressionError
from mobileseg.export.conversion.pdmodel import Operator, Program

_ONNX_KERNELS = ("Conv", "ConvTranspose")
_RELUS = {"Relu": np.inf, "Clip": None}
_PADDLE_ACTIVATIONS = ("relu", "relu6")
_LARGEST_BIAS = 2.0**30  # of int32, with room for the sum


@dataclass(frozen=True)
class _Scale:
    """step and zero point of one uint8 tensor."""

    step: float
    zero: int


def write_qdq(model: Path, program: Program, ranges: GraphRanges, layers: Collection[str], out: Path) -> int:
    """Write an int8 graph beside a float one.

    Args:
        model: float ONNX graph, converted from ``program``.
        program: the Paddle graph that was calibrated.
        ranges: what the calibration found in it.
        layers: paths of the layers to run in int8.
        out: file to write.

    Returns:
        Number of kernels in int8.

    Raises:
        CompressionError: the kernels of the two graphs are not the same.
    """
    import onnx

    graph = onnx.load(str(model))
    writer = _Writer(graph, program, ranges, layers)
    count = writer.rewrite()
    onnx.checker.check_model(graph)
    onnx.save(graph, str(out))
    return count


class _Writer:
    """Rewrites one graph in place."""

    def __init__(self, model: Any, program: Program, ranges: GraphRanges, layers: Collection[str]) -> None:
        self.model, self.graph = model, model.graph
        self.limits, self.largest = ranges.limits, ranges.largest
        self.wanted = set(layers)
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        self.readers: dict[str, list[Any]] = {}
        self.producer: dict[str, Any] = {}
        for node in self.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
            for name in node.output:
                self.producer[name] = node
        self.operators = _by_weight(program)
        self.consumers = _consumers(program)
        self.scales: dict[str, _Scale] = {}
        self.chosen: set[int] = set()
        self.leads: dict[int, bool] = {}

    def rewrite(self) -> int:
        """Add all nodes; returns the number of kernels in int8."""
        kernels = self._kernels()
        self.chosen = {id(node) for node, _ in kernels}
        for node, op in kernels:
            self._want(node.input[0], op.inputs["Input"][0])
        for node, op in kernels:
            tensor, variable = self._behind(node, op)
            if tensor not in self.scales and variable in self.limits and self._integer_readers(tensor):
                self._want(tensor, variable)
        rounded = {name: self._integer_readers(name) for name in self.scales}
        added: list[Any] = []
        for node, _ in kernels:
            added += self._weights(node)
        for name, scale in self.scales.items():
            added += self._round(name, scale, rounded[name])
        self._insert(added)
        self._drop_unused()
        return len(kernels)

    def _kernels(self) -> list[tuple[Any, Operator]]:
        """The kernels to run in int8, with the operators that they come from."""
        left = {weight: list(ops) for weight, ops in self.operators.items()}
        found = []
        for node in self.graph.node:
            if node.op_type not in _ONNX_KERNELS:
                continue
            ops = left.get(node.input[1])
            if not ops:
                raise CompressionError(
                    f"the ONNX graph has a kernel '{node.input[1]}' that the Paddle graph does not have"
                )
            op = ops.pop(0)
            if op.origin.layer in self.wanted:
                found.append((node, op))
        return found

    def _integer_readers(self, tensor: str) -> list[Any]:
        """Readers of a tensor whose results go into kernels in int8; the others read what was not rounded."""
        return [node for node in self.readers.get(tensor, []) if self._leads_to_int8(node)]

    def _leads_to_int8(self, node: Any) -> bool:
        known = self.leads.get(id(node))
        if known is None:
            if node.op_type in _ONNX_KERNELS:
                known = id(node) in self.chosen
            else:
                known = any(
                    self._leads_to_int8(reader) for name in node.output for reader in self.readers.get(name, [])
                )
            self.leads[id(node)] = known
        return known

    def _behind(self, node: Any, op: Operator) -> tuple[str, str]:
        """What a kernel gives after bias and activation: tensor of the ONNX graph, variable of the Paddle graph."""
        tensor, variable = node.output[0], op.outputs["Output"][0]
        readers = self.readers.get(tensor, [])
        if len(readers) == 1 and readers[0].op_type in _RELUS:
            tensor = readers[0].output[0]
        following = self._only_consumer(variable)
        if following is not None and following.type == "elementwise_add" and _is_bias(following, self.operators):
            variable = following.outputs["Out"][0]
            following = self._only_consumer(variable)
        if following is not None and following.type in _PADDLE_ACTIVATIONS:
            variable = following.outputs["Out"][0]
        return tensor, variable

    def _only_consumer(self, variable: str) -> Operator | None:
        found = self.consumers.get(variable, [])
        return found[0] if len(found) == 1 else None

    def _want(self, tensor: str, variable: str) -> None:
        # Calibration may clip what a kernel reads. What sums and others read too is the stream that all layers write
        # to and read from; clipped there, a value would be lost for all of them.
        clipped = all(node.op_type in _ONNX_KERNELS for node in self._integer_readers(tensor))
        limit = max((self.limits if clipped else self.largest)[variable], 1e-8)
        if self._not_negative(tensor):
            self.scales[tensor] = _Scale(limit / 255, 0)
        else:
            self.scales[tensor] = _Scale(limit / LEVELS, 128)

    def _not_negative(self, tensor: str) -> bool:
        node = self.producer.get(tensor)
        if node is None:
            return False
        if node.op_type == "Relu" or node.op_type == "Sigmoid":
            return True
        if node.op_type == "Clip" and len(node.input) > 1 and node.input[1] in self.constants:
            return float(self._array(node.input[1])) >= 0
        return False

    def _array(self, name: str) -> np.ndarray:
        from onnx import numpy_helper

        return np.asarray(numpy_helper.to_array(self.constants[name]))

    def _add_constant(self, name: str, value: np.ndarray) -> str:
        from onnx import numpy_helper

        if name not in self.constants:
            tensor = numpy_helper.from_array(np.asarray(value, order="C"), name)
            self.graph.initializer.append(tensor)
            self.constants[name] = tensor
        return name

    def _weights(self, node: Any) -> list[Any]:
        """Weights as int8 and the bias as int32, each with a dequantising node."""
        from onnx import helper

        scale = self.scales[node.input[0]]
        axis = 1 if node.op_type == "ConvTranspose" else 0
        name = node.input[1]
        weight = self._array(name)
        others = tuple(index for index in range(weight.ndim) if index != axis)
        largest = np.abs(weight).max(axis=others)
        step = (np.where(largest > 0, largest, 1.0) / LEVELS).astype(np.float32)
        bias = self._array(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        if bias is not None and len(bias) == len(step):  # weights that are tiny beside their bias: it must fit int32
            step = np.maximum(step, np.abs(bias) / np.float32(scale.step * _LARGEST_BIAS)).astype(np.float32)
        shape = [-1 if index == axis else 1 for index in range(weight.ndim)]
        rounded = np.clip(np.rint(weight / step.reshape(shape)), -LEVELS, LEVELS).astype(np.int8)
        own = node.output[0]
        made = []
        inputs = [
            self._add_constant(f"{name}.int8", rounded),
            self._add_constant(f"{name}.step", step),
            self._add_constant(f"{name}.zero", np.zeros(len(step), np.int8)),
        ]
        made.append(helper.make_node("DequantizeLinear", inputs, [f"{own}.weight"], f"{own}.weight", axis=axis))
        node.input[1] = f"{own}.weight"
        if bias is not None and len(bias) == len(step):
            unit = (scale.step * step).astype(np.float32)
            value = np.clip(np.rint(bias.astype(np.float64) / unit), -_LARGEST_BIAS, _LARGEST_BIAS).astype(np.int32)
            inputs = [
                self._add_constant(f"{own}.bias.int32", value),
                self._add_constant(f"{own}.bias.step", unit),
                self._add_constant(f"{own}.bias.zero", np.zeros(len(step), np.int32)),
            ]
            made.append(helper.make_node("DequantizeLinear", inputs, [f"{own}.bias"], f"{own}.bias", axis=0))
            node.input[2] = f"{own}.bias"
        return made

    def _round(self, name: str, scale: _Scale, readers: Iterable[Any]) -> list[Any]:
        """Quantise and dequantise a tensor for some that read it."""
        from onnx import helper

        step = self._add_constant(f"{name}.step", np.array(scale.step, np.float32))
        zero = self._add_constant(f"{name}.zero", np.array(scale.zero, np.uint8))
        for reader in readers:
            for position, given in enumerate(reader.input):
                if given == name:
                    reader.input[position] = f"{name}.float"
        return [
            helper.make_node("QuantizeLinear", [name, step, zero], [f"{name}.uint8"], f"{name}.uint8"),
            helper.make_node("DequantizeLinear", [f"{name}.uint8", step, zero], [f"{name}.float"], f"{name}.float"),
        ]

    def _insert(self, added: Iterable[Any]) -> None:
        """Put the new nodes where all that they read is known."""
        waiting = list(added)
        known = {value.name for value in self.graph.input} | set(self.constants) | {""}
        ordered: list[Any] = []

        def settle() -> None:
            ready = [node for node in waiting if set(node.input) <= known]
            while ready:
                for node in ready:
                    ordered.append(node)
                    known.update(node.output)
                    waiting.remove(node)
                ready = [node for node in waiting if set(node.input) <= known]

        settle()
        for node in list(self.graph.node):
            ordered.append(node)
            known.update(node.output)
            if any(name in self.scales for name in node.output):
                settle()
        del self.graph.node[:]
        self.graph.node.extend(ordered)

    def _drop_unused(self) -> None:
        """Take the float weights out that nothing reads any more."""
        read = {name for node in self.graph.node for name in node.input} | {value.name for value in self.graph.output}
        for index in reversed(range(len(self.graph.initializer))):
            if self.graph.initializer[index].name not in read:
                del self.graph.initializer[index]
        del self.graph.value_info[:]


def _by_weight(program: Program) -> dict[str, list[Operator]]:
    found: dict[str, list[Operator]] = {}
    for op in program.operators():
        if op.type in KERNELS:
            found.setdefault(op.inputs["Filter"][0], []).append(op)
    return found


def _consumers(program: Program) -> dict[str, list[Operator]]:
    found: dict[str, list[Operator]] = {}
    for op in program.operators():
        for names in op.inputs.values():
            for name in names:
                found.setdefault(name, []).append(op)
    return found


def _is_bias(op: Operator, kernels: dict[str, list[Operator]]) -> bool:
    """Whether an addition adds the bias of the kernel in front of it (both are of one layer)."""
    return any(
        kernel.outputs["Output"][0] == op.inputs["X"][0] and kernel.origin.layer == op.origin.layer
        for ops in kernels.values()
        for kernel in ops
    )
