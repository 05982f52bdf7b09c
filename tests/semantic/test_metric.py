"""Metrics against scikit-learn, SciPy and counting by hand."""

import numpy as np
import pytest
from scipy import ndimage

from mobileseg.errors import DataError
from mobileseg.semantic.metric import (
    BoundaryIoU,
    ConfusionMatrix,
    boundary_iou,
    inner_boundary,
    render_table,
    summary,
)

pytestmark = pytest.mark.both

CLASSES = ["road", "sky", "tree", "person"]


def scene(seed=0, ignored=0.1, wrong=0.3, classes=4, size=(40, 50)):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, (size[0] // 5, size[1] // 5)).repeat(5, 0).repeat(5, 1).astype(np.uint8)
    guess = np.where(rng.random(label.shape) < wrong, rng.integers(0, classes, label.shape), label).astype(np.uint8)
    label[rng.random(label.shape) < ignored] = 255
    return guess, label


def scored(*pairs, classes=4):
    matrix = ConfusionMatrix(classes)
    for guess, label in pairs:
        matrix.update(guess, label)
    return matrix


def test_matrix_and_scores_equal_those_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    pairs = [scene(seed) for seed in range(3)]
    valid = [label != 255 for _, label in pairs]
    truth = np.concatenate([label[keep] for (_, label), keep in zip(pairs, valid, strict=True)])
    guess = np.concatenate([image[keep] for (image, _), keep in zip(pairs, valid, strict=True)])
    matrix = scored(*pairs).matrix
    np.testing.assert_array_equal(matrix, sklearn.confusion_matrix(truth, guess))
    scores = summary(matrix, CLASSES)
    assert scores["miou"] == pytest.approx(sklearn.jaccard_score(truth, guess, average="macro"))
    assert scores["class_iou"] == pytest.approx(sklearn.jaccard_score(truth, guess, average=None))
    assert scores["class_dice"] == pytest.approx(sklearn.f1_score(truth, guess, average=None))
    assert scores["dice"] == pytest.approx(sklearn.f1_score(truth, guess, average="macro"))
    assert scores["accuracy"] == pytest.approx(sklearn.accuracy_score(truth, guess))
    assert scores["mean_accuracy"] == pytest.approx(sklearn.balanced_accuracy_score(truth, guess))
    assert scores["class_accuracy"] == pytest.approx(sklearn.recall_score(truth, guess, average=None))
    assert scores["class_precision"] == pytest.approx(sklearn.precision_score(truth, guess, average=None))
    assert scores["kappa"] == pytest.approx(sklearn.cohen_kappa_score(truth, guess))


def test_the_set_is_accumulated_before_it_is_divided():
    few = (np.array([[0, 1]], np.uint8), np.array([[0, 0]], np.uint8))
    many = (np.zeros((1, 98), np.uint8), np.zeros((1, 98), np.uint8))
    scores = summary(scored(few, many, classes=2).matrix, ["a", "b"])
    assert scores["class_iou"] == pytest.approx([99 / 100, 0.0])


def test_an_absent_class_is_named_and_counts_in_no_mean():
    guess = np.array([[0, 1, 1, 3]], np.uint8)
    label = np.array([[0, 1, 0, 255]], np.uint8)
    scores = summary(scored((guess, label)).matrix, CLASSES)
    assert scores["absent"] == ["tree", "person"]
    assert scores["class_iou"] == [0.5, 0.5, None, None]
    assert scores["miou"] == 0.5
    assert scores["class_pixels"] == [2, 1, 0, 0]


def test_a_class_that_was_only_predicted_scores_zero():
    scores = summary(scored((np.array([[0, 2]], np.uint8), np.array([[0, 0]], np.uint8))).matrix, CLASSES)
    assert scores["class_iou"] == [0.5, None, 0.0, None]
    assert scores["class_accuracy"] == [0.5, None, None, None]
    assert scores["class_precision"] == [1.0, None, 0.0, None]
    assert scores["miou"] == 0.25


def test_nothing_scored_gives_none_and_not_nan():
    scores = summary(scored((np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8))).matrix, CLASSES)
    assert [scores[key] for key in ("miou", "accuracy", "mean_accuracy", "dice", "kappa")] == [None] * 5
    assert scores["absent"] == CLASSES
    assert "nan" not in render_table(scores)


def test_kappa_of_one_class_all_right_is_one_and_of_chance_is_zero():
    alone = scored((np.ones((3, 3), np.uint8), np.ones((3, 3), np.uint8)))
    assert summary(alone.matrix, CLASSES)["kappa"] == 1.0
    assert summary(np.full((4, 4), 7), CLASSES)["kappa"] == pytest.approx(0.0)


