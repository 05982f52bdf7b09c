import itertools

import pytest

from mobileseg.compress.precision.combine import CombinationRow, Combinations, best_row, with_latency
from mobileseg.compress.precision.scores import OutOfTime
from mobileseg.scores import Scores

COST = {"fp32": 0.0, "fp16": 0.001, "int8": 0.01}


class Scored:
    """Scores that are known: the head costs ten times what the others do."""

    dataset = range(4)

    def __init__(self, late=False):
        self.late, self.asked = late, 0

    def scores(self, variants, time_limit=None):
        if self.late and time_limit is not None:
            raise OutOfTime(1e6)
        self.asked += len(variants)
        lost = [sum(COST[mode] * (10 if path == "h" else 1) for path, mode in one.items()) for one in variants]
        return [Scores("mIoU", 0.7 - loss, {"accuracy": 0.9}, {}) for loss in lost]


def combinations(scored, said, precisions=("fp32", "fp16", "int8")):
    return Combinations(scored, {"backbone": ("b",), "fpn": ("f",), "head": ("h",)}, precisions, said.append)


def test_all_combinations_are_scored():
    scored = Scored()
    rows, complete = combinations(scored, []).search(10.0, 0.05)
    assert complete
    assert {row.combination for row in rows} == set(itertools.product(COST, repeat=3))
    assert rows[0].name == "fp32-fp32-fp32"
    assert rows[0].score == pytest.approx(0.7)


def test_without_time_the_search_is_greedy_and_says_so():
    scored, said = Scored(late=True), []
    rows, complete = combinations(scored, said).search(5.0, 0.05)
    assert not complete
    assert any("greedy" in line and "27 combinations" in line for line in said)
    names = [row.name for row in rows]
    assert names[0] == "fp32-fp32-fp32"
    assert len(names) == len(set(names)) == scored.asked < 27
    assert "int8-int8-fp32" in names  # the cheap components went first


def test_the_best_one_fits_the_budget():
    rows, _ = combinations(Scored(), [], ("fp32", "int8")).search(10.0, 0.05)
    latency = {row.combination: 100.0 - 20 * row.combination.count("int8") for row in rows}
    rows = with_latency(rows, latency)
    assert best_row(rows, max_drop=0.05, latency_ms=None).name == "int8-int8-fp32"
    assert best_row(rows, max_drop=0.2, latency_ms=None).name == "int8-int8-int8"
    assert best_row(rows, max_drop=0.0, latency_ms=80.0).combination.count("int8") == 1
    assert best_row(rows, max_drop=0.0, latency_ms=10.0) is None


def test_float16_is_not_chosen_here():
    rows = [
        CombinationRow(("fp32",), {"mIoU": 0.7}, 10.0),
        CombinationRow(("fp16",), {"mIoU": 0.7}),
        CombinationRow(("int8",), {"mIoU": 0.6}, 5.0),
    ]
    assert best_row(rows, max_drop=0.01, latency_ms=None) == rows[0]
