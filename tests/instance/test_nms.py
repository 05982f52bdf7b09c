"""Suppression against loops over single boxes, written from the description of each method."""

import numpy as np
import pytest

from mobileseg.boxes import iou
from mobileseg.instance.nms import cross_class_nms, fast_nms, traditional_nms
from tests.instance.slow_nms import overlap, slow_cross, slow_fast, slow_greedy

pytestmark = pytest.mark.both

EMPTY = np.zeros((0, 4), np.float32), np.zeros((0, 3), np.float32)


def scene(seed: int, count: int = 120, classes: int = 4, pixels: bool = False):
    """Clusters of boxes that overlap, scores with ties."""
    rng = np.random.default_rng(seed)
    centers = rng.random((12, 2))[rng.integers(0, 12, count)] + rng.normal(0, 0.02, (count, 2))
    sides = rng.uniform(0.05, 0.3, (count, 2))
    boxes = np.concatenate([centers - sides / 2, centers + sides / 2], axis=1)
    if pixels:
        boxes = np.round(boxes * 60)  # whole numbers: overlaps of exactly the threshold occur
    scores = np.round(rng.random((count, classes)) ** 3, 2)
    return boxes.astype(np.float32), scores.astype(np.float32)


def pairs(kept):
    return list(zip(kept.indices.tolist(), kept.classes.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("floor", [None, 0.05])
@pytest.mark.parametrize(("top_k", "wanted"), [(200, 1000), (7, 1000), (200, 10), (20, 1), (3, 40)])
def test_fast_nms(seed: int, floor: float | None, top_k: int, wanted: int) -> None:
    boxes, scores = scene(seed)
    kept = fast_nms(boxes, scores, iou_threshold=0.5, top_k=top_k, max_detections=wanted, floor=floor)
    assert pairs(kept) == slow_fast(boxes, scores, 0.5, top_k, wanted, floor)
    np.testing.assert_array_equal(kept.scores, scores[kept.indices, kept.classes])
    assert (np.diff(kept.scores) <= 0).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("top_k", "wanted"), [(200, 1000), (9, 1000), (200, 5)])
def test_cross_class_nms(seed: int, top_k: int, wanted: int) -> None:
    boxes, scores = scene(seed)
    kept = cross_class_nms(boxes, scores, iou_threshold=0.4, top_k=top_k, max_detections=wanted)
    assert pairs(kept) == slow_cross(boxes, scores, 0.4, top_k, wanted)
    np.testing.assert_array_equal(kept.scores, scores[kept.indices, kept.classes])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize(("wanted", "floor"), [(1000, 0.05), (15, 0.05), (2, 0.3)])
def test_traditional_nms(seed: int, inclusive: bool, wanted: int, floor: float) -> None:
    boxes, scores = scene(seed, pixels=True)
    kept = traditional_nms(boxes, scores, iou_threshold=0.5, max_detections=wanted, floor=floor, inclusive=inclusive)
    assert pairs(kept) == slow_greedy(boxes, scores, 0.5, wanted, floor, inclusive)


def test_a_removed_box_still_suppresses_in_fast_nms_and_not_in_the_traditional_one() -> None:
    """Three boxes in a row: the second overlaps the first, the third overlaps the second only."""
    boxes = np.array([[0, 0, 10, 1], [3, 0, 13, 1], [6, 0, 16, 1]], np.float32)
    scores = np.array([[0.9], [0.8], [0.7]], np.float32)
    fast = fast_nms(boxes, scores, iou_threshold=0.5, top_k=10, max_detections=10)
    greedy = traditional_nms(boxes, scores, iou_threshold=0.5, max_detections=10, floor=0.05)
    assert fast.indices.tolist() == [0]
    assert greedy.indices.tolist() == [0, 2]


def test_an_overlap_of_the_threshold_itself() -> None:
    """1x2 in 2x2 is one half; with sides one longer 2x3 in 3x3 is two thirds, and 1x3 in 2x3 one half again."""
    boxes = np.array([[0, 0, 2, 2], [0, 0, 1, 2]], np.float32)
    scores = np.array([[0.9], [0.8]], np.float32)
    assert len(fast_nms(boxes, scores, iou_threshold=0.5, top_k=9, max_detections=9).indices) == 2
    greedy = {"iou_threshold": 0.5, "max_detections": 9, "floor": 0.05}
    assert len(traditional_nms(boxes, scores, **greedy).indices) == 2
    boxes = np.array([[0, 0, 1, 2], [0, 0, 0, 2]], np.float32)
    assert traditional_nms(boxes, scores, **greedy, inclusive=True).indices.tolist() == [0]


def test_classes_compete_only_across_classes() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.float32)
    scores = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    each = fast_nms(boxes, scores, iou_threshold=0.5, top_k=9, max_detections=9)
    assert pairs(each) == [(0, 0), (1, 1)]
    across = cross_class_nms(boxes, scores, iou_threshold=0.5, top_k=9, max_detections=9)
    assert pairs(across) == [(0, 0)]


def test_equal_scores_keep_the_order_of_the_boxes() -> None:
    boxes = np.array([[i * 2, 0, i * 2 + 1, 1] for i in range(50)], np.float32)
    kept = fast_nms(boxes, np.ones((50, 1), np.float32), iou_threshold=0.5, top_k=20, max_detections=7)
    assert kept.indices.tolist() == list(range(7))


@pytest.mark.parametrize("boxes_scores", [EMPTY, (EMPTY[0], np.zeros((0, 0), np.float32))])
def test_nothing_gives_nothing(boxes_scores) -> None:
    boxes, scores = boxes_scores
    for kept in (
        fast_nms(boxes, scores, iou_threshold=0.5, top_k=9, max_detections=9),
        cross_class_nms(boxes, scores, iou_threshold=0.5, top_k=9, max_detections=9),
        traditional_nms(boxes, scores, iou_threshold=0.5, max_detections=9, floor=0.0),
    ):
        assert (kept.indices.shape, kept.classes.shape, kept.scores.shape) == ((0,), (0,), (0,))
        assert (kept.indices.dtype, kept.scores.dtype) == (np.int64, np.float32)


def test_nothing_above_the_floor() -> None:
    boxes, scores = scene(0)
    assert len(fast_nms(boxes, scores, iou_threshold=0.5, top_k=9, max_detections=9, floor=2.0).indices) == 0


def test_overlap_in_pairs() -> None:
    boxes, _ = scene(1, 30, pixels=True)
    boxes[3] = boxes[4, [0, 1, 0, 1]]  # a point
    for inclusive in (False, True):
        values = iou(boxes[:20], boxes[10:], inclusive=inclusive)
        expected = [overlap(a, b, float(inclusive)) for a, b in zip(boxes[:20], boxes[10:], strict=True)]
        np.testing.assert_allclose(values, expected, rtol=1e-6)
        one = iou(boxes[:1], boxes, inclusive=inclusive)
        np.testing.assert_allclose(one, [overlap(boxes[0], b, float(inclusive)) for b in boxes], rtol=1e-6)
    assert iou(boxes[3:4], boxes[3:4])[0] == 0


def test_many_candidates_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result does not depend on how many pairs fit into memory."""
    boxes, scores = scene(3)
    arguments = {"iou_threshold": 0.5, "top_k": 50, "max_detections": 1000}
    whole = fast_nms(boxes, scores, **arguments)
    for pairs_at_a_time in (1, 7, 64, 1000):
        monkeypatch.setattr("mobileseg.instance.nms._PAIRS", pairs_at_a_time)
        assert pairs(fast_nms(boxes, scores, **arguments)) == pairs(whole)
