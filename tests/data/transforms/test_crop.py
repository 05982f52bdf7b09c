"""Crops and flips."""

import numpy as np
import pytest
from scipy import stats

from mobileseg.data.sample import Sample
from mobileseg.data.transforms.crop import (
    RandomCenterCrop,
    RandomHorizontalFlip,
    RandomPaddingCrop,
    RandomScaleAspect,
    RandomVerticalFlip,
)
from mobileseg.errors import ConfigError

pytestmark = pytest.mark.both


def coordinates(height: int, width: int) -> Sample:
    """An image whose values are its own coordinates: red = row, green = column, label = row."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return Sample(np.stack([rows, columns, rows], axis=-1), rows.astype(np.uint8), {"ignore_index": 255})


def test_crop_is_a_part_of_the_image_drawn_uniformly() -> None:
    transform = RandomPaddingCrop(crop_size=[6, 4])  # width 6, height 4
    rng = np.random.default_rng(0)
    tops, lefts = [], []
    for _ in range(600):
        sample = transform(coordinates(9, 10), rng)
        assert sample.image.shape == (4, 6, 3)
        top, left = int(sample.image[0, 0, 0]), int(sample.image[0, 0, 1])
        np.testing.assert_array_equal(sample.image, coordinates(9, 10).image[top : top + 4, left : left + 6])
        np.testing.assert_array_equal(sample.label, sample.image[..., 0])
        tops.append(top)
        lefts.append(left)
    for values, places in ((tops, 6), (lefts, 5)):
        counts = np.bincount(values, minlength=places)
        assert len(counts) == places
        assert stats.chisquare(counts).pvalue > 0.001


def test_small_images_are_padded_at_bottom_and_right() -> None:
    sample = RandomPaddingCrop(crop_size=[12, 11])(coordinates(9, 20), np.random.default_rng(0))
    assert sample.image.shape == (11, 12, 3)
    assert (sample.image[9:] == 127.5).all()
    assert (sample.label[9:] == 255).all()
    assert (sample.image[:9, 0, 0] == np.arange(9)).all()


def test_category_max_ratio_looks_for_mixed_places() -> None:
    label = np.zeros((40, 40), np.uint8)
    label[:, 20:] = 1
    label[:5] = 255
    mixed = {0.75: 0, 1.0: 0}
    for ratio in mixed:
        rng = np.random.default_rng(1)
        for _ in range(200):
            sample = Sample(np.zeros((40, 40, 3), np.float32), label.copy(), {"ignore_index": 255})
            part = RandomPaddingCrop([8, 8], category_max_ratio=ratio)(sample, rng).label
            counts = np.bincount(part[part != 255], minlength=2)
            mixed[ratio] += counts.sum() > 0 and counts.max() / counts.sum() < 0.75
    assert mixed[0.75] > 2 * mixed[1.0] > 0


def test_balanced_crops_hold_a_class_drawn_from_the_image() -> None:
    label = np.zeros((40, 50), np.uint8)
    label[:3] = 255
    label[39, 49] = 7  # in the corner: only one crop in 31 * 39 has it
    label[10, 20] = 3
    rng = np.random.default_rng(0)
    met = np.zeros(256, np.int64)
    tops = set()
    for _ in range(600):
        sample = Sample(np.zeros((40, 50, 3), np.float32), label.copy(), {"ignore_index": 255})
        part = RandomPaddingCrop([12, 10], class_balance=1)(sample, rng).label
        assert part.shape == (10, 12)
        met[np.unique(part)] += 1
        if 3 in part:
            tops.add(int(np.flatnonzero((part == 3).any(axis=1))[0]))
    # A third of the crops are drawn for each of the classes 0, 3 and 7; chance adds a few of 3 to those of 0.
    assert 160 < met[7] < 240
    assert 160 < met[3] < 270
    assert tops == set(range(10)), "the pixel lies anywhere in the crop"
    ignored = Sample(np.zeros((12, 12, 3), np.float32), np.full((12, 12), 255, np.uint8), {"ignore_index": 255})
    assert RandomPaddingCrop([4, 4], class_balance=1)(ignored, rng).size == (4, 4)
    unlabelled = Sample(np.zeros((12, 12, 3), np.float32))
    assert RandomPaddingCrop([4, 4], class_balance=1)(unlabelled, rng).size == (4, 4)


def test_a_share_of_the_crops_is_balanced() -> None:
    label = np.zeros((64, 64), np.uint8)
    label[63, 63] = 1
    met = {0.0: 0, 0.5: 0}
    for share in met:
        rng = np.random.default_rng(1)
        for _ in range(400):
            sample = Sample(np.zeros((64, 64, 3), np.float32), label.copy())
            met[share] += 1 in RandomPaddingCrop([8, 8], class_balance=share)(sample, rng).label
    assert met[0.0] <= 2
    assert 70 < met[0.5] < 130  # half of a half of 400, with a deviation of 9


def test_center_crop_keeps_the_share() -> None:
    rng = np.random.default_rng(0)
    sizes = np.array([RandomCenterCrop((0.5, 0.8))(coordinates(100, 100), rng).size for _ in range(300)])
    assert sizes[:, 1].min() == 50
    assert sizes[:, 0].min() == 80
    assert sizes.max() == 100
    assert RandomCenterCrop((1.0, 1.0))(coordinates(5, 5), rng).size == (5, 5)
    assert RandomCenterCrop((0, 0))(coordinates(1, 1), rng).size == (1, 1)


def test_scale_aspect_keeps_the_size_and_zooms_in() -> None:
    rng = np.random.default_rng(0)
    zoomed = 0
    for _ in range(40):
        sample = RandomScaleAspect(0.3, 0.5)(coordinates(60, 80), rng)
        assert sample.size == (60, 80)
        rows = sample.image[:, 0, 0]
        columns = sample.image[0, :, 1]
        area = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1) / (60 * 80)
        assert 0.25 < area <= 1
        assert np.abs(sample.label - sample.image[..., 0]).max() <= 0.51  # label and image moved together
        zoomed += area < 0.98
    assert zoomed > 20
    assert RandomScaleAspect(0)(coordinates(6, 8), rng).image[0, 7, 1] == 7


@pytest.mark.parametrize(("flip", "axis"), [(RandomHorizontalFlip, 1), (RandomVerticalFlip, 0)])
def test_flips(flip, axis: int) -> None:
    before = coordinates(5, 7)
    after = flip(prob=1)(coordinates(5, 7), np.random.default_rng(0))
    np.testing.assert_array_equal(after.image, np.flip(before.image, axis))
    np.testing.assert_array_equal(after.label, np.flip(before.label, axis))
    kept = flip(prob=0)(coordinates(5, 7), np.random.default_rng(0))
    np.testing.assert_array_equal(kept.image, before.image)
    rng = np.random.default_rng(2)
    count = sum(flip(prob=0.3)(coordinates(2, 2), rng).image[0, 0, :2].any() for _ in range(1000))
    assert 250 < count < 350


def test_flip_without_a_label() -> None:
    sample = RandomHorizontalFlip(1)(Sample(np.zeros((2, 3, 3), np.float32)), np.random.default_rng(0))
    assert sample.label is None


@pytest.mark.parametrize(
    "build",
    [
        lambda: RandomPaddingCrop([5]),
        lambda: RandomPaddingCrop(category_max_ratio=0),
        lambda: RandomPaddingCrop(loop_times=0),
        lambda: RandomPaddingCrop(class_balance=1.5),
        lambda: RandomCenterCrop((0.5, 1.5)),
        lambda: RandomScaleAspect(2),
        lambda: RandomHorizontalFlip(1.5),
    ],
)
def test_impossible_arguments(build) -> None:
    with pytest.raises(ConfigError):
        build()
