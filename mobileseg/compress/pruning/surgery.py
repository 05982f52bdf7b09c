"""Taking units out of a network, with or without what they contributed on average."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import nn

from mobileseg.compress.channels.groups import Groups
from mobileseg.compress.channels.modes import evaluating
from mobileseg.compress.channels.norms import find_norms
from mobileseg.compress.channels.trace import TRACE_SIZE
from mobileseg.errors import CompressionError
from mobileseg.nn.graphs import run_once
from mobileseg.nn.width import plan_between, set_arrays, shapes_of


@dataclass(frozen=True)
class Pruned:
    """What :func:`prune` did.

    Attributes:
        plan: name in the state dict -> shape, for :func:`mobileseg.nn.width.apply_plan`.
        folded: kernels whose layers now add what the removed inputs contributed.
        not_folded: kernels that lost inputs and have neither bias nor norm to take the contribution.
    """

    plan: dict[str, list[int]]
    folded: tuple[str, ...]
    not_folded: tuple[str, ...]


def prune(
    network: nn.Layer, groups: Groups, removed: Iterable[int], *, images: Sequence[Any] | None = None, fold: bool = True
) -> Pruned:
    """Remove units from a network, in place.

    A removed channel is not zero: behind a norm of scale 0 it still is the constant that the shift and the
    activations make of it. With ``fold`` the layers that read it get what it contributed, as a change of their bias or
    of the running mean of the norm behind them. For kernels larger than 1x1 that is exact except at the border.

    Args:
        network: the network of ``groups``; its parameters stay the same objects.
        groups: from :func:`mobileseg.compress.channels.groups.find_groups`.
        removed: units.
        images: float32 [N, 3, H, W] each; the contributions are then the means over them, for channels that are not
            quite constant. None takes the constants behind scales of 0.
        fold: whether to fold the contributions.

    Raises:
        CompressionError: the narrower network does not run: it computes widths by other rules than its weights.
    """
    gone = set(removed)
    if shapes_of(network) != groups.shapes:
        raise CompressionError("the network is not the one that the groups were found in", remedy="find them again")
    folded, not_folded = _fold(network, groups, gone, images) if fold else ((), ())
    before, state = shapes_of(network), network.state_dict()
    arrays: dict[str, np.ndarray] = {}
    for (name, axis), indices in groups.kept(gone).items():
        if not len(indices):
            raise CompressionError(f"nothing of {name} would remain along its axis {axis}", remedy="remove less")
        arrays[name] = np.take(arrays.get(name, state[name].numpy()), indices, axis)
    set_arrays(network, arrays)
    _try(network)
    return Pruned(plan_between(before, shapes_of(network)), folded, not_folded)


def _try(network: nn.Layer) -> None:
    with evaluating(network):
        try:
            run_once(network, TRACE_SIZE)
        except (ValueError, RuntimeError) as error:
            raise CompressionError(
                f"the narrower network does not run: {str(error).strip().splitlines()[-1]}",
                remedy="let its forward pass read widths from the weights instead of computing them",
            ) from error


def _fold(
    network: nn.Layer, groups: Groups, removed: set[int], images: Sequence[Any] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    stays = groups.stays(removed)
    lost = {
        name: np.flatnonzero(~stays[groups.units[name, layer.in_axis]])
        for name, layer in groups.layers.items()
        if layer.in_axis is not None and (name, layer.in_axis) in groups.units
    }
    lost = {name: indices for name, indices in lost.items() if len(indices)}
    means = _input_means(network, groups, removed, list(lost), images)
    state = network.state_dict()
    norm_behind = {kernel: norm for norm in find_norms(groups.graph) for kernel in norm.kernels}
    folded, not_folded = [], []
    arrays: dict[str, np.ndarray] = {}
    for name, indices in lost.items():
        if name not in means:
            continue  # runs in training only
        kernel = np.moveaxis(state[name].numpy(), groups.layers[name].out_axis, 0).astype(np.float64)
        kernel = kernel.reshape(*kernel.shape[:2], -1).sum(axis=2)
        contribution = kernel[:, indices] @ means[name][indices]
        bias = f"{name.removesuffix('weight')}bias"
        if bias in state:
            target, sign = bias, 1.0
        elif name in norm_behind:
            target, sign = norm_behind[name].mean, -1.0
        else:
            not_folded.append(name)
            continue
        arrays[target] = arrays.get(target, state[target].numpy().astype(np.float64)) + sign * contribution
        folded.append(name)
    set_arrays(network, arrays)
    return tuple(folded), tuple(not_folded)


def _input_means(
    network: nn.Layer, groups: Groups, removed: set[int], kernels: Sequence[str], images: Sequence[Any] | None
) -> dict[str, np.ndarray]:
    """Mean of every input channel of the layers, float64 [channels], over pixels, images and uses."""
    sums: dict[str, list[np.ndarray]] = {name: [] for name in kernels}
    layers = dict(network.named_sublayers())
    handles = []

    def recorder(name: str) -> Any:
        def record(_layer: nn.Layer, inputs: tuple[paddle.Tensor, ...]) -> None:
            x = inputs[0].numpy().astype(np.float64)
            axis = 1 if x.ndim == 4 else x.ndim - 1
            sums[name].append(x.mean(axis=tuple(other for other in range(x.ndim) if other != axis)))

        return record

    for name in kernels:
        handles.append(layers[name.removesuffix(".weight")].register_forward_pre_hook(recorder(name)))
    try:
        with evaluating(network), _scales_of_zero(network, groups, removed, active=images is None):
            for image in [None] if images is None else map(paddle.to_tensor, images):
                run_once(network, (128, 128) if image is None else tuple(image.shape[2:]), image)
    finally:
        for handle in handles:
            handle.remove()
    return {name: np.mean(found, axis=0) for name, found in sums.items() if found}


@contextmanager
def _scales_of_zero(network: nn.Layer, groups: Groups, removed: set[int], active: bool) -> Iterator[None]:
    """Inside, the norms scale the removed units by 0."""
    state = network.state_dict()
    scales = {norm.scale: state[norm.scale].numpy() for norm in find_norms(groups.graph)} if active else {}
    stays = groups.stays(removed)
    zeroed = {name: np.where(stays[groups.units[name, 0]], array, 0.0) for name, array in scales.items()}
    set_arrays(network, zeroed)
    try:
        yield
    finally:
        set_arrays(network, scales)
