"""The resize rule, against Pillow and plain formulas."""

import math
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from mobileseg import pixels
from mobileseg.pixels import nearest_indices, resize, resize_bilinear, resize_nearest_label, to_uint8
from tests.data.conftest import smooth_image

pytestmark = pytest.mark.both


@pytest.fixture
def picture():
    """Makes smooth random images of a given height and width."""
    rng = np.random.default_rng(3)
    return lambda height, width: smooth_image(rng, height, width)


def bilinear_by_hand(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Half-pixel centres, edge pixels repeated, float64."""

    def axis(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        position = (np.arange(new) + 0.5) * old / new - 0.5
        low = np.floor(position).astype(int)
        return np.clip(low, 0, old - 1), np.clip(low + 1, 0, old - 1), position - low

    top, bottom, row = axis(image.shape[0], height)
    left, right, column = axis(image.shape[1], width)
    image = image.astype(np.float64)
    rows = image[top] * (1 - row)[:, None, None] + image[bottom] * row[:, None, None]
    return rows[:, left] * (1 - column)[:, None] + rows[:, right] * column[:, None]


@pytest.mark.parametrize("size", [(7, 9), (40, 31), (13, 60), (1, 1), (24, 32), (12, 16), (48, 64)])
def test_bilinear_is_half_pixel_in_float(picture, size) -> None:
    image = picture(24, 32).astype(np.float32)
    resized = resize_bilinear(image, size)
    assert resized.dtype == np.float32
    assert resized.shape == (*size, 3)
    np.testing.assert_allclose(resized, bilinear_by_hand(image, *size), atol=2e-3)
    if size not in ((24, 32),):
        assert (resized != np.rint(resized)).any(), "values must not be rounded to 8 bits"


def test_bilinear_keeps_the_number_of_dimensions() -> None:
    assert resize_bilinear(np.ones((4, 5), np.float32), (8, 10)).shape == (8, 10)
    assert resize_bilinear(np.ones((4, 5, 1), np.float32), (8, 10)).shape == (8, 10, 1)


@pytest.mark.parametrize("axes", [(), (1,), (3,), (5,)], ids=str)
@pytest.mark.parametrize(
    "heights", [(720, 256), (45, 16), (30, 20), (64, 1), (17, 17), (96, 33), (50, 75), (20, 32)], ids=str
)
def test_bytes_are_reduced_in_bands_to_the_very_numbers_of_the_whole_float_image(heights, axes, monkeypatch) -> None:
    image = np.random.default_rng(5).integers(0, 256, (heights[0], 40, *axes), dtype=np.uint8)
    for width in (16, 40, 53):
        whole = resize(image.astype(np.float32), (heights[1], width)).reshape(heights[1], width, *axes)
        for band in (1, 45 * 40, 4000, 1 << 17):
            monkeypatch.setattr(pixels, "_BAND_PIXELS", band)
            resized = resize_bilinear(image, (heights[1], width))
            assert resized.dtype == np.float32
            np.testing.assert_array_equal(resized, whole)


def test_a_large_reduced_image_is_never_float_as_a_whole(monkeypatch) -> None:
    heights = []
    monkeypatch.setattr(
        pixels, "resize", lambda image, *rest, **more: (heights.append(len(image)), resize(image, *rest, **more))[1]
    )
    resize_bilinear(np.zeros((720, 1280, 3), np.uint8), (256, 256))
    assert heights == [90] * 8


@pytest.mark.parametrize("size", [(7, 9), (40, 31), (13, 60), (1, 1), (12, 16), (48, 64), (30, 50)])
def test_nearest_label_takes_the_pixel_under_the_centre(size) -> None:
    label = np.random.default_rng(0).integers(0, 200, (24, 32), dtype=np.uint8)
    rows, columns = (
        [math.floor((position + Fraction(1, 2)) * old / new) for position in range(new)]
        for old, new in zip(label.shape, size, strict=True)
    )
    resized = resize_nearest_label(label, size)
    np.testing.assert_array_equal(resized, label[np.ix_(rows, columns)])
    pillow = np.asarray(Image.fromarray(label).resize(size[::-1], Image.Resampling.NEAREST))
    assert (resized == pillow).mean() > 0.9  # the same rule, but rounded floats at exact ties


@pytest.mark.parametrize(("size", "source"), [(7, 3), (3, 7), (5, 5), (1, 9), (1024, 511)])
def test_nearest_index_is_the_floor_of_the_half_pixel_position(size, source):
    from fractions import Fraction
    from math import floor

    expected = [floor((i + Fraction(1, 2)) * Fraction(source, size)) for i in range(size)]
    np.testing.assert_array_equal(nearest_indices(size, source), expected)


@pytest.mark.parametrize("shape", [(2, 1, 3), (1, 2, 3)])
def test_to_uint8_rounds_and_clips(shape) -> None:
    values = np.array([-3, 0.4, 0.6, 127.4, 254.6, 300], np.float32).reshape(shape)
    result = to_uint8(values)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, np.array([0, 0, 1, 127, 255, 255]).reshape(shape))
