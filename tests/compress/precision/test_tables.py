import itertools

import pytest

from mobileseg.compress.precision.combine import CombinationRow
from mobileseg.compress.precision.tables import (
    Calibration,
    calibrations_table,
    combinations_table,
    effects,
    effects_table,
)

LOST = {"fp32": 0.0, "fp16": 0.001, "int8": 0.01}
SAVED = {"fp32": 0.0, "int8": 3.0}


def rows(precisions):
    """Two components, the second of which loses and saves twice as much."""
    found = []
    for first, second in itertools.product(precisions, repeat=2):
        timed = "fp16" not in (first, second)
        latency = 20.0 - SAVED[first] - 2 * SAVED[second] if timed else None
        scores = {"mIoU": 0.7 - LOST[first] - 2 * LOST[second], "accuracy": 0.9}
        found.append(CombinationRow((first, second), scores, latency))
    return found


def test_combinations_are_marked_and_signed():
    table = rows(["fp32", "fp16", "int8"])
    lines = combinations_table(["stem", "head"], table, table[-1]).markdown().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["stem", "head", "", "mIoU", "accuracy", "lost", "ms on ONNX Runtime"]
    assert len({len(line) for line in lines}) == 1
    assert cells[2] == ["fp32", "fp32", "", "0.7000", "0.9000", "+0.0000", "20.0"]
    assert cells[3][-1] == "device only"
    assert cells[-1] == ["int8", "int8", "best under the budget", "0.6700", "0.9000", "+0.0300", "11.0"]


def test_a_loss_of_nearly_nothing_has_no_minus():
    table = [CombinationRow(("fp32",), {"mIoU": 0.7}, 1.0), CombinationRow(("int8",), {"mIoU": 0.70001}, 1.0)]
    assert "-0.0000" not in combinations_table(["network"], table, None).markdown()


def test_an_effect_is_the_mean_over_what_surrounds_the_component():
    found = {(one.component, one.precision): one for one in effects(["stem", "head"], rows(["fp32", "fp16", "int8"]))}
    assert set(found) == set(itertools.product(["stem", "head"], ["fp16", "int8"]))
    for (component, precision), one in found.items():
        factor = 2 if component == "head" else 1
        assert one.pairs == 3
        assert one.scores["mIoU"] == pytest.approx(-factor * LOST[precision])
        assert one.scores["accuracy"] == pytest.approx(0.0)
        if precision == "int8":  # timed beside fp32 and int8, not beside fp16
            assert one.latency_ms == pytest.approx(-factor * SAVED["int8"])
        else:
            assert one.latency_ms is None
    text = effects_table(list(found.values())).markdown()
    assert "-0.0200" in text
    assert "-6.0" in text
    assert "device only" in text


def test_greedy_rows_pair_what_there_is():
    some = [row for row in rows(["fp32", "int8"]) if row.combination != ("int8", "fp32")]
    (one,) = effects(["stem", "head"], some[:2])
    assert (one.component, one.precision, one.pairs) == ("head", "int8", 1)
    by_name = {one.component: one for one in effects(["stem", "head"], some)}
    assert by_name["head"].pairs == 1  # int8-int8 has no twin with a float head
    assert by_name["stem"].pairs == 1
    assert effects(["stem", "head"], some[:1]) == []


def test_calibrations_show_every_metric():
    table = [Calibration(0, {"int8": {"AP": 0.1, "AP50": 0.2}}), Calibration(5, {"int8": {"AP": 0.3, "AP50": 0.4}})]
    lines = calibrations_table(table).markdown().splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")][1:] == ["int8: AP", "int8: AP50"]
    assert "0 (range of each input)" in lines[2]
    assert [cell.strip() for cell in lines[3].strip("|").split("|")] == ["5", "0.3000", "0.4000"]
