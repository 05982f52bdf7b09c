"""Matching against the rule written out in loops."""

import time

import numpy as np
import pytest

from mobileseg.instance.matching import match
from tests.instance.loss_reference import grid_anchors, slow_match

pytestmark = pytest.mark.both

ANCHORS = grid_anchors()


def random_boxes(rng, count):
    first = rng.uniform(0, 0.8, (count, 2))
    return np.concatenate([first, first + rng.uniform(0.03, 0.6, (count, 2))], axis=1).astype(np.float32)


def agree(boxes, classes, crowd):
    found = match(ANCHORS, boxes, classes, crowd)
    loc, kinds, matched = slow_match(ANCHORS, boxes, classes, crowd)
    np.testing.assert_array_equal(found.classes, kinds)
    np.testing.assert_array_equal(found.matched, matched)
    np.testing.assert_allclose(found.loc, loc, rtol=1e-4, atol=2e-5)
    assert (found.loc.dtype, found.classes.dtype, found.matched.dtype) == (np.float32, np.int64, np.int64)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_random_objects_crowds_and_padding(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 12))
    classes = rng.integers(-1, 5, count)
    found = agree(random_boxes(rng, count), classes, (rng.random(count) < 0.3).astype(np.uint8))
    assert (found.classes == 0).any()


def test_the_random_cases_have_all_kinds():
    """Positive, neutral, forced below the threshold, hidden by a crowd."""
    rng = np.random.default_rng(0)
    boxes, classes = random_boxes(rng, 12), np.arange(12)
    plain = match(ANCHORS, boxes, classes, np.zeros(12, np.uint8))
    assert {-1, 0} < set(plain.classes)
    lenient = match(ANCHORS, boxes, classes, np.zeros(12, np.uint8), positive=1.0)
    assert set(lenient.matched) == {-1, *range(12)}  # only forced ones are left
    assert (lenient.classes > 0).sum() == 12
    crowded = match(ANCHORS, np.array([[0, 0, 1, 1]], np.float32), np.array([3]), np.array([1], np.uint8))
    assert (crowded.classes == -1).sum() > 30
    assert (crowded.classes <= 0).all()


def test_identical_boxes_get_different_anchors():
    box = np.tile(np.array([[0.3, 0.3, 0.52, 0.55]], np.float32), (5, 1))
    found = match(ANCHORS, box, np.arange(5), np.zeros(5, np.uint8))
    assert set(found.matched) == {-1, 0, 1, 2, 3, 4}


def test_the_best_pair_comes_first():
    """The second object fits the anchor better, so the first one has to be content with another."""
    anchors = np.array([[0.3, 0.3, 0.2, 0.2], [0.4, 0.3, 0.2, 0.2], [0.8, 0.8, 0.2, 0.2]], np.float32)
    boxes = np.array([[0.19, 0.2, 0.4, 0.4], [0.2, 0.2, 0.4, 0.4]], np.float32)
    found = match(anchors, boxes, np.array([0, 1]), np.zeros(2, np.uint8))
    assert found.matched.tolist() == [1, 0, -1]
    assert found.classes.tolist() == [2, 1, 0]


@pytest.mark.parametrize("classes", [[], [-1, -1]])
def test_nothing_there_is_all_background(classes):
    count = len(classes)
    boxes = np.zeros((count, 4), np.float32)
    found = match(ANCHORS, boxes, np.array(classes, np.int64), np.zeros(count, np.uint8))
    assert not found.classes.any()
    assert not found.loc.any()
    assert (found.matched == -1).all()


def test_a_crowd_hides_background_but_not_positives():
    boxes = np.array([[0.0, 0.0, 1.0, 1.0], [0.36, 0.36, 0.64, 0.65]], np.float32)
    found = agree(boxes, np.array([0, 1]), np.array([1, 0], np.uint8))
    assert (found.classes == 2).any()
    assert not (found.matched == 0).any()


def test_boxes_without_area_are_left_out():
    boxes = np.array([[0.2, 0.2, 0.2, 0.6], [0.4, 0.4, 0.3, 0.6], [0.1, 0.1, 0.5, 0.5]], np.float32)
    found = match(ANCHORS, boxes, np.array([0, 1, 2]), np.zeros(3, np.uint8))
    assert set(found.matched) == {-1, 2}
    assert np.isfinite(found.loc).all()


def test_more_objects_than_anchors():
    rng = np.random.default_rng(3)
    found = match(ANCHORS[:5], random_boxes(rng, 30), np.zeros(30, np.int64), np.zeros(30, np.uint8))
    assert np.isfinite(found.loc).all()
    assert (found.classes != 0).any()


def test_a_hundred_objects_are_fast():
    rng = np.random.default_rng(4)
    anchors = np.concatenate([rng.uniform(0, 1, (19248, 2)), rng.uniform(0.03, 0.5, (19248, 2))], axis=1)
    boxes = random_boxes(rng, 100)
    began = time.process_time()
    match(anchors.astype(np.float32), boxes, np.zeros(100, np.int64), np.zeros(100, np.uint8))
    assert time.process_time() - began < 1.0
