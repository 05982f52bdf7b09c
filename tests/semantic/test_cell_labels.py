"""Labels by cells against interpolation of every class at every pixel, written out in float64."""

import numpy as np
import pytest

from mobileseg.semantic import cell_labels
from mobileseg.semantic.cell_labels import labels_by_cells
from mobileseg.semantic.postprocess import labels_from_logits
from tests.semantic.score_references import clear_pixels, half_pixel_bilinear


@pytest.fixture
def always(monkeypatch):
    """Cells are looked at whether it pays or not, a few at a time."""
    monkeypatch.setattr(cell_labels, "_CELL_PIXELS", 0)
    monkeypatch.setattr(cell_labels, "_COMPARISONS", 0)
    monkeypatch.setattr(cell_labels, "_CELL_COST", -(10**9))
    monkeypatch.setattr(cell_labels, "CACHED_PIXELS", 300)


def regions(classes, height, width, seed=0):
    """Scores whose classes have regions around points, and a little noise, as trained networks give them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    center = rng.random((classes, 2, 1, 1)) * [[[height]], [[width]]]
    scores = -np.hypot(y - center[:, 0], x - center[:, 1]) + rng.normal(0, 0.05, (classes, height, width))
    return scores.astype(np.float32)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("ratio", [(1, 1), (2, 2), (3, 3), (8, 8), (5, 4), (1, 7), (6, 1), (16, 9)])
@pytest.mark.parametrize("shape", [(1, 5, 7), (5, 6, 9), (19, 13, 8), (4, 1, 1), (3, 1, 6), (3, 7, 1), (256, 3, 4)])
def test_noise_where_classes_meet_in_every_cell(shape, ratio):
    scores = np.random.default_rng(shape[0]).standard_normal(shape).astype(np.float32)
    before, size = scores.copy(), (shape[1] * ratio[0], shape[2] * ratio[1])
    labels = labels_by_cells(scores, size)
    assert labels.dtype == np.uint8
    assert labels.shape == size
    assert labels.flags["C_CONTIGUOUS"]
    expected = half_pixel_bilinear(scores, *size)
    clear = clear_pixels(expected)
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(labels[clear], expected.argmax(0)[clear])
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize(("classes", "shape", "ratio"), [(19, (32, 64), 8), (11, (120, 160), 4), (20, (33, 31), 8)])
def test_regions_as_networks_give_them_take_this_way(classes, shape, ratio):
    scores = regions(classes, *shape)
    size = (shape[0] * ratio, shape[1] * ratio)
    labels, expected = labels_by_cells(scores, size), half_pixel_bilinear(scores, *size)
    assert labels is not None
    assert len(np.unique(labels)) > 6
    clear = clear_pixels(expected)
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(labels[clear], expected.argmax(0)[clear])
    np.testing.assert_array_equal(labels_from_logits(scores, size), labels)


@pytest.mark.usefixtures("always")
def test_a_class_that_is_highest_at_no_score_can_win_between_them():
    scores = np.array([[[10, 0]], [[0, 10]], [[9, 9]]], np.float32)
    expected = half_pixel_bilinear(scores, 8, 16).argmax(0)
    assert set(np.unique(expected)) == {0, 1, 2}
    np.testing.assert_array_equal(labels_by_cells(scores, (8, 16)), expected)


@pytest.mark.usefixtures("always")
def test_of_equal_scores_the_lower_class_wins_in_filled_and_in_computed_cells():
    scores = np.full((6, 5, 9), -5, np.float32)
    scores[1], scores[3] = 2, 2  # equal everywhere
    scores[4, 2, 4] = 3
    labels = labels_by_cells(scores, (40, 72))
    np.testing.assert_array_equal(labels, np.where(half_pixel_bilinear(scores, 40, 72)[4] > 2, 4, 1))


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("classes", [1, 2, 256])
def test_scores_that_are_no_numbers_spoil_their_own_cells_alone(classes):
    scores = np.random.default_rng(classes).standard_normal((classes, 9, 11)).astype(np.float32)
    broken = scores.copy()
    broken[0, 4, 5] = np.nan
    labels, whole = labels_by_cells(broken, (72, 88)), labels_by_cells(scores, (72, 88))
    assert labels.max() < classes
    touched = np.isnan(half_pixel_bilinear(broken, 72, 88)).any(axis=0)
    assert touched.mean() < 0.1
    np.testing.assert_array_equal(labels[~touched], whole[~touched])


def test_where_it_does_not_apply_or_does_not_pay_there_is_no_answer():
    scores = regions(19, 64, 64)
    assert labels_by_cells(scores, (512, 512)) is not None
    assert labels_by_cells(scores, (512, 511)) is None  # no multiple
    assert labels_by_cells(scores, (63, 512)) is None
    assert labels_by_cells(scores, (128, 128)) is None  # small cells
    assert labels_by_cells(scores[:2, :16, :16].copy(), (128, 128)) is None  # few comparisons
    noise = np.random.default_rng(0).standard_normal((19, 64, 64)).astype(np.float32)
    assert labels_by_cells(noise, (512, 512)) is None  # classes meet nearly everywhere
