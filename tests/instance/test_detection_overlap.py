import numpy as np
import pytest

from mobileseg.instance.detection_overlap import shared_score
from mobileseg.structures import InstanceMasks, InstanceResult


def result(*rows):
    """(x1, y1, x2, y2, score, class) each."""
    values = np.array(rows, np.float32).reshape(-1, 6)
    masks = InstanceMasks((10, 10), [(0, 0, np.zeros((0, 0), np.bool_))] * len(values))
    return InstanceResult(values[:, :4], values[:, 4], values[:, 5].astype(np.int64), masks)


def test_equal_detections_share_everything():
    one = result((0, 0, 4, 4, 0.9, 0), (5, 5, 9, 9, 0.1, 1))
    shared, total = shared_score(one, one)
    assert (shared, total) == pytest.approx((2.0, 2.0))


def test_a_missing_weak_detection_matters_little():
    one = result((0, 0, 4, 4, 0.9, 0), (5, 5, 9, 9, 0.1, 0))
    shared, total = shared_score(one, result((0, 0, 4, 3, 0.9, 0)))  # overlap 0.75
    assert shared / total == pytest.approx(1.8 / 1.9)


def test_class_and_place_must_fit_and_nothing_is_paired_twice():
    one = result((0, 0, 4, 4, 0.5, 0))
    assert shared_score(one, result((0, 0, 4, 4, 0.5, 1)))[0] == 0
    assert shared_score(one, result((2, 2, 6, 6, 0.5, 0)))[0] == 0  # overlap 1/7
    twice = result((0, 0, 4, 4, 0.5, 0), (0, 0, 4, 4, 0.4, 0))
    assert shared_score(twice, one)[0] == pytest.approx(1.0)
    assert shared_score(one, twice)[0] == pytest.approx(1.0)
    assert shared_score(result(), one) == pytest.approx((0.0, 0.5))
    assert shared_score(result(), result()) == (0.0, 0.0)
