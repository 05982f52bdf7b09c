from dataclasses import replace

import numpy as np
import pytest

from mobileseg.instance.drawing import instance_colours, instance_index, instance_overlay
from mobileseg.structures import InstanceMasks, InstanceResult
from mobileseg.viz.palette import palette

PALETTE = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)
NAMES = ("person", "bicycle", "Straßenbahn")


def squares(*places: tuple[int, int, int, int], classes: tuple[int, ...] | None = None, size=(120, 160)):
    """Objects that fill their boxes: (left, top, right, bottom) each."""
    masks = np.zeros((len(places), *size), bool)
    for mask, (left, top, right, bottom) in zip(masks, places, strict=True):
        mask[top:bottom, left:right] = True
    kinds = np.array(classes if classes is not None else range(len(places)), np.int64)
    scores = np.linspace(0.9, 0.5, len(places)).astype(np.float32)
    boxes = np.array(places, np.float32).reshape(-1, 4)
    return InstanceResult(boxes, scores, kinds, InstanceMasks.from_array(masks))


def grey(size=(120, 160)) -> np.ndarray:
    return np.full((*size, 3), 100, np.uint8)


def test_masks_are_mixed_with_the_colour_of_their_class() -> None:
    image = grey()
    result = squares((20, 20, 60, 60), (80, 40, 120, 100))
    drawn = instance_overlay(image, result, NAMES, PALETTE, opacity=0.5, boxes=False, names=False)
    assert drawn[40, 40].tolist() == [150, 50, 50]
    assert drawn[70, 100].tolist() == [50, 150, 50]
    assert drawn[110, 10].tolist() == [100, 100, 100]
    assert (image == 100).all()
    assert drawn[20, 40].tolist() == [200, 0, 0]  # the contour, in full colour


def test_boxes_and_names_can_be_left_out() -> None:
    result = squares((40, 60, 70, 90))
    empty = InstanceResult(
        result.boxes, result.scores, result.classes, InstanceMasks.from_array(np.zeros((1, 120, 160)))
    )
    assert (instance_overlay(grey(), empty, NAMES, PALETTE, boxes=False, names=False) == 100).all()
    framed = instance_overlay(grey(), empty, NAMES, PALETTE, names=False)
    assert framed[60, 55].tolist() == [200, 0, 0]
    assert framed[89, 55].tolist() == [200, 0, 0]  # x2 and y2 are edges: the last pixel is the one before
    assert framed[91, 55].tolist() == [100, 100, 100]
    assert (instance_overlay(grey(), empty, NAMES, PALETTE, boxes=False) != 100).any()


def test_small_objects_stay_visible_on_large_ones() -> None:
    result = squares((10, 10, 150, 110), (60, 50, 80, 70))
    swapped = result.take([1, 0])
    for some in (result, swapped):
        drawn = instance_overlay(grey(), some, NAMES, PALETTE, opacity=1.0, boxes=False, names=False)
        assert drawn[60, 70].tolist() == [0, 200, 0]


def test_colours_are_stable_per_class_and_differ_per_instance() -> None:
    colours = instance_colours(np.array([1, 0, 1, 1]), palette(3))
    assert colours[0].tolist() == palette(3)[1].tolist()
    assert colours[1].tolist() == palette(3)[0].tolist()
    assert len({tuple(colour) for colour in colours.tolist()}) == 4
    many = instance_colours(np.zeros(6, int), PALETTE)
    assert len({tuple(colour) for colour in many.tolist()}) == 6
    assert instance_colours(np.zeros(0, int), PALETTE).shape == (0, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (12, 12), (700, 900)])
def test_names_stay_inside_of_images_of_any_size(size: tuple[int, int]) -> None:
    height, width = size
    result = squares((0, 0, width, height), (width - 1, height - 1, width, height), classes=(2, 2), size=size)
    drawn = instance_overlay(grey(size), result, NAMES, PALETTE)
    assert drawn.shape == (*size, 3)
    assert drawn.dtype == np.uint8


