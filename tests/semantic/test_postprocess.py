"""Labels from scores, against interpolation written out in float64."""

import numpy as np
import pytest

from mobileseg.semantic import postprocess
from mobileseg.semantic.postprocess import (
    labels_from_labels,
    labels_from_logits,
    resize_scores,
    softmax,
)
from tests.semantic.score_references import clear_pixels, half_pixel_bilinear


@pytest.mark.parametrize(
    ("classes", "source", "size"),
    [
        (5, (6, 9), (41, 50)),
        (19, (16, 32), (128, 256)),
        (3, (1, 1), (7, 5)),
        (4, (40, 30), (13, 17)),
        (2, (4, 1), (4, 9)),
        (11, (9, 12), (9, 25)),
        (1, (5, 7), (37, 53)),
        (255, (5, 7), (37, 53)),
        (3, (9, 1), (1, 1)),
        (6, (61, 130), (600, 1031)),  # in bands
        (4, (1, 3), (3, 200000)),
        (2, (700, 1), (5, 60000)),
    ],
)
def test_labels_are_the_argmax_of_bilinear_scores(classes, source, size):
    scores = np.random.default_rng(classes).standard_normal((classes, *source)).astype(np.float32)
    expected = half_pixel_bilinear(scores, *size)
    labels = labels_from_logits(scores, size)
    assert labels.dtype == np.uint8
    assert labels.shape == size
    clear = clear_pixels(expected)  # OpenCV weighs in float32
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(labels[clear], expected.argmax(0)[clear])
    np.testing.assert_allclose(resize_scores(scores, size), expected, atol=3e-5)  # positions are float32, too


@pytest.mark.parametrize("size", [(49, 73), (601, 1351)], ids=["planes", "bands"])
def test_classes_that_win_nowhere_are_left_out_and_ties_go_to_the_lower_class(size, monkeypatch):
    scores = np.full((7, 6, 9), -5, np.float32)
    scores[2], scores[5] = 1, 1  # equal everywhere
    scores[4, 3, 4] = 3
    looked_at = []
    challenge = postprocess.challenge
    monkeypatch.setattr(
        postprocess, "challenge", lambda s, index, *rest: (looked_at.append(index), challenge(s, index, *rest))
    )
    labels = labels_from_logits(scores, size)
    assert set(looked_at) == {4, 5}
    expected = half_pixel_bilinear(scores, *size)
    assert set(np.unique(labels)) == {2, 4}
    np.testing.assert_array_equal(labels == 4, expected[4] > 1)


@pytest.mark.parametrize("shape", [(1, 5, 7), (2, 4, 1), (19, 200, 301), (256, 3, 4), (3, 1, 100000)])
def test_scores_of_image_size_take_the_plain_argmax(shape):
    scores = np.random.default_rng(1).integers(-3, 3, shape).astype(np.float32)  # many ties: the lower class wins
    np.testing.assert_array_equal(labels_from_logits(scores, shape[1:]), scores.argmax(0))
    np.testing.assert_array_equal(labels_from_logits(scores.astype(np.float16), shape[1:]), scores.argmax(0))


def test_scores_may_be_views_of_any_layout():
    scores = np.random.default_rng(2).standard_normal((20, 30, 6)).astype(np.float32).transpose(2, 0, 1)
    np.testing.assert_array_equal(labels_from_logits(scores, (20, 30)), scores.argmax(0))
    assert labels_from_logits(scores, (40, 60)).shape == (40, 60)


def test_the_input_is_left_alone():
    scores = np.random.default_rng(3).standard_normal((4, 8, 8)).astype(np.float32)
    before = scores.copy()
    labels_from_logits(scores, (8, 8))
    labels_from_logits(scores, (16, 16))
    softmax(scores)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_labels_are_enlarged_without_new_values(dtype):
    labels = np.array([[0, 7, 2], [3, 1, 255]], dtype)
    np.testing.assert_array_equal(labels_from_labels(labels, (4, 6)), labels.repeat(2, 0).repeat(2, 1))
    same = labels_from_labels(labels, (2, 3))
    assert same.dtype == np.uint8
    np.testing.assert_array_equal(same, labels)
    np.testing.assert_array_equal(labels_from_labels(labels, (1, 1)), [[1]])


def test_softmax_is_that_of_scipy():
    from scipy.special import softmax as reference

    logits = np.random.default_rng(4).normal(0, 30, (19, 11, 13)).astype(np.float32)
    np.testing.assert_allclose(softmax(logits), reference(logits.astype(np.float64), axis=0), atol=1e-6)
    assert np.isfinite(softmax(np.full((2, 1, 1), 1e4, np.float32))).all()


@pytest.mark.parametrize("bad", [np.zeros((2, 3), np.float32), np.zeros((257, 2, 2), np.float32)])
def test_wrong_scores_are_refused(bad):
    with pytest.raises(ValueError, match="expected scores"):
        labels_from_logits(bad, (4, 4))


@pytest.mark.parametrize("bad", [np.zeros((2, 3), np.float32), np.zeros((1, 2, 2), np.int32)])
def test_wrong_labels_are_refused(bad):
    with pytest.raises(ValueError, match="expected integer labels"):
        labels_from_labels(bad, (4, 4))
