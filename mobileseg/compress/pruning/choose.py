"""From the section ``compress.prune`` to the channels that go."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from paddle import nn

from mobileseg.compress.channels.groups import ChannelSet, Groups
from mobileseg.compress.channels.norms import find_norms
from mobileseg.compress.pruning.score import Scores, filter_scores, norm_scores
from mobileseg.compress.pruning.select import Limits, select_by_macs, select_by_share
from mobileseg.errors import CompressionError
from mobileseg.nn.width import set_arrays


def choose(network: nn.Layer, groups: Groups, settings: Any, taylor: Callable[[], Scores] | None = None) -> set[int]:
    """The units that go.

    Args:
        network: of the groups.
        groups: from :func:`mobileseg.compress.channels.groups.find_groups`.
        settings: section ``compress.prune``.
        taylor: gives the scores of method 'taylor', which need data.

    Raises:
        CompressionError: nothing says how much is to go, or it cannot be done, or nothing would go.
    """
    if (settings.macs is None) == (settings.channels is None):
        raise CompressionError(
            "compress.prune must say how much is to go: either macs or channels",
            remedy="-o compress.prune.macs=0.4 (share of the multiply-adds)",
        )
    if settings.method == "taylor" and taylor is not None:
        scores = taylor()
    else:
        scores = scores_without_data(network, groups, settings)
    scores = allowed(groups, scores, settings.only)
    limits = Limits(settings.limits.least, settings.limits.share, settings.limits.multiple)
    if settings.macs is not None:
        removed = select_by_macs(groups, scores, settings.macs, limits)
    else:
        removed = select_by_share(groups, scores, settings.channels, limits)
    if not removed:
        raise CompressionError(
            "the network would stay as it is: what is to go is less than one step of every layer",
            remedy="ask for more, or lower compress.prune.limits (least, share, multiple)",
        )
    return removed


def scores_without_data(network: nn.Layer, groups: Groups, settings: Any) -> Scores:
    """Unit -> how much it matters by the weights alone.

    Raises:
        CompressionError: the method of ``compress.prune`` needs data.
    """
    if settings.method == "taylor":
        raise CompressionError("taylor scores need training images", remedy="-o compress.prune.method=norm")
    if settings.method == "norm":
        return norm_scores(network, groups, relative=settings.relative)
    return filter_scores(network, groups, settings.method)


def allowed(groups: Groups, scores: Scores, patterns: list[str] | None) -> Scores:
    """The scores of units that layers of these names put out; all without patterns.

    Raises:
        CompressionError: a pattern matches no layer whose outputs can be removed.
    """
    if patterns is None:
        return scores
    judged = [channels for channels in groups.sets if any(unit in scores for unit in channels.units)]
    names = {id(channels): producers(groups, channels) for channels in judged}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for found in names.values() for name in found):
            known = sorted(name for found in names.values() for name in found)
            raise CompressionError(
                f"compress.prune.only: no layer whose outputs can be removed matches '{pattern}'",
                remedy=f"names look like {', '.join(known[:3])}",
            )
    chosen = [
        channels
        for channels in judged
        if any(fnmatchcase(name, pattern) for name in names[id(channels)] for pattern in patterns)
    ]
    return {unit: scores[unit] for channels in chosen for unit in channels.units if unit in scores}


def producers(groups: Groups, channels: ChannelSet) -> list[str]:
    """Names of the layers that put these channels out."""
    members = [(name, axis) for name, axis in channels.members if name in groups.layers]
    return [name.removesuffix(".weight") for name, axis in members if axis == groups.layers[name].out_axis]


def widths(groups: Groups, removed: set[int]) -> dict[str, tuple[int, int]]:
    """Layer -> its outputs before and after, for all layers that lose some."""
    after = groups.shapes_without(removed)
    found = {}
    for name, layer in groups.layers.items():
        pair = groups.shapes[name][layer.out_axis], after[name][layer.out_axis]
        if pair[0] != pair[1]:
            found[name.removesuffix(".weight")] = pair
    return found


def draw_scales(network: nn.Layer, groups: Groups, seed: int) -> None:
    """Give all norms random scales between 0 and 1: those of an untrained network are all equal and say nothing."""
    generator = np.random.default_rng(seed)
    names = [norm.scale for norm in find_norms(groups.graph)]
    set_arrays(network, {name: generator.random(groups.shapes[name][0]).astype(np.float32) for name in names})
