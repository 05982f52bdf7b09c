from dataclasses import replace

import numpy as np
import pytest

from mobileseg.data.sample import Sample
from mobileseg.data.transforms.build import build_transforms
from mobileseg.errors import DataError, RuntimeEngineError
from mobileseg.runtime.preprocess import Geometry, Preprocessor
from mobileseg.runtime.specs import ImageSpec, ResizeSpec

pytestmark = pytest.mark.both

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SPEC = ImageSpec(name="x", height=12, width=20, mean=MEAN, std=STD)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def bilinear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Half-pixel bilinear resize by its definition, in float64."""
    result = image.astype(np.float64)
    for axis, length in enumerate(size):
        old = result.shape[axis]
        centre = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
        low = np.floor(centre).astype(int)
        high = np.minimum(low + 1, old - 1)
        share = (centre - low).reshape([-1 if i == axis else 1 for i in range(3)])
        result = result.take(low, axis) * (1 - share) + result.take(high, axis) * share
    return result


def expected(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The formula of the manifest, written out."""
    return ((bilinear(image, size) / 255.0 - MEAN) / STD).transpose(2, 0, 1)[None]


@pytest.mark.parametrize("size", [(12, 20), (24, 40), (9, 31), (5, 7), (1, 1), (12, 7), (6, 20), (240, 1)])
def test_stretch_follows_the_formula(size: tuple[int, int]) -> None:
    image = picture(*size)
    result = Preprocessor(SPEC)(image)
    assert result.dtype == np.float32
    assert result.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(result, expected(image, (12, 20)), atol=2e-5)


@pytest.mark.parametrize("size", [(12, 20), (31, 17)])
def test_it_is_what_training_does(size: tuple[int, int]) -> None:
    """The transforms of a configuration and the manifest that export makes of them give the same input."""
    steps = [{"type": "Resize", "target_size": [20, 12]}, {"type": "Normalize", "mean": list(MEAN), "std": list(STD)}]
    image = picture(*size)
    sample = Sample(image.astype(np.float32))
    for step in build_transforms(steps):
        sample = step(sample, np.random.default_rng(0))
    np.testing.assert_allclose(Preprocessor(SPEC)(image)[0], sample.image.transpose(2, 0, 1), atol=2e-5)


def test_resizing_is_not_rounded_to_eight_bits() -> None:
    image = np.zeros((1, 2, 3), np.uint8)
    image[0, 1] = 1
    spec = replace(SPEC, height=1, width=4, mean=(0.0,) * 3, std=(1.0,) * 3, scale=1.0)
    np.testing.assert_allclose(Preprocessor(spec)(image)[0, 0, 0], [0, 0.25, 0.75, 1.0])


def test_bgr_swaps_channels_but_not_their_statistics() -> None:
    image = picture(12, 20)
    spec = replace(SPEC, color="BGR")
    reference = ((image[:, :, ::-1] / 255.0 - MEAN) / STD).transpose(2, 0, 1)[None]
    np.testing.assert_allclose(Preprocessor(spec)(image), reference, atol=1e-5)
    large = np.repeat(np.repeat(image, 2, 0), 2, 1)
    np.testing.assert_allclose(Preprocessor(spec)(large), reference, atol=1e-5)


def test_padding_is_the_mean_colour_at_bottom_and_right() -> None:
    spec = replace(SPEC, height=16, width=16, dynamic=True, multiple=8, resize=ResizeSpec(mode="none"))
    image = picture(10, 17)
    step = Preprocessor(spec)
    assert step.geometry(image) == Geometry((10, 17), (10, 17), (16, 24))
    result = step(image)
    assert result.shape == (1, 3, 16, 24)
    np.testing.assert_allclose(result[:, :, :10, :17], expected(image, (10, 17)), atol=1e-5)
    np.testing.assert_allclose(result[:, :, 10:], 0, atol=1e-6)
    np.testing.assert_allclose(result[:, :, :, 17:], 0, atol=1e-6)


def test_uint8_input_normalised_in_graph_is_the_rounded_image() -> None:
    spec = replace(SPEC, dtype="uint8", layout="NHWC", normalized_in_graph=True)
    image = picture(12, 20)
    result = Preprocessor(spec)(image)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result[0], image)
    resized, exact = Preprocessor(spec)(picture(7, 9))[0], bilinear(picture(7, 9), (12, 20))
    assert (np.abs(resized - exact) < 0.5 + 1e-4).all()  # a value at .5 is rounded to either side


def test_float_input_normalised_in_graph_is_0_to_255() -> None:
    image = picture(12, 20)
    result = Preprocessor(replace(SPEC, normalized_in_graph=True))(image)
    np.testing.assert_array_equal(result[0], image.transpose(2, 0, 1).astype(np.float32))


def test_buffer_is_reused_when_it_fits_and_replaced_when_not() -> None:
    step = Preprocessor(SPEC)
    buffer = np.empty((1, 3, 12, 20), np.float32)
    assert step(picture(12, 20), buffer) is buffer
    np.testing.assert_array_equal(buffer, step(picture(12, 20)))
    assert step(picture(12, 20), np.empty((1, 3, 4, 4), np.float32)).shape == (1, 3, 12, 20)


@pytest.mark.parametrize("size", [(12, 20), (24, 40)])
def test_views_and_read_only_images_are_fine(size: tuple[int, int]) -> None:
    image = picture(size[0], 2 * size[1])[:, ::-2]
    image.flags.writeable = False
    np.testing.assert_allclose(Preprocessor(SPEC)(image), expected(image, (12, 20)), atol=2e-5)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8), "a.jpg"]
)
def test_what_is_no_rgb_image_is_named(image: object) -> None:
    with pytest.raises(DataError, match=r"must be uint8 \[H, W, 3\]"):
        Preprocessor(SPEC)(image)


def test_empty_image_and_forbidden_resize_are_errors() -> None:
    with pytest.raises(DataError, match="empty: 0x4"):
        Preprocessor(SPEC)(np.zeros((0, 4, 3), np.uint8))
    fixed = replace(SPEC, resize=ResizeSpec(mode="none"))
    with pytest.raises(RuntimeEngineError, match=r"is 4x4.*takes 12x20"):
        Preprocessor(fixed)(picture(4, 4))
