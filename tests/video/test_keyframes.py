from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from mobileseg.video.keyframes import KeyframeOptions, is_key, lost_share, thumbnail, thumbnail_difference

pytestmark = pytest.mark.both

BOX = np.array([[10, 10, 30, 30]], np.float32)
ONE = np.zeros(1, np.int64)


def test_every_fifth_frame() -> None:
    ages, age = [], None
    for _ in range(12):
        key = is_key(age, KeyframeOptions())
        ages.append(key)
        age = 1 if key else (age or 0) + 1
    assert [index for index, key in enumerate(ages) if key] == [0, 5, 10]


def test_every_frame_and_the_first_frame() -> None:
    assert is_key(None, KeyframeOptions(every=100))
    assert is_key(1, KeyframeOptions(every=1))


def test_cuts_and_lost_objects() -> None:
    rule = KeyframeOptions(every=50, scene_cut=0.1, lost_objects=0.5)
    assert not is_key(3, rule, 0.09, 0.4)
    assert is_key(3, rule, 0.1, 0.0)
    assert is_key(3, rule, 0.0, 0.5)
    assert not is_key(3, KeyframeOptions(every=50), 1.0, 1.0)


@pytest.mark.parametrize(
    "options",
    [
        {"every": 0},
        {"every": 1.5},
        {"scene_cut": 0},
        {"scene_cut": 1.1},
        {"lost_objects": -1},
        {"often": 3},
        {"delay": -1},
        {"delay": 5},
    ],
)
def test_options_outside_their_range(options: dict[str, float]) -> None:
    with pytest.raises((ValidationError, TypeError)):
        KeyframeOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(480, 640), (97, 131), (5, 3), (1, 1)])
def test_thumbnail_by_brute_force(size: tuple[int, int]) -> None:
    image = np.random.RandomState(3).randint(0, 256, (*size, 3), np.uint8)
    expected = np.zeros((12, 16), np.int64)
    for row in range(96):
        for column in range(128):
            red, green, blue = (int(value) for value in image[row * size[0] // 96, column * size[1] // 128])
            expected[row // 8, column // 8] += red + 2 * green + blue
    np.testing.assert_array_equal(thumbnail(image), expected)


def test_difference_of_black_and_white() -> None:
    black, white = (thumbnail(np.full((60, 80, 3), value, np.uint8)) for value in (0, 255))
    assert thumbnail_difference(black, white) == 1.0
    assert thumbnail_difference(black, black) == 0.0


def test_lost_objects() -> None:
    none = np.zeros((0, 4), np.float32)
    assert lost_share(none, ONE[:0], BOX, ONE) == 0.0
    assert lost_share(BOX, ONE, none, ONE[:0]) == 1.0
    assert lost_share(BOX, ONE, BOX, ONE + 1) == 1.0  # another class
    for shift, lost in ((6, 0.0), (7, 1.0)):  # IoU 14/26 and 13/27
        moved = BOX + np.array([shift, 0, shift, 0], np.float32)
        assert lost_share(BOX, ONE, moved, ONE) == lost
    assert lost_share(BOX, ONE, BOX[:, [2, 3, 2, 3]], ONE) == 1.0  # a box of no size


def test_iou_of_exactly_one_half_is_found_again() -> None:
    half = np.array([[10, 10, 30, 20]], np.float32)
    assert lost_share(BOX, ONE, half, ONE) == 0.0
