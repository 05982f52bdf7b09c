"""Where to clip a tensor so that its distribution in int8 stays close to that in float32.

The method is that of S. Migacz, "8-bit inference with TensorRT", GTC 2017, in the form that Paddle computes it.
PaddleSlim calls Paddle's own function, which is written with lists and takes seconds per tensor, minutes per network;
:mod:`mobileseg.compress.precision.slim` puts this one in its place.
"""

from __future__ import annotations

import numpy as np


def kl_threshold(histogram: np.ndarray, bin_width: float, bits: int) -> float:
    """The limit with the least Kullback-Leibler divergence between what is clipped there and what int8 makes of it.

    Args:
        histogram: [bins], how many absolute values fell into each bin from 0 upwards.
        bin_width: width of a bin.
        bits: of the integers.

    Returns:
        Largest absolute value to represent: the middle of a bin in the upper half of the histogram, or below it when
        that half is empty.
    """
    bins, levels = len(histogram), 2 ** (bits - 1) - 1
    first = (bins - 1) // 2
    counts = histogram.astype(np.float64)
    total = counts.sum()
    below = np.cumsum(counts)
    best, least = 0, np.inf
    for end in range(first, bins):
        if end == 0 or counts[end - 1] == 0:
            continue
        clipped = counts[:end].copy()
        clipped[-1] += total - below[end - 1]
        # As many groups of bins as there are levels; the last one takes the remainder as well. A level's count spreads
        # evenly over the bins of its group that are not empty.
        starts = np.arange(levels) * (end // levels)
        filled = clipped > 0
        sums, spread = np.add.reduceat(counts[:end], starts), np.add.reduceat(filled, starts, dtype=np.int64)
        share = np.divide(sums, spread, out=np.zeros(levels), where=spread > 0)
        quantised = np.repeat(share, np.diff(starts, append=end))[filled]
        clipped = clipped[filled]
        divergence = clipped @ (np.log(quantised.sum() * clipped) - np.log(total * quantised)) / total
        if divergence < least:
            best, least = end, divergence
    if best == 0:
        occupied = np.flatnonzero(counts[: first + 1])
        best = int(occupied[-1]) if len(occupied) else 0
    return (best + 0.5) * bin_width
