"""Which units to remove: the lowest scores of the whole network, within limits per layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mobileseg.compress.channels.groups import ChannelSet, Groups
from mobileseg.compress.pruning.score import Scores
from mobileseg.errors import CompressionError


@dataclass(frozen=True)
class Limits:
    """What must remain of each set of units.

    Attributes:
        least: units that remain at least.
        share: share of the units that remains at least.
        multiple: the number that remains is rounded up to a multiple of this, for kernels that work on blocks.
    """

    least: int = 8
    share: float = 0.1
    multiple: int = 8

    def rounded(self, wanted: int, size: int) -> int:
        """How many of ``size`` units remain where the scores would leave ``wanted``."""
        needed = max(wanted, self.least, math.ceil(self.share * size))
        return min(size, math.ceil(needed / self.multiple) * self.multiple)


def select_by_share(groups: Groups, scores: Scores, share: float, limits: Limits | None = None) -> set[int]:
    """Remove the ``share`` of all scored units that has the lowest scores.

    Raises:
        CompressionError: the share is not between 0 and 1, no unit has a score, or the limits leave more than that.
    """
    _check(scores, share, "share of the channels")
    limits = limits or Limits()
    if (most := len(_lowest(groups, scores, len(scores), limits)) / len(scores)) < share:
        raise CompressionError(
            f"at most {most:.1%} of the channels can be removed, {share:.1%} were asked for: layers would be left "
            "empty, or narrower than the limits allow",
            remedy="ask for less, or let layers become narrower (least, share, multiple)",
        )
    return _lowest(groups, scores, round(share * len(scores)), limits)


def select_by_macs(groups: Groups, scores: Scores, share: float, limits: Limits | None = None) -> set[int]:
    """Remove units of the lowest scores until ``share`` of the multiply-adds is gone.

    Raises:
        CompressionError: the share is not between 0 and 1, no unit has a score, or the limits leave more than that.
    """
    _check(scores, share, "share of the multiply-adds")
    limits = limits or Limits()
    whole = groups.macs()
    goal = (1 - share) * whole
    low, high = 0, len(scores)
    removed = _lowest(groups, scores, high, limits)
    if (least := groups.macs(removed)) > goal:
        raise CompressionError(
            f"at most {1 - least / whole:.1%} of the multiply-adds can be removed, {share:.1%} were asked for",
            remedy="ask for less, or let layers become narrower (least, share, multiple)",
        )
    while low < high:
        middle = (low + high) // 2
        chosen = _lowest(groups, scores, middle, limits)
        if groups.macs(chosen) <= goal:
            removed, high = chosen, middle
        else:
            low = middle + 1
    return removed


def random_like(groups: Groups, removed: set[int], seed: int) -> set[int]:
    """As many units of every set as in ``removed``, drawn at random: the same widths, other channels."""
    generator = np.random.default_rng(seed)
    chosen: set[int] = set()
    for channels in groups.sets:
        count = len(removed.intersection(channels.units))
        chosen.update(generator.choice(channels.units, count, replace=False).tolist())
    return chosen


def _check(scores: Scores, share: float, what: str) -> None:
    if not 0 < share < 1:
        raise CompressionError(f"the {what} to remove must lie between 0 and 1, got {share}")
    if not scores:
        raise CompressionError(
            "no channel of this network can be judged: none is scaled by a batch norm",
            remedy="prune by the norms of the kernels instead",
        )


def _lowest(groups: Groups, scores: Scores, count: int, limits: Limits) -> set[int]:
    """The ``count`` units of the lowest scores, less what the limits keep."""
    order = sorted(scores, key=lambda unit: (scores[unit], unit))
    candidates = set(order[:count])
    removed: set[int] = set()
    for channels in groups.sets:
        removed |= _within(channels, candidates, scores, limits)
    return removed


def _within(channels: ChannelSet, candidates: set[int], scores: Scores, limits: Limits) -> set[int]:
    doomed = sorted(candidates.intersection(channels.units), key=lambda unit: (scores[unit], unit))
    size = len(channels.units)
    remaining = limits.rounded(size - len(doomed), size)
    return set(doomed[: size - remaining])
