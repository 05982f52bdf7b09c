"""The batch norms of a traced network, and the convolutions in front of them."""

from __future__ import annotations

from dataclasses import dataclass

from mobileseg.compress.channels.propagate import CONVOLUTIONS, PER_ELEMENT, RESHAPES
from mobileseg.compress.channels.trace import NetworkTrace, Op

_MOVES = {*RESHAPES, "concat", "transpose2"}


@dataclass(frozen=True)
class Norm:
    """One batch norm, by the names of its parameters.

    Attributes:
        scale: gamma.
        shift: beta.
        mean: running mean.
        variance: running variance.
        epsilon: added to the variance.
        kernels: kernels of the layers of which it normalises the output, and nothing else reads it.
        depthwise: the layer in front is a depthwise convolution.
        in_series: what that depthwise convolution reads is the output of another norm that nothing else reads, so
            that both norms scale the same channels one after the other.
    """

    scale: str
    shift: str
    mean: str
    variance: str
    epsilon: float
    kernels: tuple[str, ...]
    depthwise: bool
    in_series: bool


def find_norms(graph: NetworkTrace) -> list[Norm]:
    """The batch norms in the order in which they run; one that runs several times is listed once."""
    found: dict[str, Norm] = {}
    for op in graph.ops:
        if op.type != "batch_norm":
            continue
        names = {slot: graph.parameters[op.input(slot)] for slot in ("Scale", "Bias", "Mean", "Variance")}
        layers = _layers_before(graph, op.input("X"))
        first = layers[0] if layers else None
        depthwise = first is not None and _groups(first) > 1
        found[names["Scale"]] = Norm(
            names["Scale"],
            names["Bias"],
            names["Mean"],
            names["Variance"],
            float(op.attrs["epsilon"]),
            tuple(dict.fromkeys(graph.parameters[_kernel(layer)] for layer in layers)),
            depthwise,
            depthwise and first is not None and _follows_norm(graph, first.input("Input")),
        )
    return list(found.values())


def _layers_before(graph: NetworkTrace, variable: str) -> list[Op]:
    """The convolutions and linear layers whose output this is, moved about and with a bias at most."""
    op = graph.writers.get(variable)
    if op is None or graph.sole_reader(variable) is None:
        return []
    if op.type in CONVOLUTIONS or op.type == "matmul_v2":
        return [op] if _kernel(op) in graph.parameters else []
    if op.type == "elementwise_add" and _is_parameter(graph, op.input("Y")):
        return _layers_before(graph, op.input("X"))
    if op.type in _MOVES:
        return [layer for name in op.inputs["X"] for layer in _layers_before(graph, name)]
    return []


def _is_parameter(graph: NetworkTrace, variable: str) -> bool:
    """Whether a variable is a parameter, reshaped at most."""
    while variable not in graph.parameters:
        op = graph.writers.get(variable)
        if op is None or op.type not in RESHAPES:
            return False
        variable = op.input("X")
    return True


def _follows_norm(graph: NetworkTrace, variable: str) -> bool:
    while graph.sole_reader(variable) is not None:
        op = graph.writers.get(variable)
        if op is None:
            return False
        if op.type == "batch_norm":
            return True
        if op.type not in PER_ELEMENT:
            return False
        variable = op.input("X")
    return False


def _kernel(op: Op) -> str:
    return op.input("Filter") if op.type in CONVOLUTIONS else op.input("Y")


def _groups(op: Op) -> int:
    return int(op.attrs.get("groups", 1))
