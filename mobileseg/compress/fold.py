"""Batch norms folded into the layers in front of them, for networks that will not be trained any more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import paddle
from paddle import nn

from mobileseg.compress.channels.modes import evaluating
from mobileseg.compress.channels.norms import Norm, find_norms
from mobileseg.compress.channels.trace import TRACE_SIZE, NetworkTrace, trace
from mobileseg.errors import CompressionError
from mobileseg.nn.width import set_arrays

TOLERANCE = 1e-4
"""Of the largest value. Rounding alone has moved a network that warps along a flow by 2.4e-5."""


@dataclass(frozen=True)
class Folded:
    """What :func:`fold_norms` did.

    Attributes:
        layers: kernels that took a norm in.
        remaining: norms that stay, because what they normalise is not the output of one layer alone.
        difference: largest difference between the outputs before and after, over the largest output.
    """

    layers: tuple[str, ...]
    remaining: tuple[str, ...]
    difference: float


def fold_norms(network: nn.Layer, size: tuple[int, int] = TRACE_SIZE) -> Folded:
    """Fold every batch norm into the convolution, transposed convolution or linear layer in front of it, in place.

    With the scale s = gamma / sqrt(variance + eps) of a norm, ``W x + b`` becomes ``(s W) x + s (b - mean) + beta``.
    The network is put into evaluation mode; its state dict has other names afterwards.

    Args:
        network: any network.
        size: height and width of the image that it is traced and checked with.

    Raises:
        CompressionError: the outputs moved by more than 1e-4 of the largest: something uses a folded layer elsewhere.
    """
    network.eval()
    graph = trace(network, size, training=False)
    image = paddle.to_tensor(np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32))
    before = _outputs(network, image)
    kinds = _layer_kinds(graph)
    layers, remaining = [], []
    for norm in find_norms(graph):
        if len(norm.kernels) == 1 and norm.kernels[0] in kinds:
            _fold(network, norm, kinds[norm.kernels[0]])
            layers.append(norm.kernels[0])
        else:
            remaining.append(norm.scale)
    difference = max(
        float(np.abs(new - old).max() / max(np.abs(old).max(), 1e-12))
        for old, new in zip(before, _outputs(network, image), strict=True)
    )
    if difference > TOLERANCE:
        raise CompressionError(
            f"folding the batch norms moved the outputs by {difference:.1e} of the largest, more than {TOLERANCE:.0e}",
            remedy="keep the norms of this network; engines fold what they can by themselves",
        )
    return Folded(tuple(layers), tuple(remaining), difference)


def _layer_kinds(graph: NetworkTrace) -> dict[str, str]:
    """Kernel -> type of the operator that uses it."""
    kinds: dict[str, str] = {}
    for op in graph.ops:
        slot = "Filter" if "Filter" in op.inputs else "Y" if op.type == "matmul_v2" else ""
        name = graph.parameters.get(op.inputs[slot][0]) if slot else None
        if name is not None:
            kinds[name] = op.type
    return kinds


def _fold(network: nn.Layer, norm: Norm, kind: str) -> None:
    state = {name: tensor.numpy().astype(np.float64) for name, tensor in network.state_dict().items()}
    scale = state[norm.scale] / np.sqrt(state[norm.variance] + norm.epsilon)
    kernel = norm.kernels[0]
    path = kernel.removesuffix(".weight")
    layer = dict(network.named_sublayers())[path]
    bias = state.get(f"{path}.bias", np.zeros_like(scale))
    weight = state[kernel]
    if (kind == "conv2d_transpose" and layer._groups == 1) or kind == "matmul_v2":
        weight = weight * scale.reshape(1, -1, *[1] * (weight.ndim - 2))
    else:
        weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    if layer.bias is None:
        layer.bias = layer.create_parameter([len(scale)], is_bias=True)
    set_arrays(network, {kernel: weight, f"{path}.bias": (bias - state[norm.mean]) * scale + state[norm.shift]})
    parent, _, name = norm.scale.removesuffix(".weight").rpartition(".")
    owner = dict(network.named_sublayers(include_self=True))[parent]
    owner._sub_layers[name] = nn.Identity()


def _outputs(network: nn.Layer, image: paddle.Tensor) -> list[np.ndarray]:
    with evaluating(network):
        return [tensor.numpy() for tensor in paddle.utils.flatten(network(image))]
