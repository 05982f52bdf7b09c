"""How much the units of a network matter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np
from paddle import nn

from mobileseg.compress.channels.groups import Groups
from mobileseg.compress.channels.norms import find_norms
from mobileseg.errors import DependencyError

Scores = dict[int, float]


def norm_scores(network: nn.Layer, groups: Groups, *, relative: bool = False) -> Scores:
    """Scale factors of the batch norms (network slimming, Liu et al. 2017, arXiv:1708.06519).

    A unit that several layers write into (a sum) matters as much as the largest of their scale factors. A depthwise
    convolution that alone reads a layer's output scales the same channels once more: the smaller factor counts.

    Args:
        network: of the groups.
        groups: from :func:`mobileseg.compress.channels.groups.find_groups`.
        relative: divide the scores by the mean of those of the same layers. Scales of different layers have a common
            measure only after long training with sparsity.

    Returns:
        Unit -> score, for units that a norm scales; the others have no scale factor to judge them by.
    """
    state = network.state_dict()
    written: Scores = {}
    limits: Scores = {}
    for norm in find_norms(groups.graph):
        if norm.depthwise and not norm.in_series:
            continue  # a branch: what it scales goes on elsewhere too
        gammas = np.abs(state[norm.scale].numpy())
        units = groups.units[norm.scale, 0]
        for unit in np.unique(units).tolist():
            if unit not in groups.entries:
                continue
            largest = float(gammas[units == unit].max())
            if norm.in_series:
                limits[unit] = min(largest, limits.get(unit, np.inf))
            else:
                written[unit] = max(largest, written.get(unit, 0.0))
    scores = {unit: min(score, limits.get(unit, np.inf)) for unit, score in written.items()}
    return _relative(scores, groups) if relative else scores


def _relative(scores: Scores, groups: Groups) -> Scores:
    found: Scores = {}
    for channels in groups.sets:
        own = [unit for unit in channels.units if unit in scores]
        mean = float(np.mean([scores[unit] for unit in own])) if own else 1.0
        found |= {unit: scores[unit] / max(mean, 1e-12) for unit in own}
    return found


def filter_scores(network: nn.Layer, groups: Groups, method: str) -> Scores:
    """Scores of the kernels that put the units out, by PaddleSlim's criteria.

    'l1' is the sum of absolute weights of a filter (Li et al. 2017, arXiv:1608.08710), 'fpgm' the sum of its distances
    to the other filters of its layer, small for filters that others can stand in for (He et al. 2019,
    arXiv:1811.00250). PaddleSlim computes them per layer; so that one threshold can serve all layers they are divided
    by the layer's mean, and a unit that several layers put out matters as much as in the one where it matters most.

    Raises:
        DependencyError: PaddleSlim is not installed.
    """
    criterion = _criterion(method)
    state = network.state_dict()
    scores: Scores = {}
    for name, layer in groups.layers.items():
        if layer.in_axis is None or (name, layer.out_axis) not in groups.units:
            continue  # a depthwise filter belongs to the channel that another layer puts out
        kernel = np.moveaxis(state[name].numpy(), layer.out_axis, 0)
        if kernel.ndim == 2:
            kernel = kernel[:, :, None, None]
        values = criterion(np.ascontiguousarray(kernel, np.float32))
        values = values / max(float(values.mean()), 1e-12)
        units = groups.units[name, layer.out_axis]
        for unit, value in zip(units.tolist(), values.tolist(), strict=True):
            if unit in groups.entries:
                scores[unit] = max(float(value), scores.get(unit, 0.0))
    return scores


def _criterion(method: str) -> Callable[[np.ndarray], np.ndarray]:
    """A criterion of PaddleSlim for one kernel, [outputs, inputs, h, w] -> [outputs]."""
    try:
        from paddleslim.prune.criterion import CRITERION
    except ImportError as error:
        raise DependencyError(
            "filter scores are PaddleSlim's, which is not installed", remedy="pip install paddleslim"
        ) from error
    compute = CRITERION.get({"l1": "l1_norm", "fpgm": "geometry_median"}[method])

    def scores(kernel: np.ndarray) -> np.ndarray:
        found = compute(_Layer(), {"kernel": kernel}, None)
        return np.asarray(found["kernel"][0], np.float64)

    return scores


class _Layer:
    """One layer as PaddleSlim's criteria want their groups: the kernel's axis 0 is judged."""

    name, axis = "kernel", 0
    master: ClassVar[dict[str, Any]] = {"name": name, "axis": axis}

    def all_pruning_details(self) -> list[_Layer]:
        return [self]


def random_scores(units: Iterable[int], seed: int) -> Scores:
    """Random scores: the baseline that any score must beat."""
    ordered = sorted(units)
    return dict(zip(ordered, np.random.default_rng(seed).random(len(ordered)).tolist(), strict=True))
