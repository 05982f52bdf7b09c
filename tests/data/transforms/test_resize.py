"""Resizes and paddings: sizes by PaddleSeg's formulas, pixels by Pillow in float."""

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from mobileseg.data.sample import Sample
from mobileseg.data.transforms.resize import (
    LimitLong,
    Padding,
    PaddingByAspectRatio,
    Resize,
    ResizeByLong,
    ResizeByShort,
    ResizeRangeScaling,
    ResizeStepScaling,
)
from mobileseg.errors import ConfigError, DataError

pytestmark = pytest.mark.both


def make(height: int, width: int) -> Sample:
    rng = np.random.default_rng(height * 1000 + width)
    image = rng.uniform(0, 255, (height, width, 3)).astype(np.float32)
    return Sample(image, rng.integers(0, 5, (height, width), dtype=np.uint8), {"ignore_index": 255})


def run(transform, sample: Sample, seed: int = 0) -> Sample:
    return transform(sample, np.random.default_rng(seed))


def test_resize_is_width_height_and_upsamples_like_pillow() -> None:
    before = make(20, 30)
    image = before.image.copy()
    after = run(Resize(target_size=[90, 50]), before)
    assert after.image.shape == (50, 90, 3)
    assert after.label.shape == (50, 90)
    assert after.meta["geometry"] == [("resize", (20, 30))]
    for channel in range(3):  # for enlarging, Pillow's bilinear is the same half-pixel rule
        pillow = Image.fromarray(image[..., channel]).resize((90, 50), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(after.image[..., channel], np.asarray(pillow), atol=0.02)


@pytest.mark.parametrize(
    ("size", "target", "expected"),
    [
        ((100, 200), [512, 512], (256, 512)),
        ((200, 100), [512, 512], (512, 256)),
        ((360, 480), [1024, 512], (512, 683)),
        ((480, 360), [1024, 512], (683, 512)),  # the target is turned with the image
        ((1000, 3000), [1333, 800], (444, 1333)),
    ],
)
def test_keep_ratio(size, target, expected) -> None:
    assert run(Resize(target_size=target, keep_ratio=True), make(*size)).size == expected


def test_size_divisor_rounds_up() -> None:
    transform = Resize(target_size=[512, 512], keep_ratio=True, size_divisor=32)
    assert run(transform, make(100, 210)).size == (256, 512)
    assert run(transform, make(100, 190)).size == (288, 512)


def test_interpolations_differ_and_random_uses_all() -> None:
    images = {
        name: run(Resize([17, 13], interp=name), make(30, 40)).image
        for name in ("NEAREST", "LINEAR", "CUBIC", "AREA", "LANCZOS4")
    }
    assert len({image.tobytes() for image in images.values()}) == 5
    random = {run(Resize([17, 13], interp="RANDOM"), make(30, 40), seed).image.tobytes() for seed in range(60)}
    assert random == {image.tobytes() for image in images.values()}


def test_by_long_and_by_short() -> None:
    assert run(ResizeByLong(200), make(50, 80)).size == (125, 200)
    assert run(ResizeByLong(200), make(80, 50)).size == (200, 125)
    assert run(ResizeByShort(100), make(50, 80)).size == (100, 160)
    assert run(ResizeByShort(100, max_size=120), make(50, 80)).size == (75, 120)
    sizes = {run(ResizeByShort([32, 64]), make(50, 80), seed).size[0] for seed in range(20)}
    assert sizes == {32, 64}


def test_limit_long() -> None:
    transform = LimitLong(max_long=100, min_long=60)
    assert run(transform, make(50, 200)).size == (25, 100)
    assert run(transform, make(20, 30)).size == (40, 60)
    kept = run(transform, make(50, 80))
    assert kept.size == (50, 80)
    assert not kept.meta.get("geometry")


def test_range_scaling_covers_the_range() -> None:
    rng = np.random.default_rng(0)
    sizes = [ResizeRangeScaling(40, 60)(make(3, 5), rng).size[1] for _ in range(1000)]
    assert min(sizes) == 40
    assert max(sizes) == 60
    assert stats.chisquare(np.bincount(sizes)[41:60]).pvalue > 0.001
    assert run(ResizeRangeScaling(50, 50), make(30, 25)).size == (50, 42)


def test_step_scaling_draws_seven_factors_alike() -> None:
    transform = ResizeStepScaling(0.5, 2.0, 0.25)
    rng = np.random.default_rng(0)
    widths = [transform(make(8, 100), rng).size[1] for _ in range(1400)]
    values, counts = np.unique(widths, return_counts=True)
    np.testing.assert_array_equal(values, [50, 75, 100, 125, 150, 175, 200])
    assert stats.chisquare(counts).pvalue > 0.001


def test_step_scaling_keeps_the_last_factor_of_fine_steps() -> None:
    assert len(ResizeStepScaling(0.8, 1.2, 0.1).factors) == 5
    assert len(ResizeStepScaling(1.0, 1.0).factors) == 1
    free = [run(ResizeStepScaling(0.5, 2.0, 0), make(8, 1000), seed).size[1] for seed in range(40)]
    assert len(set(free)) > 30


def test_padding_at_bottom_and_right() -> None:
    sample = make(4, 6)
    image, label = sample.image.copy(), sample.label.copy()
    padded = run(Padding([9, 7]), sample)
    assert padded.image.dtype == np.float32
    np.testing.assert_array_equal(padded.image[:4, :6], image)
    np.testing.assert_array_equal(padded.label[:4, :6], label)
    assert (padded.image[4:] == 127.5).all()
    assert (padded.image[:, 6:] == 127.5).all()
    assert (padded.label[4:] == 255).all()
    assert padded.meta["geometry"] == [("padding", (4, 6))]
    sample = make(4, 6)
    sample.meta["ignore_index"] = 7
    assert (run(Padding(10), sample).label[4:] == 7).all()
    assert (run(Padding(10, im_padding_value=0, label_padding_value=3), make(4, 6)).label[4:] == 3).all()


def test_padding_refuses_larger_images() -> None:
    with pytest.raises(DataError, match="Padding to 5x9"):
        run(Padding([5, 9]), make(4, 6))


def test_padding_by_aspect_ratio() -> None:
    assert run(PaddingByAspectRatio(2), make(30, 40)).size == (30, 60)
    assert run(PaddingByAspectRatio(1), make(30, 40)).size == (40, 40)
    assert run(PaddingByAspectRatio(4 / 3), make(30, 40)).size == (30, 40)


def test_one_pixel_images() -> None:
    for transform in (Resize([4, 3]), ResizeByLong(5), ResizeByShort(5), ResizeStepScaling(0.1, 0.2), Padding(3)):
        sample = run(transform, make(1, 1))
        assert sample.image.ndim == 3
        assert sample.label.shape == sample.size


@pytest.mark.parametrize(
    "build",
    [
        lambda: Resize(target_size=[5]),
        lambda: Resize(target_size=[0, 5]),
        lambda: Resize(target_size=[5.5, 5]),
        lambda: Resize(interp="SHARP"),
        lambda: ResizeByLong(-1),
        lambda: ResizeByShort([]),
        lambda: LimitLong(5, 6),
        lambda: ResizeRangeScaling(6, 5),
        lambda: ResizeStepScaling(2, 1),
        lambda: PaddingByAspectRatio(0),
    ],
)
def test_impossible_arguments(build) -> None:
    with pytest.raises(ConfigError):
        build()
