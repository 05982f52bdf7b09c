"""YouTube-VIS AP against the numbers of the benchmark's own code, pycocotools, and rules of the definition."""

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mobileseg.video.metric_tracks import MaskTrack, grouped
from mobileseg.video.metric_ytvis import track_precision
from tests.video import ytvis
from tests.video.moving import SIZE, bitmaps, ellipse, rle, videos

pytestmark = pytest.mark.both


def test_the_twelve_numbers_of_the_original():
    numbers = track_precision(ytvis.found_tracks(), ytvis.true_tracks(), 4).numbers()
    expected = ytvis.read("expected")["stats"]
    assert set(ytvis.NAMES) == set(expected)
    for name, value in expected.items():
        assert numbers[ytvis.NAMES[name]] == pytest.approx(value, abs=1e-12), name


def test_ap_by_class():
    curves = track_precision(ytvis.found_tracks(), ytvis.true_tracks(), 4)
    for label, category in enumerate(ytvis.CATEGORY_IDS):
        expected = ytvis.read("expected")["per_category_AP_AP50"][str(category)]
        found = [curves.class_ap(label), curves.class_ap(label, 0)]
        assert found == [None if value is None else pytest.approx(value, abs=1e-12) for value in expected]


def test_iou_of_tracks():
    expected = ytvis.read("expected")["iou_matrices_rows_by_descending_score"]
    seen = set()
    for group in grouped(ytvis.found_tracks(), ytvis.true_tracks()):
        if group.found:
            key = f"{group.found[0].video},{ytvis.CATEGORY_IDS[group.label]}"
            seen.add(key)
            matrix = np.array(expected[key]).reshape(len(group.found), len(group.true))
            np.testing.assert_allclose(group.iou(), matrix, rtol=0, atol=1e-12)
    assert seen == set(expected)


def slow_iou(found, true):
    """Sum of intersections over sum of unions of whole bitmaps."""
    first, second = bitmaps(found), bitmaps(true)
    length = min(len(first), len(second))
    first, second = first[:length], second[:length]
    return (first & second).sum() / max((first | second).sum(), 1)


@pytest.mark.parametrize("seed", range(3))
def test_iou_from_run_lengths_is_that_of_bitmaps(seed):
    for group in grouped(*videos(seed)):
        for row, found in zip(group.iou(), group.found, strict=True):
            np.testing.assert_allclose(row, [slow_iou(found, true) for true in group.true], rtol=0, atol=1e-15)


