"""What can be removed from a network: channels, in units that can only go together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from paddle import nn

from mobileseg.compress.channels.labels import LOCKED
from mobileseg.compress.channels.modes import evaluating
from mobileseg.compress.channels.propagate import Axis, Weighted, propagate
from mobileseg.compress.channels.trace import TRACE_SIZE, NetworkTrace, trace
from mobileseg.nn.graphs import run_once
from mobileseg.nn.width import shapes_of

Tracer = Callable[[nn.Layer, tuple[int, int]], NetworkTrace]


@dataclass(frozen=True)
class ChannelSet:
    """Units of one kind: the channels of a layer, or of all layers that share them.

    Attributes:
        units: labels of the units.
        members: (parameter, axis) in which every unit has entries.
    """

    units: tuple[int, ...]
    members: tuple[Axis, ...]

    @property
    def name(self) -> str:
        """The first kernel that gives these channels."""
        kernels = [name for name, axis in self.members if name.endswith(".weight") and axis == 0]
        return min(kernels or [name for name, _ in self.members], key=len).removesuffix(".weight")


class Groups:
    """All units of a network.

    Args:
        graph: the traced network.
        shapes: of its parameters and buffers, by name in the state dict.
        deployed: kernels that run outside of training too; None: all.
    """

    def __init__(
        self, graph: NetworkTrace, shapes: dict[str, list[int]], deployed: frozenset[str] | None = None
    ) -> None:
        found = propagate(graph)
        self.graph, self.shapes = graph, shapes
        self.deployed = frozenset(found.layers) if deployed is None else deployed
        self.layers: dict[str, Weighted] = found.layers
        #: (parameter, axis) -> unit of every entry along the axis, `LOCKED` where it must stay.
        self.units: dict[Axis, np.ndarray] = {key: found.labels.roots(array) for key, array in found.axes.items()}

    @cached_property
    def entries(self) -> dict[int, dict[Axis, np.ndarray]]:
        """Unit -> its entries along each (parameter, axis)."""
        found: dict[int, dict[Axis, np.ndarray]] = {}
        for key, units in self.units.items():
            order = np.argsort(units, kind="stable")
            values, starts = np.unique(units[order], return_index=True)
            for unit, indices in zip(values.tolist(), np.split(order, starts[1:]), strict=True):
                if unit != LOCKED:
                    found.setdefault(unit, {})[key] = indices
        return found

    @cached_property
    def sets(self) -> list[ChannelSet]:
        """The units, by the parameters that they are part of."""
        found: dict[frozenset[Axis], list[int]] = {}
        for unit, entries in self.entries.items():
            found.setdefault(frozenset(entries), []).append(unit)
        return [ChannelSet(tuple(sorted(units)), tuple(sorted(members))) for members, units in found.items()]

    def kept(self, removed: Iterable[int]) -> dict[Axis, np.ndarray]:
        """(parameter, axis) -> indices that remain, where not all do."""
        stays = self.stays(removed)
        indices = {key: np.flatnonzero(stays[units]) for key, units in self.units.items()}
        return {key: remaining for key, remaining in indices.items() if len(remaining) < len(self.units[key])}

    def stays(self, removed: Iterable[int]) -> np.ndarray:
        """Whether the unit of a label remains, bool by label."""
        stays = np.ones(1 + max((int(units.max()) for units in self.units.values()), default=0), dtype=bool)
        stays[list(removed)] = False
        return stays

    def shapes_without(self, removed: Iterable[int]) -> dict[str, list[int]]:
        """Shapes of all parameters and buffers when the units are removed."""
        shapes = {name: list(shape) for name, shape in self.shapes.items()}
        for (name, axis), remaining in self.kept(removed).items():
            shapes[name][axis] = len(remaining)
        return shapes

    def macs(self, removed: Iterable[int] = ()) -> int:
        """Multiply-adds for an image of the traced size when the units are removed; what only training runs is free."""
        shapes = self.shapes_without(removed)
        layers = ((name, layer) for name, layer in self.layers.items() if name in self.deployed)
        return sum(int(np.prod(shapes[name])) * layer.uses for name, layer in layers)


def find_groups(network: nn.Layer, size: tuple[int, int] = TRACE_SIZE, tracer: Tracer = trace) -> Groups:
    """Find what can be removed from a network.

    Args:
        network: any network; it is not changed.
        size: height and width of the image that it is traced with.
        tracer: what traces it; :func:`mobileseg.compress.channels.trace_cache.cached_trace` keeps what it found.

    Raises:
        CompressionError: the network cannot be traced.
    """
    return Groups(tracer(network, size), shapes_of(network), _deployed(network, size))


def _deployed(network: nn.Layer, size: tuple[int, int]) -> frozenset[str]:
    """Kernels that run in evaluation mode."""
    ran: set[str] = set()

    def recorder(name: str) -> Callable[..., None]:
        return lambda *_: ran.add(f"{name}.weight")

    handles = [layer.register_forward_pre_hook(recorder(name)) for name, layer in network.named_sublayers()]
    try:
        with evaluating(network):
            run_once(network, size)
    finally:
        for handle in handles:
            handle.remove()
    return frozenset(ran)
