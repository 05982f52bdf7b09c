"""Colour transforms against the formulas, and their randomness."""

import colorsys

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy import ndimage

from mobileseg.data.sample import Sample
from mobileseg.data.transforms.color import (
    Normalize,
    RandomBlur,
    RandomDistort,
    RandomGrayscale,
    RandomNoise,
    shift_hue,
)
from mobileseg.errors import ConfigError

pytestmark = pytest.mark.both

OFF = {"brightness_prob": 0, "contrast_prob": 0, "saturation_prob": 0, "hue_prob": 0}
LUMA = np.array([0.299, 0.587, 0.114])


def distort(image: np.ndarray, seed: int = 0, **only) -> tuple[np.ndarray, float]:
    """The distorted image and the amount that was drawn."""
    transform = RandomDistort(**(OFF | only))
    ((_, amount),) = transform.draw(np.random.default_rng(seed))
    sample = transform(Sample(image.astype(np.float32)), np.random.default_rng(seed))
    assert sample.image.dtype == np.float32
    return sample.image, amount


@pytest.mark.parametrize("seed", range(6))
def test_brightness_contrast_saturation(picture, seed: int) -> None:
    image = picture(20, 30)
    luma = (image @ LUMA)[..., None]
    bases = {
        "brightness": np.zeros(1),
        "contrast": np.floor(luma.mean() + 0.5),  # one grey for the whole image
        "saturation": luma,
    }
    for name, base in bases.items():
        result, amount = distort(image, seed, **{f"{name}_prob": 1})
        assert 0.5 <= amount <= 1.5
        expected = np.clip(base + amount * (image - base), 0, 255)
        assert np.abs(result - expected).max() <= 2, name
        assert np.abs(result - image).mean() > 2 * np.abs(result - expected).mean(), name


def test_every_pixel_is_what_pillow_makes_of_it(picture) -> None:
    enhancers = {
        "brightness": ImageEnhance.Brightness,
        "contrast": ImageEnhance.Contrast,
        "saturation": ImageEnhance.Color,
        "sharpness": ImageEnhance.Sharpness,
    }
    noise = np.random.default_rng(1).integers(0, 256, (64, 48, 3)).astype(np.uint8)
    for image in (picture(37, 53), noise):
        for name, enhancer in enhancers.items():
            for seed in range(20):
                result, factor = distort(image, seed, **{f"{name}_prob": 1, f"{name}_range": 1})
                expected = enhancer(Image.fromarray(image)).enhance(factor)
                np.testing.assert_array_equal(result, np.asarray(expected), name)


@pytest.mark.parametrize("delta", [-18, -3.7, 0.0, 9.2, 18])
def test_hue_turns_on_the_circle(delta: float) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    result = shift_hue(image, delta).astype(float)
    for row in range(6):
        for column in range(8):
            hue, saturation, value = colorsys.rgb_to_hsv(*(image[row, column] / 255))
            expected = np.array(colorsys.hsv_to_rgb((hue + np.trunc(delta) / 256) % 1, saturation, value)) * 255
            assert np.abs(result[row, column] - expected).max() <= 10  # 8-bit hue and saturation


def test_hue_is_that_of_pillows_mode_hsv(picture) -> None:
    original = Image.fromarray(picture(60, 80))
    for delta in (-18, 0, 7):
        hue, saturation, value = original.convert("HSV").split()
        turned = hue.point([(step + delta) % 256 for step in range(256)])
        expected = np.asarray(Image.merge("HSV", (turned, saturation, value)).convert("RGB")).astype(int)
        assert np.abs(shift_hue(np.asarray(original), delta) - expected).mean() < 1.2
    other = shift_hue(np.asarray(original), 3).astype(int)
    assert np.abs(other - np.asarray(original)).mean() > 2


def test_hue_is_drawn_from_its_range(picture) -> None:
    amounts = [distort(picture(4, 4), seed, hue_prob=1)[1] for seed in range(200)]
    assert -18 <= min(amounts) < -15
    assert 15 < max(amounts) <= 18


