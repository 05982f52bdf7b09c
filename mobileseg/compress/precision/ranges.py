"""The ranges of activations that a calibration found, and which layer reads which of them.

One calibration serves everything: the simulation in memory, the Paddle graph, its conversions, and the ONNX graph.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from mobileseg.export.conversion.pdmodel import Program

KERNELS = ("conv2d", "depthwise_conv2d", "conv2d_transpose")
"""Operators that run in int8: those for which Paddle Lite has int8 kernels on ARM and ONNX Runtime on x86."""

LEVELS = 127
"""Largest int8 value; ranges are symmetric, -127..127."""


@dataclass(frozen=True)
class Call:
    """One use of a layer's kernel in the graph; a layer that several levels share has one per level.

    Attributes:
        weight: variable with the kernel.
        input: variable that the kernel reads.
        output: variable that it writes, before bias and activation.
    """

    weight: str
    input: str
    output: str


@dataclass(frozen=True)
class GraphRanges:
    """What calibration found in one graph.

    Attributes:
        limits: variable -> largest absolute value that int8 represents.
        largest: variable -> largest absolute value in all images.
        calls: layer path -> its uses, in the order in which they run.
    """

    limits: dict[str, float]
    largest: dict[str, float]
    calls: dict[str, tuple[Call, ...]]

    def renamed(self, names: Mapping[str, str]) -> GraphRanges:
        """The same ranges for a trace that names some variables otherwise (old name -> new name)."""
        limits, largest = (
            {names.get(name, name): value for name, value in found.items()} for found in (self.limits, self.largest)
        )
        calls = {
            layer: tuple(replace(call, output=names.get(call.output, call.output)) for call in uses)
            for layer, uses in self.calls.items()
        }
        return GraphRanges(limits, largest, calls)


@dataclass(frozen=True)
class Ranges:
    """What calibration found.

    Attributes:
        graphs: name -> ranges of its variables; every layer with a kernel is in one graph alone.
        algorithm: 'avg', 'KL', 'hist' or 'mse'.
        images: how many images, or streams, were seen.
    """

    graphs: dict[str, GraphRanges]
    algorithm: str
    images: int

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of the layers that can run in int8, in the order of the graphs."""
        return tuple(layer for graph in self.graphs.values() for layer in graph.calls)

    def inputs_of(self, layer: str) -> tuple[float, ...]:
        """The range of the input at every use of a layer."""
        graph = next(graph for graph in self.graphs.values() if layer in graph.calls)
        return tuple(graph.limits[call.input] for call in graph.calls[layer])

    def to_dict(self) -> dict[str, dict[str, dict[str, float]]]:
        """Plain JSON values: graph -> 'limits' and 'largest' of its variables."""
        return {name: {"limits": graph.limits, "largest": graph.largest} for name, graph in self.graphs.items()}


def find_calls(program: Program) -> dict[str, tuple[Call, ...]]:
    """Layer path -> uses of its kernel.

    Args:
        program: a traced graph with the origins of its operators.
    """
    parameters = program.parameters()
    found: dict[str, list[Call]] = {}
    for op in program.operators():
        if op.type in KERNELS and op.inputs["Filter"][0] in parameters:
            call = Call(op.inputs["Filter"][0], op.inputs["Input"][0], op.outputs["Output"][0])
            found.setdefault(op.origin.layer, []).append(call)
    return {layer: tuple(calls) for layer, calls in found.items()}


def float_weights(program: Program, layers: Collection[str]) -> list[str]:
    """Variables with the kernels of all layers but these."""
    kernels = [op for op in program.operators() if op.type in KERNELS]
    rounded = {op.inputs["Filter"][0] for op in kernels if op.origin.layer in set(layers)}
    return sorted({op.inputs["Filter"][0] for op in kernels} - rounded)