def test_merge_adds_the_counts_of_another_process():
    one, two, both = scored(scene(1)), scored(scene(2)), scored(scene(1), scene(2))
    one.merge(two)
    np.testing.assert_array_equal(one.matrix, both.matrix)
    with pytest.raises(ValueError, match="3 classes into 4"):
        one.merge(ConfusionMatrix(3))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_any_integer_type_counts_the_same(dtype):
    guess, label = scene(4)
    np.testing.assert_array_equal(scored((guess.astype(dtype), label)).matrix, scored((guess, label)).matrix)


def test_an_ignored_label_may_be_predicted_as_anything():
    label = np.array([[0, 255]], np.uint8)
    assert scored((np.array([[0, 255]], np.uint8), label)).matrix.sum() == 1


@pytest.mark.parametrize(
    ("guess", "label", "message"),
    [
        (np.zeros((2, 2), np.float32), np.zeros((2, 2), np.uint8), "prediction .* got dtype float32"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2), bool), "label .* got dtype bool"),
        ([[0, 0]], np.zeros((1, 2), np.uint8), "prediction .* got list"),
        (np.zeros((2, 2), np.uint8), np.zeros((4, 4), np.uint8), r"\[2, 2\].*\[4, 4\].*never resized"),
        (np.zeros((1, 2), np.uint8), np.array([[0, 9]], np.uint8), "label holds the values 9 outside the classes 0..3"),
        (np.array([[-1, 7]]), np.zeros((1, 2), np.uint8), "prediction holds the values -1, 7 outside"),
    ],
)
def test_what_cannot_be_scored_is_refused_and_counts_nothing(guess, label, message):
    matrix = ConfusionMatrix(4)
    with pytest.raises(DataError, match=message):
        matrix.update(guess, label)
    assert matrix.matrix.sum() == 0


@pytest.mark.parametrize("width", [1, 2, 5])
def test_boundary_band_by_distance(width):
    mask = scene(6, wrong=0.02)[0] == 1
    # chessboard distance to the nearest pixel outside of the mask, where beyond the image is outside
    distance = ndimage.distance_transform_cdt(np.pad(mask, 1), metric="chessboard")[1:-1, 1:-1]
    np.testing.assert_array_equal(inner_boundary(mask, width), mask & (distance <= width))


def test_boundary_iou_of_two_squares_by_hand():
    label, guess = np.zeros((2, 20, 20), np.uint8)
    label[4:12, 4:12] = 1
    guess[4:12, 5:13] = 1
    # Diagonal 28.3, band one pixel: two outlines of 28 pixels, which share the two horizontal runs (7 each),
    # one shifted into the other.
    result = boundary_iou(guess, label, 2)
    assert result[1] == pytest.approx(14 / 42)
    assert boundary_iou(label, label, 3) == [1.0, 1.0, None]


def test_boundary_iou_is_accumulated_over_images_with_each_images_band():
    small, large = scene(7, size=(40, 50)), scene(8, size=(200, 250))
    scores, parts = BoundaryIoU(4), np.zeros((2, 4))
    for guess, label in (small, large):
        scores.update(guess, label)
        width = max(1, round(0.02 * np.hypot(*label.shape)))
        for k in range(4):
            bands = []
            for mask in (guess == k, label == k):
                mask = mask & (label != 255)
                distance = ndimage.distance_transform_cdt(np.pad(mask, 1), metric="chessboard")[1:-1, 1:-1]
                bands.append(mask & (distance <= width))
            parts[:, k] += (bands[0] & bands[1]).sum(), (bands[0] | bands[1]).sum()
    expected = parts[0] / parts[1]
    assert scores.summary()["class_boundary_iou"] == pytest.approx(expected)
    assert scores.summary()["boundary_iou"] == pytest.approx(expected.mean())
    half = BoundaryIoU(4)
    half.update(*small)
    rest = BoundaryIoU(4)
    rest.update(*large)
    half.merge(rest)
    assert half.summary() == scores.summary()


def test_table_names_every_class_and_what_is_absent():
    pair = (np.array([[0, 1, 1]], np.uint8), np.array([[0, 1, 0]], np.uint8))
    edges = BoundaryIoU(4)
    edges.update(*pair)
    text = render_table({**summary(scored(pair).matrix, CLASSES), **edges.summary()})
    rows = text.splitlines()
    assert rows[1].split() == ["road", "0.5000", "0.6667", "0.5000", "1.0000", "0.5000", "2"]
    assert rows[3].split() == ["tree", "-", "-", "-", "-", "-", "0", "absent"]
    assert "mIoU 0.5000" in rows[-2]
    assert rows[-1] == "absent, not counted in the means: tree, person"
