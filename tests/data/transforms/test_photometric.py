"""YOLACT's photometric distortion against colorsys and plain arithmetic."""

import colorsys

import numpy as np
import pytest

from mobileseg.data.sample import Sample
from mobileseg.data.transforms.photometric import PhotometricDistort, _coloured
from mobileseg.errors import ConfigError

pytestmark = pytest.mark.both


def distorted(image: np.ndarray, seed: int, **arguments: object) -> np.ndarray:
    return PhotometricDistort(**arguments)(Sample(image.copy()), np.random.default_rng(seed)).image


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).uniform(20, 230, (7, 9, 3)).astype(np.float32)


@pytest.mark.parametrize(("saturation", "hue"), [(0.5, 0), (1.5, 0), (1, 18), (1, -18), (1.2, 170), (0, 5)])
def test_saturation_and_hue_are_those_of_hsv(image: np.ndarray, saturation: float, hue: float) -> None:
    changed = _coloured(image, saturation, hue)
    for before, after in zip(image.reshape(-1, 3), changed.reshape(-1, 3), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*(before / 255.0).tolist())
        if s * saturation > 1:  # published: not limited, so a channel may fall below 0
            assert after.min() < 0
            continue
        expected = colorsys.hsv_to_rgb((h + hue / 360) % 1, s * saturation, v)
        np.testing.assert_allclose(after, np.array(expected) * 255, atol=0.05)


def test_brightness_and_contrast(image: np.ndarray) -> None:
    shifts = []
    for seed in range(200):
        change = distorted(image, seed, contrast=[1, 1], saturation=[1, 1], hue=0) - image
        np.testing.assert_allclose(change, change[0, 0, 0], atol=1e-3)
        shifts.append(float(change[0, 0, 0]))
    drawn = np.array(shifts)
    assert np.abs(drawn).max() <= 32
    assert drawn.min() < -25
    assert drawn.max() > 25
    assert 60 < np.count_nonzero(drawn == 0) < 140
    factors = []
    for seed in range(200):
        ratio = distorted(image, seed, brightness=0, saturation=[1, 1], hue=0) / image
        np.testing.assert_allclose(ratio, ratio[0, 0, 0], rtol=1e-4)
        factors.append(float(ratio[0, 0, 0]))
    assert min(factors) < 0.6
    assert max(factors) > 1.4
    assert min(factors) >= 0.5 - 1e-4
    assert max(factors) <= 1.5 + 1e-4


def test_values_are_neither_rounded_nor_clipped(image: np.ndarray) -> None:
    bright = np.full((4, 4, 3), 250.0, np.float32)
    results = np.stack([distorted(bright, seed) for seed in range(60)])
    assert results.max() > 260
    assert (results != results.round()).any()
    assert results.dtype == np.float32


def test_contrast_comes_before_or_after_the_colours() -> None:
    """Both orders give the same image unless a negative value lies between: brightness first shows them apart."""
    dark = np.array([[[1.0, 2.0, 30.0]]], np.float32)
    orders = {True: 0, False: 0}
    for seed in range(300):
        rng = np.random.default_rng(seed)
        used = rng.random(4) < 0.5
        first = bool(rng.random() < 0.5)
        if not used.all():
            continue
        orders[first] += 1
        shift, factor = rng.uniform(-32, 32), rng.uniform(0.5, 1.5)
        saturation, hue = rng.uniform(0.5, 1.5), rng.uniform(-18, 18)
        if first:
            expected = _coloured((dark + np.float32(shift)) * np.float32(factor), saturation, hue)
        else:
            expected = _coloured(dark + np.float32(shift), saturation, hue) * np.float32(factor)
        np.testing.assert_allclose(distorted(dark, seed), expected, atol=1e-3)
    assert min(orders.values()) >= 3


def test_nothing_drawn_nothing_changed(image: np.ndarray) -> None:
    np.testing.assert_array_equal(distorted(image, 0, prob=0), image)


def test_the_input_is_left_alone(image: np.ndarray) -> None:
    kept = image.copy()
    for seed in range(20):
        PhotometricDistort()(Sample(image), np.random.default_rng(seed))
    np.testing.assert_array_equal(image, kept)


def test_crops_that_are_views(image: np.ndarray) -> None:
    part = image[1:5, 2:8]
    for seed in range(10):
        np.testing.assert_array_equal(
            PhotometricDistort()(Sample(part), np.random.default_rng(seed)).image, distorted(part.copy(), seed)
        )


@pytest.mark.parametrize(
    "arguments", [{"brightness": -1}, {"contrast": [2, 1]}, {"saturation": [1]}, {"hue": 200}, {"prob": 1.2}]
)
def test_impossible_arguments(arguments: dict) -> None:
    with pytest.raises(ConfigError, match="PhotometricDistort"):
        PhotometricDistort(**arguments)
