"""The parts of a network that can have a precision of their own: what its ``components()`` names."""

from __future__ import annotations

from typing import Any

from paddle import nn


def components_of(network: Any) -> dict[str, nn.Layer]:
    """Component -> layer; empty for a network that names none."""
    return dict(network.components()) if hasattr(network, "components") else {}


def component_paths(network: Any) -> dict[str, tuple[str, ...]]:
    """Component -> dotted paths of its layers in the network: one, or those of a list that is made for the purpose."""
    paths = {id(layer): path for path, layer in network.named_sublayers()}

    def of(layer: nn.Layer) -> tuple[str, ...]:
        if id(layer) in paths:
            return (paths[id(layer)],)
        return tuple(path for member in layer.children() for path in of(member))

    return {name: of(layer) for name, layer in components_of(network).items()}


def is_inside(layer: str, paths: tuple[str, ...]) -> bool:
    """Whether a layer is one of the layers of these paths, or part of one."""
    return any(layer == path or layer.startswith(f"{path}.") for path in paths)
