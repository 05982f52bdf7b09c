"""Channels judged by what the loss would change without them, to first order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn

from mobileseg.compress.channels.groups import Groups
from mobileseg.compress.channels.norms import find_norms
from mobileseg.compress.pruning.score import Scores
from mobileseg.errors import CompressionError


def taylor_scores(
    network: nn.Layer, groups: Groups, criterion: Any, batches: Iterable[Mapping[str, paddle.Tensor]]
) -> Scores:
    """Mean over batches of (gamma dL/dgamma + beta dL/dbeta)^2 (Molchanov et al. 2019, arXiv:1906.10771).

    The sum in brackets is the change of the loss to first order when a norm puts out zeros. Of several norms that
    scale a unit the one where that is largest counts.

    Args:
        network: with trained weights; its norms keep their statistics, its parameters do not change.
        groups: of the network.
        criterion: ``(outputs, targets) -> {name: loss}``.
        batches: ``image`` and the targets of the criterion.

    Returns:
        Unit -> score, for units that a norm scales.

    Raises:
        CompressionError: there was no batch.
    """
    norms = find_norms(groups.graph)
    parameters = dict(network.named_parameters())
    frozen = {name: parameter.stop_gradient for name, parameter in parameters.items()}
    sums: dict[int, dict[str, float]] = {}
    count = 0
    network.train()
    for layer in network.sublayers():
        if isinstance(layer, nn.BatchNorm2D):
            layer.eval()
    try:
        for norm in norms:
            parameters[norm.scale].stop_gradient = parameters[norm.shift].stop_gradient = False
        for batch in batches:
            count += 1
            losses = criterion(network(batch["image"]), batch)
            paddle.add_n(list(losses.values())).backward()
            for norm in norms:
                change = _product(parameters[norm.scale]) + _product(parameters[norm.shift])
                units = groups.units[norm.scale, 0]
                totals = np.zeros(int(units.max(initial=0)) + 1)
                np.add.at(totals, units[units > 0], change[units > 0])
                for unit in np.unique(units).tolist():
                    if unit in groups.entries:
                        own = sums.setdefault(unit, {})
                        own[norm.scale] = own.get(norm.scale, 0.0) + float(totals[unit]) ** 2
            network.clear_gradients()
    finally:
        network.clear_gradients()
        for name, flag in frozen.items():
            parameters[name].stop_gradient = flag
        network.eval()
    if not count:
        raise CompressionError("taylor scores need training images", remedy="name a train_dataset")
    return {unit: max(values.values()) / count for unit, values in sums.items()}


def _product(parameter: paddle.Tensor) -> np.ndarray:
    if parameter.grad is None:
        return np.zeros(parameter.shape)
    value: np.ndarray = (parameter * parameter.grad).numpy().astype(np.float64)
    return value
