"""How much the units of a network matter."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from paddle import nn

from mobileseg.compress.groups import Groups
from mobileseg.compress.norms import find_norms

Scores = dict[int, float]


def norm_scores(network: nn.Layer, groups: Groups) -> Scores:
    """Scale factors of the batch norms (network slimming, Liu et al. 2017, arXiv:1708.06519).

    A unit that several layers write into (a sum) matters as much as the largest of their scale factors. A depthwise
    convolution that alone reads a layer's output scales the same channels once more: the smaller factor counts.

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
    return {unit: min(score, limits.get(unit, np.inf)) for unit, score in written.items()}


def random_scores(units: Iterable[int], seed: int) -> Scores:
    """Random scores: the baseline that any score must beat."""
    ordered = sorted(units)
    return dict(zip(ordered, np.random.default_rng(seed).random(len(ordered)).tolist(), strict=True))