def test_names_of_objects_in_one_place_do_not_cover_each_other() -> None:
    """Three tags at the same box: the background colours of all three are seen in full."""
    result = squares(*[(60, 50, 100, 70)] * 3, size=(240, 320))
    drawn = instance_overlay(grey((240, 320)), result, NAMES, PALETTE, opacity=0.0, boxes=False)
    areas = [int((drawn == colour).all(axis=2).sum()) for colour in instance_colours(result.classes, PALETTE)]
    alone = []
    for index in range(3):
        single = instance_overlay(grey((240, 320)), result.take([index]), NAMES, PALETTE, opacity=0.0, boxes=False)
        alone.append(int((single == PALETTE[index]).all(axis=2).sum()))
    outline = 2 * (40 + 20)
    assert all(seen >= full - outline for seen, full in zip(areas, alone, strict=True))


def test_text_is_black_on_light_and_white_on_dark() -> None:
    colours = np.array([[250, 250, 120], [20, 20, 90], [0, 0, 0]], np.uint8)
    for index, ink in ((0, 0), (1, 255)):
        result = squares((40, 60, 140, 110), classes=(index,), size=(240, 320))
        drawn = instance_overlay(grey((240, 320)), result, NAMES, colours, opacity=0.0, boxes=False)
        tag = drawn[35:60, 40:140].astype(int)
        assert np.abs(tag - ink).sum(axis=2).min() < 60


def test_a_track_has_one_colour_wherever_it_stands() -> None:
    ids = np.array([7, 3, 8], np.int64)
    colours = instance_colours(np.array([0, 0, 1]), PALETTE, ids)
    assert len({tuple(colour) for colour in colours.tolist()}) == 3
    np.testing.assert_array_equal(instance_colours(np.array([1, 2]), PALETTE, ids[[2, 0]]), colours[[2, 0]])
    far = instance_colours(np.zeros(2, int), PALETTE, np.array([0, 2**40], np.int64))
    assert far.shape == (2, 3)


def test_tracks_are_drawn_in_their_colours_with_their_ids() -> None:
    plain = squares((40, 60, 100, 100), (110, 60, 150, 110), size=(240, 320))
    tracked = replace(plain, track_ids=np.array([5, 2], np.int64))
    drawn = instance_overlay(grey((240, 320)), tracked, NAMES, PALETTE, opacity=1.0, boxes=False, names=False)
    colours = instance_colours(plain.classes, PALETTE, tracked.track_ids)
    assert drawn[80, 60].tolist() == colours[0].tolist()
    alone = instance_overlay(grey((240, 320)), tracked.take([1]), NAMES, PALETTE, opacity=1.0, boxes=False, names=False)
    assert alone[80, 130].tolist() == drawn[80, 130].tolist() == colours[1].tolist()
    named = instance_overlay(grey((240, 320)), tracked, NAMES, PALETTE, opacity=1.0, boxes=False)
    assert (named[:60] == colours[0]).all(axis=2).sum() > (
        instance_overlay(grey((240, 320)), plain, NAMES, PALETTE, opacity=1.0, boxes=False)[:60] == PALETTE[0]
    ).all(axis=2).sum(), "the tag is longer by the id"


def test_nothing_found_leaves_the_image() -> None:
    assert (instance_overlay(grey(), squares(), NAMES, PALETTE) == 100).all()


def test_sizes_that_differ_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"image is \[10, 10\] and the masks are \[120, 160\]"):
        instance_overlay(grey((10, 10)), squares(), NAMES, PALETTE)


def test_index_numbers_the_objects_and_the_better_one_wins() -> None:
    index = instance_index(squares((10, 10, 50, 50), (30, 30, 80, 80), classes=(1, 1)))
    assert (index.dtype, index[20, 20], index[40, 40], index[70, 70], index[0, 0]) == (np.uint8, 1, 1, 2, 0)
    many = squares(*[(i % 160, i // 160, i % 160 + 1, i // 160 + 1) for i in range(300)], classes=(0,) * 300)
    wide = instance_index(many)
    assert (wide.dtype, wide[0, 159], wide[1, 139]) == (np.uint16, 160, 300)
