"""Ids that stay: moving discs that hide each other, disturbed masks, real tracks, and the odd frames."""

import copy
import os
import pickle
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mobileseg.errors import ConfigError
from mobileseg.rle import decode_region
from mobileseg.structures import InstanceMasks, InstanceResult
from mobileseg.tracking.grid import SIDE, sample, shared, spacing
from mobileseg.tracking.options import TrackingOptions
from mobileseg.tracking.tracker import TrackerState, box_overlaps, overlaps, track, with_ids
from tests.tracking.identity_scores import Frame, idf1
from tests.tracking.moving_discs import discs, disturbed, result_of

DATA = Path(os.environ.get("MOBILESEG_DATA", "absent"))
SIZE = (100, 200)


def followed(
    clip: Sequence[Frame], options: TrackingOptions | None = None, *, share: float = 0.0, seed: int = 0
) -> tuple[float, float]:
    """IDF1 of the tracker and of the perfect association of the same masks.

    Args:
        clip: the truth.
        options: of the tracker.
        share: of the masks that are dropped, of those that are moved, and of false ones.
        seed: of chance.
    """
    rng = np.random.default_rng(seed)
    state, found, perfect = TrackerState(), [], []
    stranger = 10_000
    for frame in clip:
        names, masks = disturbed(rng, frame, dropped=share, jittered=share, false=share)
        ids, state = track(state, result_of(masks), options)
        known = np.flatnonzero(ids >= 0)
        found.append((ids[known].tolist(), masks.take(known)))
        perfect.append(([stranger + place if name < 0 else name for place, name in enumerate(names)], masks))
        stranger += len(names)
    return idf1(clip, found), idf1(clip, perfect)


def frame_at(*places: tuple[int, int], side: int = 20, scores: Sequence[float] | None = None) -> InstanceResult:
    """Squares whose top left corners are at (x, y)."""
    regions = [(y, x, np.ones((side, side), np.bool_)) for x, y in places]
    return result_of(InstanceMasks(SIZE, regions), scores)


def test_true_masks_keep_their_ids() -> None:
    assert followed(discs(np.random.default_rng(0), 8, 60))[0] > 0.98


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_tenth_of_the_masks_is_dropped_moved_or_false(seed: int) -> None:
    clip = discs(np.random.default_rng(seed), 10, 60)
    score, perfect = followed(clip, share=1 / 30, seed=seed)
    assert score >= 0.95, (score, perfect)


def test_a_tenth_each_costs_little_more_than_the_masks_themselves() -> None:
    scores = [followed(discs(np.random.default_rng(seed), 10, 50), share=0.1, seed=seed) for seed in range(3)]
    assert np.mean([score / perfect for score, perfect in scores]) > 0.94, scores


@pytest.mark.skipif(not (DATA / "davis_multi").is_dir(), reason="MOBILESEG_DATA has no davis_multi")
@pytest.mark.parametrize("name", ["horsejump-high", "soapbox"])
def test_objects_of_davis_keep_their_ids(name: str) -> None:
    clip = []
    for path in sorted((DATA / "davis_multi" / "Annotations" / name).glob("*.png"))[:40]:
        with Image.open(path) as image:
            clip.append(_of_index(np.asarray(image)))
    assert followed(clip)[0] > 0.99
    score, perfect = followed(clip, share=1 / 30, seed=1)
    assert score > 0.97 * perfect, (score, perfect)


