"""Networks narrower than their constructors make them: the channel plan.

A plan names every parameter and buffer whose shape differs from what the constructor gives, with its shape. Layers
read their widths from their weights, so a network to which a plan is applied computes with the new widths
everywhere, and loads weights of these shapes strictly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import paddle
from paddle import nn

from mobileseg.errors import WeightsError

Plan = Mapping[str, Sequence[int]]

_CONVOLUTIONS = (nn.Conv2D, nn.Conv2DTranspose)


def apply_plan(network: nn.Layer, plan: Plan) -> None:
    """Shrink the named parameters; what remains of them are their first entries along each axis.

    Args:
        network: as its constructor made it; changed in place.
        plan: name in the state dict -> shape.

    Raises:
        WeightsError: the plan is of another network; the network is unchanged.
    """
    state = network.state_dict()
    problems = []
    for name, shape in plan.items():
        own = list(state[name].shape) if name in state else None
        if own is None:
            problems.append(f"{name}: not in the network")
        elif len(own) != len(shape) or not all(1 <= new <= old for new, old in zip(shape, own, strict=True)):
            problems.append(f"{name}: {list(shape)} in the plan, {own} in the network")
    if problems:
        more = f"\n  and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise WeightsError(
            f"the channel plan is of another network, {len(problems)} of its {len(plan)} entries do not fit:\n  "
            + "\n  ".join(problems[:5])
            + more,
            remedy="use the model section that was pruned (config.yml of its run), and the plan only with it",
        )
    set_arrays(
        network,
        {name: state[name].numpy()[tuple(slice(0, length) for length in shape)] for name, shape in plan.items()},
    )


def set_arrays(network: nn.Layer, arrays: Mapping[str, np.ndarray]) -> None:
    """Give parameters and buffers new values of any shape, and make the layers that hold them fit.

    Args:
        network: changed in place; the parameters stay the same objects.
        arrays: name in the state dict -> value.
    """
    state = network.state_dict()
    depthwise = {name: layer for name, layer in network.named_sublayers() if is_depthwise(layer)}
    for name, array in arrays.items():
        tensor = state[name]
        value = np.ascontiguousarray(array, dtype=tensor.numpy().dtype)
        place = tensor.place
        device = paddle.CUDAPlace(place.gpu_device_id()) if place.is_gpu_place() else paddle.CPUPlace()
        tensor.value().get_tensor().set(value, device)
    for name, layer in network.named_sublayers():
        _fit(layer, name in depthwise)


def is_depthwise(layer: nn.Layer) -> bool:
    """Whether every output of a convolution reads one channel alone."""
    return isinstance(layer, _CONVOLUTIONS) and layer._groups > 1 and layer._groups == layer._in_channels


def plan_between(before: Mapping[str, Sequence[int]], after: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """The plan that takes the shapes ``before`` to the shapes ``after``, both by name in the state dict."""
    return {name: list(shape) for name, shape in after.items() if list(shape) != list(before[name])}


def shapes_of(network: nn.Layer) -> dict[str, list[int]]:
    """Name in the state dict -> shape."""
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


def parameter_count(network: nn.Layer) -> int:
    """Trained numbers; the running statistics of norms are not among them."""
    statistics = ("_mean", "_variance")
    return sum(math.prod(t.shape) for name, t in network.named_parameters() if not name.endswith(statistics))


def _fit(layer: nn.Layer, depthwise: bool) -> None:
    """What layers remember of their widths."""
    if isinstance(layer, _CONVOLUTIONS):
        shape = layer.weight.shape
        if depthwise:
            multiplier = layer._out_channels // layer._in_channels
            layer._in_channels = layer._groups = int(shape[0]) // multiplier
            layer._out_channels = int(shape[0])
        elif isinstance(layer, nn.Conv2DTranspose):
            layer._in_channels, layer._out_channels = int(shape[0]), int(shape[1]) * layer._groups
        else:
            layer._in_channels, layer._out_channels = int(shape[1]) * layer._groups, int(shape[0])
    elif isinstance(layer, nn.BatchNorm2D):
        layer._num_features = int(layer.weight.shape[0])
    elif isinstance(layer, nn.Linear):
        layer.in_features, layer.out_features = (int(length) for length in layer.weight.shape)
