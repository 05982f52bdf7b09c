"""What a network costs: parameters, and multiply-adds counted while it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import paddle
from paddle import nn

from mobileseg.nn.graphs import run_once

#: The row of what belongs to no component.
REST = "training only"
_STATISTICS = ("_mean", "_variance")


@dataclass(frozen=True)
class Cost:
    """Size of a part of a network.

    Attributes:
        parameters: trained numbers; the running statistics of norms are not among them.
        macs: multiply-adds of its convolutions and linear layers, every graph run once.
    """

    parameters: int
    macs: int


def measure(network: nn.Layer, height: int, width: int) -> dict[str, Cost]:
    """Cost of each component of a network for one image, run once in evaluation mode.

    Args:
        network: a layer; without ``components()`` it is one component.
        height: of the image.
        width: of the image.

    Returns:
        A cost for each component in the order of ``components()``, and for ``REST``, the parameters that no
        component holds.
    """
    parts: dict[str, nn.Layer] = network.components() if hasattr(network, "components") else {"network": network}
    macs = dict.fromkeys((*parts, REST), 0)
    hooks = []
    for name, layer in [*parts.items(), (REST, network)]:
        inside = layer.sublayers(include_self=True)
        if name == REST:
            known = {id(sub) for part in parts.values() for sub in part.sublayers(include_self=True)}
            inside = [sub for sub in inside if id(sub) not in known]
        for sub in inside:
            if isinstance(sub, nn.Conv2D | nn.Conv2DTranspose | nn.Linear):
                hooks.append(sub.register_forward_post_hook(_counter(macs, name)))
    modes = [(layer, layer.training) for layer in network.sublayers(include_self=True)]
    network.eval()
    try:
        with paddle.no_grad():
            run_once(network, (height, width))
    finally:
        for hook in hooks:
            hook.remove()
        for layer, training in modes:
            layer.training = training
    return {name: Cost(_parameters(network, parts, name), count) for name, count in macs.items()}


def total(costs: dict[str, Cost]) -> Cost:
    """The costs of all components together, without ``REST``."""
    deployed = [cost for name, cost in costs.items() if name != REST]
    return Cost(sum(cost.parameters for cost in deployed), sum(cost.macs for cost in deployed))


def _counter(macs: dict[str, int], name: str) -> Any:
    def count(layer: nn.Layer, inputs: Any, output: paddle.Tensor) -> None:
        """Every weight is used once for each pixel of the output, of a transposed convolution of the input."""
        shape = inputs[0].shape if isinstance(layer, nn.Conv2DTranspose) else output.shape
        pixels = math.prod(shape[:-1]) if isinstance(layer, nn.Linear) else shape[0] * shape[2] * shape[3]
        macs[name] += int(layer.weight.size) * int(pixels)

    return count


def _parameters(network: nn.Layer, parts: dict[str, nn.Layer], name: str) -> int:
    if name != REST:
        return sum(_learned(parts[name]).values())
    known = {identity for part in parts.values() for identity in _learned(part)}
    return sum(size for identity, size in _learned(network).items() if identity not in known)


def _learned(layer: nn.Layer) -> dict[int, int]:
    """Sizes of what is learned; Paddle counts the running statistics of norms among the parameters."""
    return {
        id(parameter): int(parameter.size)
        for name, parameter in layer.named_parameters()
        if not name.endswith(_STATISTICS)
    }
