import numpy as np
import pytest

from mobileseg.viz.hud import FrameMeter, draw_lines


class Clock:
    """Seconds that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_rate_and_means_of_the_last_frames() -> None:
    clock = Clock()
    meter = FrameMeter(window=2, clock=clock)
    meter.add({"inference": 900.0})
    assert meter.rate is None
    assert meter.lines() == ["- frames/s", "inference 900.0 ms"]
    for value in (10.0, 20.0):
        clock.now += 0.05
        meter.add({"inference": value, "draw": 2.0})
    assert meter.rate == pytest.approx(20.0)
    assert meter.lines() == ["20.0 frames/s", "inference 15.0 ms", "draw 2.0 ms"], "the first frame is forgotten"


def test_a_clock_that_stands_still_gives_no_rate() -> None:
    meter = FrameMeter(clock=Clock())
    meter.add({})
    meter.add({})
    assert meter.rate is None


@pytest.mark.parametrize("size", [(480, 640), (64, 48), (3, 5)])
def test_text_is_drawn_in_the_corner_of_a_copy(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 200, np.uint8)
    drawn = draw_lines(image, ["12.5 frames/s", "inference 31.0 ms"])
    assert (image == 200).all()
    assert drawn.shape == image.shape
    assert (drawn[0, 0] == 70).all(), "the ground is darkened"
    if size[0] > 400:
        assert drawn.max() > 230, "the letters are white"
        assert (drawn[100:] == 200).all()
        assert (drawn[:, 300:] == 200).all()


def test_nothing_to_say_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    np.testing.assert_array_equal(draw_lines(image, []), image)