def test_sharpness_is_off_unless_asked_for(picture) -> None:
    image = picture(12, 12)
    assert all(
        name != "sharpness" for seed in range(50) for name, _ in RandomDistort().draw(np.random.default_rng(seed))
    )
    result, amount = distort(image, 3, sharpness_prob=1)
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13  # Pillow's SMOOTH
    smooth = np.stack([ndimage.correlate(image[..., c].astype(float), kernel) for c in range(3)], -1)
    expected = np.clip(smooth + amount * (image - smooth), 0, 255)
    assert np.abs(result - expected)[1:-1, 1:-1].max() <= 2


def test_each_step_has_its_own_probability_and_the_order_is_random() -> None:
    rng = np.random.default_rng(0)
    draws = [[name for name, _ in RandomDistort(brightness_prob=0.2).draw(rng)] for _ in range(2000)]
    share = {
        name: np.mean([name in names for names in draws]) for name in ("brightness", "contrast", "saturation", "hue")
    }
    assert abs(share.pop("brightness") - 0.2) < 0.04
    assert all(abs(value - 0.5) < 0.05 for value in share.values())
    first = [names[0] for names in draws if {"contrast", "hue"} <= set(names)]
    assert 0.2 < np.mean([name == "hue" for name in first]) < 0.5


def test_nothing_drawn_leaves_float_pixels_alone() -> None:
    image = np.random.default_rng(0).uniform(0, 255, (4, 5, 3)).astype(np.float32)
    sample = RandomDistort(**OFF)(Sample(image.copy()), np.random.default_rng(0))
    np.testing.assert_array_equal(sample.image, image)


def test_normalize(picture) -> None:
    image = picture(7, 5)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    result = Normalize(mean, std)(Sample(image.astype(np.float32)), np.random.default_rng(0)).image
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, (image / 255.0 - mean) / std, atol=1e-6)
    result = Normalize()(Sample(image.astype(np.float32)), np.random.default_rng(0)).image
    np.testing.assert_allclose(result, image / 127.5 - 1.0, atol=1e-6)
    flipped = Normalize()(Sample(image.astype(np.float32)[:, ::-1]), np.random.default_rng(0)).image
    np.testing.assert_array_equal(flipped, result[:, ::-1])


def test_blur_kinds(picture) -> None:
    image = picture(30, 30).astype(np.float32)
    for kind in ("gaussian", "median", "blur"):
        blurred = RandomBlur(prob=1, blur_type=kind)(Sample(image.copy()), np.random.default_rng(0)).image
        assert blurred.dtype == np.float32
        assert np.abs(np.diff(blurred, axis=0)).mean() < 0.8 * np.abs(np.diff(image, axis=0)).mean(), kind
    box = RandomBlur(prob=1, blur_type="blur")(Sample(image.copy()), np.random.default_rng(0)).image
    window = next(
        size
        for size in (3, 5, 7, 9)
        if np.allclose(ndimage.uniform_filter(image, (size, size, 0), mode="mirror"), box, atol=0.01)
    )
    assert window in (3, 5, 7, 9)
    rng = np.random.default_rng(0)
    changed = sum((RandomBlur(prob=0.25)(Sample(image.copy()), rng).image != image).any() for _ in range(400))
    assert 70 < changed < 130


def test_noise_has_the_drawn_deviation() -> None:
    image = np.full((60, 60, 3), 128, np.float32)
    rng = np.random.default_rng(0)
    deviations = [RandomNoise(1, 10)(Sample(image.copy()), rng).image.std() for _ in range(100)]
    assert max(deviations) < 10.3
    assert 4 < np.mean(deviations) < 6
    dark = RandomNoise(1, 10)(Sample(np.zeros_like(image)), rng).image
    assert dark.min() == 0
    assert dark.dtype == np.float32


def test_grayscale(picture) -> None:
    image = picture(5, 6).astype(np.float32)
    result = RandomGrayscale(1)(Sample(image.copy()), np.random.default_rng(0)).image
    np.testing.assert_allclose(result, np.repeat((image @ LUMA)[..., None], 3, -1), atol=0.01)
    assert RandomGrayscale(0)(Sample(image), np.random.default_rng(0)).image is image


@pytest.mark.parametrize(
    "build", [lambda: Normalize(std=0), lambda: Normalize(mean=[1, 2]), lambda: RandomBlur(blur_type="motion")]
)
def test_impossible_arguments(build) -> None:
    with pytest.raises(ConfigError):
        build()
