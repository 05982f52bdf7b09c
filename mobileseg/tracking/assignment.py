"""Optimal assignment on integer costs (NumPy): what is paired follows from the integers alone, ties included.

Shortest augmenting paths with dual variables, one row after the other (Kuhn 1955, Munkres 1957; the form of Jonker and
Volgenant 1987). Of columns at an equal distance the one of the lowest index is taken, so the C++ program
(`deploy/lite/src/assignment.cc`), which takes the same steps, finds the same pairs where several are optimal.
"""

from __future__ import annotations

import numpy as np

MAX_COST = 1 << 40
"""Of a pair, either sign; sums of thousands of pairs still add up in 64 bits."""

_FAR = np.int64(1 << 62)


def assign(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows and columns with the least total cost; as many pairs as the shorter side has places.

    Args:
        costs: integers [n, m], at most `MAX_COST` on either side of 0.

    Returns:
        Rows, ascending, and the column of each: int64 [min(n, m)] both.

    Raises:
        ValueError: not two axes, not integers, or a cost beyond the limit.
    """
    if costs.ndim != 2 or costs.dtype.kind not in "iu":
        raise ValueError(f"costs must be integers [n, m], got {costs.dtype} {list(costs.shape)}")
    if costs.size and (costs.max() > MAX_COST or costs.min() < -MAX_COST):
        raise ValueError(f"costs must be within {MAX_COST:,} of 0, got {costs.min():,} to {costs.max():,}")
    costs = costs.astype(np.int64)
    if len(costs) <= costs.shape[1]:
        return np.arange(len(costs)), _columns_of_rows(costs)
    rows = _columns_of_rows(np.ascontiguousarray(costs.T))
    order = np.argsort(rows)
    return rows[order], order


def _columns_of_rows(costs: np.ndarray) -> np.ndarray:
    """The column of every row, int64 [n], of costs [n, m] with n <= m."""
    count, width = costs.shape
    row_prices, column_prices = np.zeros(count, np.int64), np.zeros(width, np.int64)
    owners = np.full(width, -1, np.int64)  # the row that has the column
    for start in range(count):
        distances, before = np.full(width, _FAR), np.full(width, -1, np.int64)
        visited = np.zeros(width, np.bool_)
        row, column = start, -1
        while row >= 0:
            reduced = costs[row] - row_prices[row] - column_prices
            closer = (reduced < distances) & ~visited
            distances[closer] = reduced[closer]
            before[closer] = column
            column = int(np.where(visited, _FAR, distances).argmin())
            step = distances[column]
            # The prices of all that the search has reached move, so that the edge to `column` costs nothing.
            row_prices[start] += step
            row_prices[owners[visited]] += step
            column_prices[visited] -= step
            distances[~visited] -= step
            visited[column] = True
            row = int(owners[column])
        while column >= 0:  # hand the columns of the path on, up to the row that it began with
            previous = int(before[column])
            owners[column] = owners[previous] if previous >= 0 else start
            column = previous
    found = np.empty(count, np.int64)
    taken = np.flatnonzero(owners >= 0)
    found[owners[taken]] = taken
    return found