@pytest.mark.parametrize("seed", range(3))
def test_videos_of_one_frame_are_images_of_coco(seed):
    """With the area ranges of tracks, and without crowd, for which COCO has another IoU."""
    found, true = videos(seed, count=6)
    cut = [
        [MaskTrack(one.video, one.label, one.masks[1:2], one.score) for one in tracks if one.masks[1]]
        for tracks in (found, true)
    ]
    images = sorted({track.video for side in cut for track in side})
    truth, results = COCO(), COCO()
    for side, tracks in ((results, cut[0]), (truth, cut[1])):
        side.dataset = {
            "info": {},
            "images": [{"id": number, "height": SIZE[0], "width": SIZE[1]} for number in images],
            "categories": [{"id": 0}, {"id": 1}],
            "annotations": [
                {"id": number, "image_id": one.video, "category_id": one.label, "segmentation": one.masks[0],
                 "area": int(one.areas[0]), "iscrowd": 0, "score": one.score, "bbox": [0, 0, 1, 1]}
                for number, one in enumerate(tracks, start=1)
            ],
        }  # fmt: skip
        side.createIndex()
    evaluation = COCOeval(truth, results, "segm")
    evaluation.params.areaRng = [[0, 1e10], [0, 128**2], [128**2, 256**2], [256**2, 1e10]]
    evaluation.evaluate()
    evaluation.accumulate()
    curves = track_precision(*cut, 2)
    np.testing.assert_allclose(curves.precision, evaluation.eval["precision"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(curves.recall, evaluation.eval["recall"], rtol=0, atol=1e-12)


def track(masks, **more):
    return MaskTrack(1, 0, [None if mask is None else rle(mask) for mask in masks], **more)


A, B = ellipse((30, 30), (12, 9)), ellipse((70, 40), (10, 10))
SQUARE = np.zeros((256, 300), bool)


def test_nothing_found_and_nothing_to_find():
    numbers = track_precision([], [track([A, None])], 1).numbers()
    assert (numbers["ap"], numbers["ar100"], numbers["ap_large"]) == (0.0, 0.0, None)
    assert set(track_precision([track([A, None])], [], 1).numbers().values()) == {None}
    assert set(track_precision([], [], 3).numbers().values()) == {None}


def test_a_track_without_a_pixel_is_a_track():
    empty = np.zeros(SIZE, bool)
    numbers = track_precision([track([empty, None]), track([A, A], score=0.9)], [track([A, A])], 1).numbers()
    assert numbers["ap"] == pytest.approx(0.5)  # the empty one ranks first, and is wrong
    assert numbers["ap_small"] == pytest.approx(0.5)  # its area is 0, which is small
    assert track_precision([track([None, None])], [track([None, None])], 1).numbers()["ap"] == 0.0


def test_a_crowd_takes_up_any_number_and_is_not_to_be_found():
    crowd = track([A, A], crowd=True)
    numbers = track_precision([track([A, A], score=s) for s in (0.9, 0.8)] + [track([B, B])], [crowd, track([B, B])], 1)
    assert numbers.numbers()["ap"] == pytest.approx(1.0)
    half = A.copy()
    half[:33] = False  # lies in the crowd as a whole, but its ordinary IoU is below a half
    found = [track([half, half], score=0.9), track([B, B], score=0.5)]
    assert track_precision(found, [crowd, track([B, B])], 1).numbers()["ap50"] == pytest.approx(0.5)


def test_a_border_of_the_area_ranges_belongs_to_both():
    SQUARE[:128, :128] = True
    numbers = track_precision([track([SQUARE])], [track([SQUARE])], 1).numbers()
    assert (numbers["ap_small"], numbers["ap_medium"], numbers["ap_large"]) == (
        pytest.approx(1),
        pytest.approx(1),
        None,
    )


def test_stated_areas_decide_about_the_range_of_a_true_track():
    true = track([A, A, None], stated_areas=[0, 70_000.0, None])
    numbers = track_precision([track([A, A, None])], [true], 1).numbers()
    assert (numbers["ap_small"], numbers["ap_large"]) == (None, pytest.approx(1))


def test_at_most_a_hundred_tracks_count_in_a_video():
    wrong = [track([B], score=0.9) for _ in range(100)]
    assert track_precision([*wrong, track([A], score=0.5)], [track([A])], 1).numbers()["ap"] == 0.0
    assert track_precision([*wrong[1:], track([A], score=0.5)], [track([A])], 1).numbers()["ar100"] == 1.0


def test_masks_of_different_sizes():
    with pytest.raises(ValueError, match="frame 0: masks of different sizes"):
        track_precision([track([np.ones((20, 30), bool)])], [track([A])], 1)


@pytest.mark.parametrize("seed", range(4))
def test_neither_order_nor_names_matter(seed):
    found, true = videos(seed)
    expected = track_precision(found, true, 2)
    draw = np.random.RandomState(seed)
    numbers = {1: 70, 2: 4, 3: 12}
    renamed = [
        [
            MaskTrack(numbers[side[i].video], side[i].label, side[i].masks, side[i].score)
            for i in draw.permutation(len(side))
        ]
        for side in (found, true)
    ]
    curves = track_precision(*renamed, 2)
    np.testing.assert_array_equal(curves.precision, expected.precision)
    np.testing.assert_array_equal(curves.recall, expected.recall)
