"""The assignment against SciPy's, and against all permutations where it must be the only one."""

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from mobileseg.tracking.assignment import MAX_COST, assign

SIZES = [(1, 1), (1, 5), (5, 1), (4, 4), (7, 3), (3, 7), (30, 30), (30, 45), (60, 20), (100, 100)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("top", [2, 50, 1000, MAX_COST])
def test_the_total_is_that_of_scipy(size: tuple[int, int], top: int) -> None:
    rng = np.random.default_rng(hash((size, top)) % 2**32)
    for _ in range(5):
        costs = rng.integers(-top if top > 2 else 0, top, size)
        rows, columns = assign(costs)
        expected = costs[linear_sum_assignment(costs)]
        assert costs[rows, columns].sum() == expected.sum()
        assert len(rows) == min(size) == len(set(columns.tolist()))
        assert (np.diff(rows) > 0).all()


def test_the_pairs_are_those_of_all_permutations_where_one_is_best() -> None:
    rng = np.random.default_rng(3)
    unique = 0
    for _ in range(60):
        costs = rng.integers(0, 30, (5, 5))
        totals = {order: int(costs[np.arange(5), order].sum()) for order in permutations(range(5))}
        best = [order for order, total in totals.items() if total == min(totals.values())]
        found = tuple(assign(costs)[1].tolist())
        assert found in best
        unique += len(best) == 1
        if len(best) == 1:
            assert (linear_sum_assignment(costs)[1] == found).all()
    assert unique > 20


@pytest.mark.parametrize("size", [(4, 4), (3, 6), (6, 3)])
def test_of_equal_costs_the_lowest_indices_are_paired(size: tuple[int, int]) -> None:
    rows, columns = assign(np.zeros(size, np.int64))
    assert rows.tolist() == columns.tolist() == list(range(min(size)))


@pytest.mark.parametrize("size", [(0, 0), (0, 4), (4, 0)])
def test_nothing_is_assigned_to_nothing(size: tuple[int, int]) -> None:
    rows, columns = assign(np.zeros(size, np.int64))
    assert rows.shape == columns.shape == (0,)
    assert rows.dtype == columns.dtype == np.int64


def test_small_and_unsigned_types_do_not_overflow() -> None:
    costs = np.random.default_rng(1).integers(0, 256, (20, 25)).astype(np.uint8)
    rows, columns = assign(costs)
    assert costs[rows, columns].astype(int).sum() == costs[linear_sum_assignment(costs)].astype(int).sum()


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        (np.zeros(3, np.int64), r"integers \[n, m\]"),
        (np.zeros((2, 2)), "float64"),
        (np.full((2, 2), MAX_COST + 1), "within"),
        (np.array([[-MAX_COST - 1]]), "within"),
        (np.full((1, 1), 2**64 - 1, np.uint64), "within"),
    ],
)
def test_other_costs_are_refused(costs: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        assign(costs)
