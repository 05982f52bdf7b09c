"""Expanding, cropping around objects, discarding."""

import inspect

import numpy as np
import pytest
from scipy import stats

from mobileseg.data.instances import Instances
from mobileseg.data.sample import Sample
from mobileseg.data.transforms.objects import DiscardSmallInstances, RandomExpand, RandomInstanceCrop
from mobileseg.errors import ConfigError

pytestmark = pytest.mark.both

SIZE = (80, 120)


def sample_of(boxes: list[tuple[int, int, int, int]], crowd: list[bool] | None = None) -> Sample:
    """Filled boxes in an image whose red is the row and whose green is the column."""
    masks = np.zeros((len(boxes), *SIZE), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = 1
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    image = np.stack([rows, columns, np.zeros_like(rows)], axis=-1)
    return Sample(image, None, {}, Instances.from_masks(masks, range(len(boxes)), crowd=crowd))


def overlap(box: np.ndarray, other: np.ndarray) -> float:
    """IoU by counting pixels."""
    canvas = np.zeros((2, *SIZE), bool)
    for plane, (x1, y1, x2, y2) in zip(canvas, (box, other), strict=True):
        plane[int(y1) : int(y2), int(x1) : int(x2)] = True
    return (canvas[0] & canvas[1]).sum() / (canvas[0] | canvas[1]).sum()


def window(sample: Sample) -> np.ndarray:
    """(x1, y1, x2, y2) of a crop, read from its pixels."""
    corner, end = sample.image[0, 0], sample.image[-1, -1]
    return np.array([corner[1], corner[0], end[1] + 1, end[0] + 1])


BOXES = [(10, 10, 50, 40), (60, 20, 110, 75), (2, 60, 22, 78)]


def test_expand_places_the_whole_image_uniformly() -> None:
    rng = np.random.default_rng(0)
    ratios, tops = [], []
    for _ in range(150):
        before = sample_of(BOXES)
        sample = RandomExpand(prob=1)(sample_of(BOXES), rng)
        x1, y1 = sample.instances.boxes[0, :2] - before.instances.boxes[0, :2]
        top, left = int(y1), int(x1)
        np.testing.assert_array_equal(sample.image[top : top + SIZE[0], left : left + SIZE[1]], before.image)
        canvas = sample.instances.masks[:, top : top + SIZE[0], left : left + SIZE[1]]
        np.testing.assert_array_equal(canvas, before.instances.masks)
        outside = np.ones(sample.size, bool)
        outside[top : top + SIZE[0], left : left + SIZE[1]] = False
        np.testing.assert_allclose(
            sample.image[outside], np.float32([[123.68, 116.78, 103.94]]).repeat(outside.sum(), 0)
        )
        ratios.append(sample.size[0] / SIZE[0])
        tops.append(top / max(1, sample.size[0] - SIZE[0]))
    assert stats.kstest((np.array(ratios) - 1) / 3, "uniform").pvalue > 0.001
    assert 0.4 < np.mean(tops) < 0.6


def test_expand_probability_and_colour() -> None:
    rng = np.random.default_rng(0)
    grown = [RandomExpand(prob=0.3, max_ratio=2, im_padding_value=7)(sample_of(BOXES), rng) for _ in range(200)]
    assert 30 < sum(sample.size != SIZE for sample in grown) < 90
    assert any((sample.image[0, 0] == 7).all() for sample in grown)


def test_crop_keeps_objects_with_their_centre_inside() -> None:
    rng = np.random.default_rng(1)
    whole = 0
    for _ in range(250):
        sample = RandomInstanceCrop()(sample_of(BOXES), rng)
        height, width = sample.size
        if (height, width) == SIZE:
            whole += 1
            continue
        x1, y1, x2, y2 = window(sample)
        assert (x2 - x1, y2 - y1) == (width, height)
        assert 0.5 * 0.95 <= height / width <= 2 / 0.95
        assert height >= int(0.3 * SIZE[0])
        assert width >= int(0.3 * SIZE[1])
        centres = [((a + c) / 2, (b + d) / 2) for a, b, c, d in BOXES]
        inside = [i for i, (x, y) in enumerate(centres) if x1 < x < x2 and y1 < y < y2]
        assert sample.instances.classes.tolist() == inside
        assert inside
        for index, box, mask in zip(inside, sample.instances.boxes, sample.instances.masks, strict=True):
            clipped = np.clip(np.array(BOXES[index]) - (x1, y1, x1, y1), 0, (width, height, width, height))
            np.testing.assert_array_equal(box, clipped)
            assert mask.sum() == (clipped[2] - clipped[0]) * (clipped[3] - clipped[1])
    assert 25 < whole < 85  # one of six, and the whole image may also be drawn after a failure


def test_crop_overlaps_one_object_enough() -> None:
    rng = np.random.default_rng(2)
    for limit in (0.1, 0.3, 0.7):
        crops = [RandomInstanceCrop(min_overlaps=[limit] * 50)(sample_of(BOXES), rng) for _ in range(40)]
        places = [window(sample) for sample in crops if sample.size != SIZE]
        best = [max(overlap(place, np.array(box)) for box in BOXES) for place in places]
        assert len(best) > 10
        assert np.mean(np.array(best) >= limit) > 0.9  # one of 52 may be any rectangle
    strict = RandomInstanceCrop(min_overlaps=[0.7] * 50)
    quirk = RandomInstanceCrop(min_overlaps=[0.7] * 50, published_iou_quirk=True)

    def best_overlaps(transform: RandomInstanceCrop) -> np.ndarray:
        samples = [transform(sample_of(BOXES), rng) for _ in range(80)]
        places = [window(sample) for sample in samples if sample.size != SIZE]
        return np.array([max(overlap(place, np.array(box)) for box in BOXES) for place in places])

    assert np.mean(best_overlaps(strict) < 0.7) < 0.1
    assert np.mean(best_overlaps(quirk) < 0.7) > 0.5


def test_crop_never_shows_crowd_alone() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        sample = RandomInstanceCrop()(sample_of(BOXES, [True, False, True]), rng)
        assert 1 in sample.instances.classes
        assert sample.instances.crowd.tolist() == [index != 1 for index in sample.instances.classes]
    alone = RandomInstanceCrop()(sample_of(BOXES, [True] * 3), rng)
    assert alone.size == SIZE


def test_discard_is_relative_by_default() -> None:
    boxes = [(0, 0, 2, 40), (10, 10, 50, 12), (20, 20, 26, 24), (60, 20, 110, 75)]
    rng = np.random.default_rng(0)

    def left(**arguments: float) -> list[int]:
        return DiscardSmallInstances(**arguments)(sample_of(boxes), rng).instances.classes.tolist()

    assert left(min_width=0.02, min_height=0.03) == [2, 3]  # 2.4 x 2.4 pixels
    assert left(min_width=0.02, min_height=0.0) == [1, 2, 3]
    assert left(min_width=0.05, min_height=0.05) == [3]  # a box of exactly the limit goes
    assert left(min_width=0.02, min_height=0.03, published_absolute_quirk=True) == [0, 1, 2, 3]
    assert left(min_width=0, min_height=0) == [0, 1, 2, 3]
    default = inspect.signature(DiscardSmallInstances).parameters["min_width"].default
    assert default == pytest.approx(4 / 550, abs=5e-6)


def test_discard_in_a_pipeline_without_objects() -> None:
    sample = Sample(np.zeros((*SIZE, 3), np.float32))
    assert DiscardSmallInstances()(sample, np.random.default_rng(0)).instances is None


@pytest.mark.parametrize(
    ("component", "arguments"),
    [
        (RandomExpand, {"prob": 2}),
        (RandomExpand, {"max_ratio": 0.5}),
        (RandomExpand, {"im_padding_value": [1, 2]}),
        (RandomInstanceCrop, {"min_overlaps": [1.5]}),
        (RandomInstanceCrop, {"min_scale": 0}),
        (RandomInstanceCrop, {"attempts": 0}),
        (DiscardSmallInstances, {"min_width": 4}),
        (DiscardSmallInstances, {"min_height": -1}),
    ],
)
def test_impossible_arguments(component: type, arguments: dict) -> None:
    with pytest.raises(ConfigError, match=component.__name__):
        component(**arguments)
