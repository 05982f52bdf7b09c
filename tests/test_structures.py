from dataclasses import replace

import numpy as np
import pytest

from mobileseg.structures import InstanceMasks, InstanceResult, of_image


def result(count: int = 3) -> InstanceResult:
    masks = np.zeros((count, 6, 8), bool)
    for index in range(count):
        masks[index, index : index + 2, 1:5] = True
    return InstanceResult(
        np.arange(count * 4, dtype=np.float32).reshape(count, 4),
        np.linspace(0.9, 0.1, count).astype(np.float32),
        np.arange(count),
        InstanceMasks.from_array(masks),
    )


def test_masks_come_back_as_they_were_given() -> None:
    masks = np.random.default_rng(0).random((5, 7, 9)) > 0.8
    masks[2] = False
    masks[3] = True
    kept = InstanceMasks.from_array(masks)
    np.testing.assert_array_equal(kept.to_array(), masks)
    np.testing.assert_array_equal(kept[1], masks[1])
    np.testing.assert_array_equal(np.stack(list(kept)), masks)
    np.testing.assert_array_equal(kept.areas(), masks.sum((1, 2)))
    np.testing.assert_array_equal(kept.take([4, 0]).to_array(), masks[[4, 0]])
    assert (len(kept), kept.size) == (5, (7, 9))
    assert kept.regions[2][2].size == 0
    with pytest.raises(IndexError):
        kept[5]


def test_regions_are_tight_and_hold_nothing_of_the_rest() -> None:
    masks = np.zeros((1, 100, 200), np.uint8)
    masks[0, 40:43, 50:55] = 1
    ((top, left, bitmap),) = InstanceMasks.from_array(masks).regions
    assert (top, left, bitmap.shape) == (40, 50, (3, 5))
    assert bitmap.base is None


def test_no_masks() -> None:
    for empty in (InstanceMasks((4, 5)), InstanceMasks.from_array(np.zeros((0, 4, 5), bool))):
        assert (len(empty), empty.size, empty.to_array().shape) == (0, (4, 5), (0, 4, 5))
        assert empty.to_rle() == []
        assert empty.areas().shape == (0,)


@pytest.mark.parametrize(
    ("region", "part"),
    [
        ((0, 0, np.zeros((2, 2), np.uint8)), "must be bool"),
        ((3, 0, np.zeros((2, 2), bool)), "rows 3..5 and columns 0..2 is not inside"),
        ((0, -1, np.zeros((2, 2), bool)), "columns -1..1"),
    ],
)
def test_regions_that_do_not_fit_are_refused(region, part) -> None:
    with pytest.raises(ValueError, match=part):
        InstanceMasks((4, 5), [region])
    with pytest.raises(ValueError, match=r"\[n, H, W\]"):
        InstanceMasks.from_array(np.zeros((4, 5), bool))


def test_a_selection_keeps_what_belongs_together() -> None:
    some = result(3)
    chosen = some.take([2, 0])
    assert chosen.classes.tolist() == [2, 0]
    np.testing.assert_array_equal(chosen.boxes, some.boxes[[2, 0]])
    np.testing.assert_array_equal(chosen.masks.to_array(), some.masks.to_array()[[2, 0]])
    assert len(some.above(0.5)) == 2
    none = some.above(2.0)
    assert (len(none), none.boxes.shape, none.masks.size) == (0, (0, 4), (6, 8))


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": np.zeros((2, 4), np.float32)},
        {"boxes": np.zeros((3, 4), np.int64)},
        {"scores": np.zeros((3, 1), np.float32)},
        {"classes": np.zeros(3, np.float32)},
        {"track_ids": np.zeros(2, np.int64)},
        {"track_ids": np.arange(3.0)},
        {"track_ids": np.array([1, 2, 1])},
        {"track_ids": np.array([-2, 2, 1])},
    ],
)
def test_parts_of_different_length_or_type_are_refused(change) -> None:
    some = result(3)
    parts = {"boxes": some.boxes, "scores": some.scores, "classes": some.classes, "masks": some.masks}
    with pytest.raises(ValueError, match=f"{next(iter(change))} must be"):
        InstanceResult(**{**parts, **change})


def test_a_selection_keeps_the_ids_of_tracks() -> None:
    some = result(3)
    assert some.take([0]).track_ids is None
    tracked = replace(some, track_ids=np.array([7, 0, 3]))
    assert tracked.take([2, 0]).track_ids.tolist() == [3, 7]
    assert tracked.above(2.0).track_ids.tolist() == []


def test_objects_of_no_track_have_no_number() -> None:
    some = replace(result(4), track_ids=np.array([-1, 5, -1, 0]))
    assert some.of_tracks().track_ids.tolist() == [5, 0]
    np.testing.assert_array_equal(some.of_tracks().boxes, some.boxes[[1, 3]])
    assert of_image(some).track_ids is None
    with pytest.raises(ValueError, match="no track ids"):
        of_image(some).of_tracks()
