"""The class of the highest score, against NumPy's argmax and a loop over pixels."""

import numpy as np
import pytest

from mobileseg.semantic.argmax import argmax_labels, challenge


@pytest.mark.parametrize(
    "shape", [(1, 5, 7), (2, 1, 1), (3, 4, 1), (19, 131, 257), (255, 3, 4), (256, 3, 4), (3, 1, 100000)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_labels_are_the_argmax_and_ties_go_to_the_lower_class(shape, dtype):
    scores = np.random.default_rng(1).integers(-3, 3, shape).astype(dtype)
    labels = argmax_labels(scores)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, scores.argmax(0))


def test_every_one_of_256_classes_can_win_and_the_last_alone():
    scores = np.full((256, 1, 256), -np.inf, np.float32)
    scores[np.arange(256), 0, np.arange(256)] = -1e30
    np.testing.assert_array_equal(argmax_labels(scores)[0], np.arange(256))


def test_infinities_are_numbers():
    scores = np.array([[[np.inf, -np.inf, -np.inf]], [[0, 0, -np.inf]], [[np.inf, -1, -np.inf]]], np.float32)
    np.testing.assert_array_equal(argmax_labels(scores), [[0, 1, 0]])


@pytest.mark.parametrize("classes", [1, 3, 256])
def test_where_a_score_is_no_number_the_label_is_still_a_class(classes):
    scores = np.random.default_rng(2).standard_normal((classes, 6, 7)).astype(np.float32)
    scores[-1, 2, 3] = scores[0, 4, 4] = np.nan
    scores[:, 5, 5] = np.nan
    labels, valid = argmax_labels(scores), ~np.isnan(scores).any(axis=0)
    assert labels.max() < classes
    np.testing.assert_array_equal(labels[valid], scores.argmax(0)[valid])


def test_views_are_read_and_left_alone():
    scores = np.random.default_rng(3).standard_normal((20, 30, 6)).astype(np.float32)
    before = scores.copy()
    np.testing.assert_array_equal(argmax_labels(scores.transpose(2, 0, 1)), scores.argmax(2))
    np.testing.assert_array_equal(scores, before)


def test_a_challenge_changes_what_the_class_wins_and_nothing_else():
    rng = np.random.default_rng(4)
    best, scores = rng.integers(0, 3, (2, 5, 8)).astype(np.float32)
    labels = rng.integers(0, 4, (5, 8)).astype(np.uint8)
    classes = np.array([[4], [9], [200], [255], [5]], np.uint8)
    expected = [[classes[y, 0] if scores[y, x] > best[y, x] else labels[y, x] for x in range(8)] for y in range(5)]
    highest = np.maximum(best, scores)
    challenge(scores, classes, best, labels, np.empty((5, 8), np.uint8))
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(best, highest)
