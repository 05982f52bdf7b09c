"""Rotation and affine maps against exact turns, Pillow and SciPy."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mobileseg.data.sample import Sample
from mobileseg.data.transforms.affine import RandomAffine, RandomRotation

pytestmark = pytest.mark.both


class Fixed:
    """A generator that always draws the given number."""

    def __init__(self, value: float) -> None:
        self.value = value

    def uniform(self, low: float, high: float, size: int | None = None) -> float | np.ndarray:
        assert low <= self.value <= high
        return self.value if size is None else np.full(size, self.value)


def test_rotation_by_a_right_angle_is_exact(picture) -> None:
    image, label = picture(20, 30).astype(np.float32), np.arange(600, dtype=np.int64).reshape(20, 30) % 7
    for angle, turns in ((90, 1), (-90, -1), (0, 0), (180, 2)):
        sample = Sample(image.copy(), label.astype(np.uint8), {"ignore_index": 255})
        after = RandomRotation(max_rotation=180)(sample, Fixed(angle))
        np.testing.assert_allclose(after.image, np.rot90(image, turns), atol=0.01)
        np.testing.assert_array_equal(after.label, np.rot90(label, turns))


def test_rotation_against_scipy(picture) -> None:
    image = ndimage.gaussian_filter(picture(40, 40).astype(np.float32), (2, 2, 0))
    sample = Sample(image.copy(), np.ones((40, 40), np.uint8), {"ignore_index": 255})
    after = RandomRotation(max_rotation=30)(sample, Fixed(30))
    expected = ndimage.rotate(image, 30, reshape=True, order=1, cval=127.5)
    assert abs(after.size[0] - expected.shape[0]) <= 1
    middle = [slice(after.size[0] // 2 - 12, after.size[0] // 2 + 12)] * 2
    if after.size == expected.shape[:2]:
        assert np.abs(after.image[tuple(middle)] - expected[tuple(middle)]).mean() < 1.5
    assert (after.image[0, 0] == 127.5).all()
    assert after.label[0, 0] == 255
    np.testing.assert_allclose((after.label == 1).sum(), 1600, rtol=0.05)  # nothing is cut off


def test_rotation_off() -> None:
    sample = Sample(np.zeros((3, 4, 3), np.float32))
    assert RandomRotation(0)(sample, np.random.default_rng(0)).image is sample.image


def test_affine_without_turn_is_a_resize(picture) -> None:
    image = picture(20, 30)
    sample = Sample(image.astype(np.float32), np.zeros((20, 30), np.uint8), {"ignore_index": 255})
    transform = RandomAffine(size=[60, 40], max_rotation=0, min_scale_factor=0, max_scale_factor=1)
    matrix = transform.matrix(20, 30, 0, 1, np.zeros(2))
    # Pixel centres of a doubled image lie at -0.25, 0.25, 0.75, ... of the original.
    np.testing.assert_allclose(matrix, [[2, 0, 0.5], [0, 2, 0.5]])
    after = RandomAffine(size=[60, 40], max_rotation=0, min_scale_factor=1, max_scale_factor=1)(
        sample, np.random.default_rng(0)
    )
    for channel in range(3):
        pillow = Image.fromarray(image[..., channel].astype(np.float32)).resize((60, 40), Image.Resampling.BILINEAR)
        inside = (slice(1, -1), slice(1, -1))
        assert np.abs(after.image[..., channel] - np.asarray(pillow))[inside].max() < 0.5
    assert after.image.shape == (40, 60, 3)


def test_affine_matrix_turns_shifts_and_scales_about_the_centre() -> None:
    transform = RandomAffine(size=[101, 51])
    matrix = transform.matrix(51, 101, 90, 2, np.array([3.0, -4.0]))
    centre = matrix @ [50, 25, 1]
    np.testing.assert_allclose(centre, [53, 21])
    right = matrix @ [51, 25, 1] - centre  # counter-clockwise as seen: right becomes up
    np.testing.assert_allclose(right, [0, -2], atol=1e-12)


def test_affine_draws_inside_its_ranges_and_pads(picture) -> None:
    transform = RandomAffine(size=[40, 40], min_scale_factor=0.5, max_scale_factor=0.5, im_padding_value=9)
    sample = Sample(picture(40, 40).astype(np.float32), np.ones((40, 40), np.uint8), {"ignore_index": 255})
    after = transform(sample, np.random.default_rng(0))
    assert (after.image[0, 0] == 9).all()
    assert after.label[0, 0] == 255
    np.testing.assert_allclose((after.label == 1).sum(), 400, rtol=0.1)