@pytest.mark.skipif(not (DATA / "ctc").is_dir(), reason="MOBILESEG_DATA has no ctc")
def test_cells_keep_their_ids_between_divisions() -> None:
    folder = DATA / "ctc" / "DIC-C2DH-HeLa" / "01_ST" / "SEG"
    state, before, changes, count = TrackerState(), {}, 0, 0
    for path in sorted(folder.glob("*.tif"))[:60]:
        names, masks = _of_index(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        ids, state = track(state, result_of(masks))
        now = dict(zip(names, ids.tolist(), strict=True))
        changes += sum(before[name] != now[name] for name in set(before) & set(now))
        count += len(names)
        before = now
    assert count > 600
    assert changes <= 2


@pytest.mark.skipif(not (DATA / "sav_masks").is_dir(), reason="MOBILESEG_DATA has no sav_masks")
def test_objects_at_six_frames_a_second_are_found_again() -> None:
    """Every fourth frame of a camera that is carried about: objects jump by more than their size."""
    import json

    document = json.loads((DATA / "sav_masks" / "sav_000001_manual.json").read_text(encoding="utf-8"))
    clip, kinds = [], []
    for frame in document["masklet"]:
        regions = [(index, decode_region(one)) for index, one in enumerate(frame) if one is not None]
        regions = [(index, (top, left, bitmap.astype(bool))) for index, (top, left, bitmap) in regions if bitmap.any()]
        clip.append(([index for index, _ in regions], InstanceMasks((848, 480), [region for _, region in regions])))
        kinds.append([index for index, _ in regions])
    state, found = TrackerState(), []
    for (_, masks), classes in zip(clip, kinds, strict=True):
        ids, state = track(state, result_of(masks, classes=classes))
        found.append((ids.tolist(), masks))
    assert idf1(clip, found) > 0.6  # the class gate helps: every object here is of its own kind


def _of_index(index: np.ndarray) -> Frame:
    ids = [int(value) for value in np.unique(index) if value]
    return ids, InstanceMasks.from_array(np.array([index == value for value in ids]).reshape(len(ids), *index.shape))


def test_an_object_that_was_hidden_comes_back_with_its_id() -> None:
    state = TrackerState()
    for x in range(0, 40, 4):
        ids, state = track(state, frame_at((x, 30)))
        assert ids.tolist() == [0]
    for _ in range(8):
        ids, state = track(state, frame_at())
        assert len(ids) == 0
    ids, state = track(state, frame_at((36 + 4 * 9, 30)))
    assert ids.tolist() == [0]


def test_a_track_ends_after_max_age() -> None:
    options = TrackingOptions(max_age=2)
    for gap, expected in ((2, 0), (3, 1)):
        state = TrackerState()
        for frame in [frame_at((30, 30))] * 4 + [frame_at()] * gap:
            _, state = track(state, frame, options)
        ids, state = track(state, frame_at((30, 30)), options)
        assert ids.tolist() == [expected]


def test_ids_are_never_used_again() -> None:
    options = TrackingOptions(max_age=0)
    state, seen = TrackerState(), []
    for number in range(6):
        ids, state = track(state, frame_at((30, 30)) if number % 2 == 0 else frame_at(), options)
        seen.extend(ids.tolist())
    assert seen == [0, 1, 2]


def test_another_class_is_another_object() -> None:
    first, second = frame_at((30, 30)), replace(frame_at((30, 30)), classes=np.array([4]))
    for same, expected in ((True, [1]), (False, [0])):
        options = TrackingOptions(same_class=same)
        _, state = track(TrackerState(), first, options)
        assert track(state, second, options)[0].tolist() == expected


def test_a_weak_object_continues_a_track_and_begins_none() -> None:
    _, state = track(TrackerState(), frame_at((30, 30)))
    ids, state = track(state, frame_at((31, 30), (90, 30), scores=[0.2, 0.15]))
    assert ids.tolist() == [0, -1]
    ids, state = track(state, frame_at((32, 30), scores=[0.05]))
    assert ids.tolist() == [-1]
    assert state.tracks[0].missed == 1


def test_false_objects_are_left_out_when_a_track_needs_hits() -> None:
    options = TrackingOptions(min_hits=2)
    ids, state = track(TrackerState(), frame_at((30, 30)), options)
    assert ids.tolist() == [0]  # of the first frame everything is reported
    ids, state = track(state, frame_at((30, 30), (120, 50)), options)
    assert ids.tolist() == [0, -1]
    ids, _ = track(state, frame_at((30, 30), (121, 50)), options)
    assert ids.tolist() == [0, 1]
    ids, state = track(state, frame_at((30, 30)), options)
    ids, state = track(state, frame_at((30, 30), (120, 50)), options)
    assert ids.tolist() == [0, -1]


def test_of_equal_objects_the_first_keeps_the_first_id() -> None:
    _, state = track(TrackerState(), frame_at((30, 30), (30, 30)))
    assert track(state, frame_at((30, 30), (30, 30)))[0].tolist() == [0, 1]


def test_masks_without_a_point_of_the_grid_are_compared_by_their_boxes() -> None:
    size = (1000, 2000)
    state = TrackerState()
    for x in (700, 702, 704):
        ids, state = track(state, result_of(InstanceMasks(size, [(405, x, np.ones((4, 4), np.bool_))])))
        assert ids.tolist() == [0]
    assert state.tracks[0].mask.count == 0


def test_empty_masks_and_one_pixel_images() -> None:
    state = TrackerState()
    empty = InstanceResult(
        np.array([[0, 0, 1, 1]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64),
        InstanceMasks((1, 1), [(0, 0, np.zeros((0, 0), np.bool_))]),
    )  # fmt: skip
    for _ in range(3):
        ids, state = track(state, empty)
        assert ids.tolist() == [0]
    ids, state = track(state, empty.take([]))
    assert ids.dtype == np.int64
    assert ids.shape == (0,)


def test_a_frame_of_another_size_is_refused() -> None:
    _, state = track(TrackerState(), frame_at((30, 30)))
    other = result_of(InstanceMasks((50, 50)))
    with pytest.raises(ValueError, match="those before it"):
        track(state, other)
    with pytest.raises(ValueError, match="not finite"):
        track(state, replace(frame_at((30, 30)), boxes=np.full((1, 4), np.nan, np.float32)))


def test_the_state_is_a_value() -> None:
    clip = [result_of(masks) for _, masks in discs(np.random.default_rng(5), 6, 12)]
    state = TrackerState()
    for frame in clip[:6]:
        _, state = track(state, frame)
    stored = pickle.dumps(state)
    copied = copy.deepcopy(state)
    _, after = track(state, clip[6])
    assert pickle.dumps(state) == stored
    one, other, third = pickle.loads(stored), copied, state
    for frame in clip[6:]:
        answers = []
        results = [track(each, frame) for each in (one, other, third)]
        answers = [ids.tolist() for ids, _ in results]
        one, other, third = (each for _, each in results)
        assert answers[0] == answers[1] == answers[2]
    assert after.next_id >= state.next_id


def test_streams_keep_the_state_in_their_memory() -> None:
    memory: dict[str, object] = {}
    found = with_ids(frame_at((30, 30), (90, 30), scores=[0.9, 0.2]), memory, TrackingOptions())
    assert found.track_ids is not None
    assert found.track_ids.tolist() == [0]
    assert len(found) == 1
    before = dict(memory)
    with_ids(frame_at((31, 30)), memory, TrackingOptions())
    assert with_ids(frame_at((32, 30)), before, TrackingOptions()).track_ids.tolist() == [0]  # type: ignore[union-attr]


def test_boxes_overlap_as_floats_say() -> None:
    rng = np.random.default_rng(2)
    corners = rng.uniform(0, 300, (40, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    found = box_overlaps((boxes * 256).astype(np.int64), (boxes * 256).astype(np.int64))
    for row in range(40):
        for column in range(40):
            wide = min(boxes[row, 2], boxes[column, 2]) - max(boxes[row, 0], boxes[column, 0])
            high = min(boxes[row, 3], boxes[column, 3]) - max(boxes[row, 1], boxes[column, 1])
            shared_area = max(wide, 0) * max(high, 0)
            areas = [np.prod(boxes[index, 2:] - boxes[index, :2]) for index in (row, column)]
            assert abs(found[row, column] - 1000 * shared_area / (sum(areas) - shared_area)) < 2
    assert (np.diag(found) == 1000).all()


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (160, 90), (161, 90), (480, 640), (97, 1281)])
def test_the_grid_is_the_middle_of_cells(size: tuple[int, int]) -> None:
    step = spacing(size)
    assert -(-max(size) // step) <= SIDE
    rng = np.random.default_rng(8)
    masks = rng.random((5, *size)) < 0.5
    masks[1, : size[0] // 2] = False
    masks[2] = False
    for coarse, mask in zip(sample(InstanceMasks.from_array(masks)), masks, strict=True):
        expected = mask[step // 2 :: step, step // 2 :: step]
        whole = np.zeros_like(expected)
        high, wide = coarse.bitmap.shape
        if coarse.bitmap.size:
            whole[coarse.top : coarse.top + high, coarse.left : coarse.left + wide] = coarse.bitmap
        assert (whole == expected).all()
        assert coarse.count == expected.sum()


def test_shared_points_are_those_of_whole_bitmaps() -> None:
    rng = np.random.default_rng(4)
    masks = InstanceMasks((60, 80), [(10, 12, rng.random((20, 30)) < 0.5), (15, 5, rng.random((40, 33)) < 0.5)])
    one, other = sample(masks)
    first, second = masks.to_array()
    for rows, columns in ((0, 0), (3, -4), (-30, 2), (0, 70)):
        moved = np.zeros_like(first)
        ys, xs = np.nonzero(first)
        inside = (ys + rows >= 0) & (ys + rows < 60) & (xs + columns >= 0) & (xs + columns < 80)
        moved[ys[inside] + rows, xs[inside] + columns] = True
        assert shared(one, other, (rows, columns)) == (moved & second).sum()


def test_overlaps_are_thousandths() -> None:
    _, state = track(TrackerState(), frame_at((30, 30), (100, 30)))
    assert overlaps(state, frame_at((30, 30), (40, 30))).tolist() == [[1000, 333], [0, 0]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"score": 1.5}, "score is 1.5"),
        ({"score": True}, "score is True"),
        ({"overlap": float("nan")}, "overlap is nan"),
        ({"low_score": 0.5}, "more than score"),
        ({"max_age": -1}, "max_age is -1"),
        ({"max_age": 2.0}, "max_age is 2.0"),
        ({"min_hits": 0}, "min_hits is 0"),
        ({"same_class": 1}, "same_class is 1"),
        ({"age": 1}, "no option age"),
        ("yes", "expected true, false or a mapping"),
    ],
)
def test_options_that_cannot_be_used_are_refused(given: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TrackingOptions.of(given)  # type: ignore[arg-type]


def test_options_by_name() -> None:
    assert TrackingOptions.of(None) is TrackingOptions.of(False) is None
    assert TrackingOptions.of(True) == TrackingOptions() == TrackingOptions.of(TrackingOptions())
    assert TrackingOptions.of({"max_age": 3}) == TrackingOptions(max_age=3)


def test_thirty_objects_take_a_few_milliseconds() -> None:
    frames = [result_of(masks) for _, masks in discs(np.random.default_rng(1), 30, 20, (480, 640))]
    state = TrackerState()
    times = []
    for frame in frames:
        start = time.thread_time()
        _, state = track(state, frame)
        times.append((time.thread_time() - start) * 1e3)
    assert np.median(times) < 12, times  # 4 on a machine that is not busy with other tests
