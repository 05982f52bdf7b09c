"""The rule that says when two sets of detections are the same, on detections made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from mobileseg.instance.golden import InstanceItem, disagreements, load, pair, steadied
from mobileseg.structures import InstanceMasks, InstanceResult

SIZE = (60, 80)


def result(*detections):
    """From (x1, y1, x2, y2, score, class); masks fill the boxes."""
    boxes = np.array([row[:4] for row in detections], np.float32).reshape(-1, 4)
    masks = np.zeros((len(detections), *SIZE), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
        mask[y1:y2, x1:x2] = True
    scores = np.array([row[4] for row in detections], np.float32)
    classes = np.array([row[5] for row in detections], np.int64)
    return InstanceResult(boxes, scores, classes, InstanceMasks.from_array(masks))


A, B = (5, 5, 30, 40, 0.9, 0), (40, 10, 70, 50, 0.6, 2)


def item_of(found, **changes):
    rng = np.random.default_rng(0)
    raw = {
        "loc": rng.normal(size=(1, 300, 4)),
        "conf": rng.uniform(size=(1, 300, 4)),
        "mask": rng.normal(size=(1, 300, 8)),
        "proto": rng.normal(size=(1, 8, 15, 20)),
    }
    outputs = {name: value.astype(np.float32) for name, value in raw.items()}
    values = {
        "image": rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8),
        "input": rng.normal(size=(1, 3, 60, 80)).astype(np.float32),
        "outputs": outputs,
        "scales": {name: float(value.std()) for name, value in outputs.items()} | {"conf": 0.3},
        "result": found,
        "sure": np.ones(len(found), bool),
        "unsteady": np.zeros(len(found), np.int64),
        "other": (np.zeros((0, 4), np.float32), np.zeros(0, np.int64)),
        "candidates": rng.permutation(300)[:50],
    }
    return InstanceItem(**(values | changes))


def test_the_same_in_another_order():
    assert disagreements(item_of(result(A, B)), result(B, A)) == (2, 2, [])


def test_nothing_equals_nothing():
    assert disagreements(item_of(result()), result()) == (0, 0, [])


def test_missing():
    again, total, problems = disagreements(item_of(result(A, B)), result(A))
    assert (again, total) == (1, 2)
    assert problems == ["1 of 2 detections are missing, the first is class 2 with score 0.600 at [40, 10, 70, 50]"]


def test_a_close_decision_may_be_missing():
    item = item_of(result(A, B), sure=np.array([True, False]))
    assert disagreements(item, result(A))[2] == []
    assert disagreements(item, result(B))[2]


def test_extra():
    problems = disagreements(item_of(result(A)), result(A, B))[2]
    assert problems[0].startswith("1 of 2 detections are not the network's, the first is class 2")
    possible = (np.array([B[:4]], np.float32), np.array([2]))
    assert disagreements(item_of(result(A), other=possible), result(A, B))[2] == []
    assert disagreements(item_of(result(A), other=(possible[0], np.array([1]))), result(A, B))[2]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ((5.9, 5, 30, 40, 0.9, 0), True),
        ((6.1, 5, 30, 40, 0.9, 0), False),
        ((5, 5, 30, 40, 0.9008, 0), True),
        ((5, 5, 30, 40, 0.902, 0), False),
        ((5, 5, 30, 40, 0.9, 1), False),
    ],
)
def test_what_makes_partners(other, same):
    assert len(pair(result(A), result(other), 0.3).first) == (1 if same else 0)


def test_every_detection_has_one_partner_at_most():
    pairs = pair(result(A, A, B), result(A, B, B), 0.3)
    assert sorted(pairs.second.tolist()) == [0, 1]
    assert len(set(pairs.first.tolist())) == 2
    assert pairs.left_of(3).tolist() == [1]


def test_masks():
    found = result(A)
    changed = found.masks.to_array()
    changed[0, 5:7, 5:10] = False  # 10 of 875 pixels
    other = replace(found, masks=InstanceMasks.from_array(changed))
    problems = disagreements(item_of(found), other)[2]
    assert problems[0].startswith("1 of 1 masks differ, most that of class 0")
    assert "10 pixels (allowed 8)" in problems[0]
    assert disagreements(item_of(found, unsteady=np.array([10])), other)[2] == []
    assert disagreements(item_of(found), other, masks=False)[2] == []


def test_changed_outputs_say_what_is_close():
    found = result(A, B)
    masks = found.masks.to_array()
    masks[0, 5, 5:8] = False
    shaken = [replace(found, masks=InstanceMasks.from_array(masks)), result(A, (10, 10, 20, 20, 0.3, 1))]
    item = steadied(item_of(found), shaken, 0.3)
    assert item.sure.tolist() == [True, False]
    assert item.unsteady.tolist() == [3, 0]
    assert item.other[0].tolist() == [[10, 10, 20, 20]]
    assert item.other[1].tolist() == [1]


def test_survives_the_file():
    item = item_of(result(A, B))
    loaded = load(item.stored(first=True))
    assert loaded.complete
    assert set(item.candidates) <= set(loaded.rows.tolist())
    assert np.array_equal(loaded.outputs["loc"], item.outputs["loc"][:, loaded.rows])
    assert np.array_equal(loaded.result.masks.to_array(), item.result.masks.to_array())
    whole = loaded.whole(300)
    assert np.array_equal(whole["mask"][:, item.candidates], item.outputs["mask"][:, item.candidates])
    background = np.setdiff1d(np.arange(300), loaded.rows)
    assert (whole["conf"][:, background] == [1, 0, 0, 0]).all()


def test_large_arrays_are_sampled():
    rng = np.random.default_rng(1)
    outputs = {
        "loc": np.zeros((1, 19000, 4), np.float32),
        "conf": np.zeros((1, 19000, 81), np.float32),
        "mask": np.zeros((1, 19000, 32), np.float32),
        "proto": np.zeros((1, 32, 200, 200), np.float32),
    }
    item = item_of(result(A), outputs=outputs, candidates=rng.permutation(19000)[:5000])
    for first, limit in ((True, 3_400_000), (False, 400_000)):
        arrays = item.stored(first)
        assert sum(value.nbytes for key, value in arrays.items() if key.startswith("output")) < limit
        assert not arrays["complete"]
        assert arrays["proto_stride"] > 1
        best = item.candidates[:100]
        assert set(best.tolist()) <= set(arrays["rows"].tolist())


def test_damaged_file():
    arrays = item_of(result(A)).stored(first=True)
    del arrays["result.sure"]
    with pytest.raises(KeyError):
        load(arrays)
