"""Key frame passes: what the original evaluates in each of them, and the dataset that repeats its videos."""

import json
from pathlib import Path

import pytest

from mobileseg.data.instances import Instances
from mobileseg.errors import ConfigError, DataError
from mobileseg.video.protocol import KeyFramePasses, schedule
from tests.video.clips import Clips

REFERENCE = Path(__file__).parents[1] / "reference" / "golden" / "video" / "yolact_edge_eval_schedule.json"
ORIGINAL = json.loads(REFERENCE.read_text())


def numbers_of(case):
    return [call[0] for call in ORIGINAL[case]["benchmark_calls"]]


def passes(case):
    numbers = numbers_of(case)
    known = [number in ORIGINAL[case]["annotated"] for number in numbers]
    return numbers, [schedule(numbers, known, 5, offset) for offset in range(5)]


def calls(numbers, plans):
    """Frame, kind and source as the original's recording has them."""
    return [(number, "full" if plan.key else "partial", numbers[plan.source]) for number, plan in plans]


@pytest.mark.parametrize("case", ORIGINAL)
def test_the_original_scores_the_same_frames(case):
    numbers, plans = passes(case)
    scored = [pair for one in plans for pair in zip(numbers, one, strict=True) if pair[1].scored]
    expected = [tuple(entry.values()) for entry in ORIGINAL[case]["scored_in_order_of_passes"]]
    assert calls(numbers, scored) == expected


@pytest.mark.parametrize("case", ORIGINAL)
def test_the_original_runs_the_network_as_often(case):
    _, plans = passes(case)
    assert sum(map(len, plans)) == ORIGINAL[case]["network_calls"]
    assert sum(plan.needed for one in plans for plan in one) == ORIGINAL[case]["network_calls_fast_eval"]


@pytest.mark.parametrize("case", ORIGINAL)
def test_without_annotations_every_frame_counts(case):
    numbers = numbers_of(case)
    plans = schedule(numbers, [False] * len(numbers))
    expected = [tuple(call) for call in ORIGINAL[case]["benchmark_calls"]]
    assert calls(numbers, list(zip(numbers, plans, strict=True))) == expected
    assert all(plan.scored for plan in plans)


def test_every_frame_can_be_a_key_frame():
    plans = schedule([7, 9, 30], [True, False, False], every=1)
    assert [(plan.key, plan.scored, plan.source) for plan in plans] == [
        (True, True, 0),
        (True, False, 1),
        (True, False, 2),
    ]
    assert schedule([], []) == []


def test_passes_as_a_dataset():
    clips = Clips(first=3, annotated=2)
    view = KeyFramePasses(clips, 3, whole=True)
    assert len(view) == 3 * len(clips)
    assert [len(frames) for frames in view.sequences()] == [6, 7] * 3
    assert (view.classes, view.task) == (clips.classes, "video")
    ids = [view.image_id(index) for index in range(len(view))]
    assert len(set(ids)) == len(ids)
    assert ids[: len(clips)] == [clips.image_id(index) for index in range(len(clips))]
    assert len({one.identifier for one in view.videos}) == 6
    for number, one in enumerate(view.videos):
        offset, source = divmod(number, 2)
        plans = schedule(one.numbers, [clips.annotated(index) for index in clips.videos[source].frames], 3, offset)
        for index, expected, plan in zip(one.frames, clips.videos[source].frames, plans, strict=True):
            for sample in (view.load(index), view.prepare(index)):
                assert sample.meta["number"] == expected
                assert sample.meta["key"] == plan.key
            assert view.file_name(index) == clips.file_name(expected)
            assert view.annotated(index) == clips.annotated(expected)
            assert view.objects(index).ids.tolist() == clips.objects(expected).ids.tolist()
            assert view.plan(index) == plan


def test_frames_that_change_nothing_are_not_run():
    clips = Clips(annotated=3)
    view, whole = KeyFramePasses(clips, 4), KeyFramePasses(clips, 4, whole=True)
    kept = {whole.image_id(index) for index in range(len(whole)) if whole.plan(index).needed}
    assert {view.image_id(index) for index in range(len(view))} == kept
    assert len(kept) < len(whole)
    assert view.coco_ground_truth() == whole.coco_ground_truth()
    assert view.video_ground_truth() == whole.video_ground_truth()


def test_ground_truth_of_the_passes():
    clips = Clips(annotated=2)
    view, once = KeyFramePasses(clips, 5), clips.coco_ground_truth()
    truth = view.coco_ground_truth()
    assert len(truth["annotations"]) == 5 * len(once["annotations"])
    assert len({one["id"] for one in truth["annotations"]}) == len(truth["annotations"])
    names = {view.image_id(index): view.file_name(index) for index in range(len(view))}
    assert all(names[image["id"]] == image["file_name"] for image in truth["images"])
    tracks = view.video_ground_truth()["annotations"]
    assert len(tracks) == 5 * len(clips.video_ground_truth()["annotations"])
    assert {one["video_id"] for one in tracks} == {one.identifier for one in view.videos}


class Gaps(Clips):
    """One annotated frame of the first video has no objects."""

    def objects(self, index):
        return Instances.empty((72, 96)) if index == 2 else super().objects(index)


def test_videos_with_an_annotated_frame_without_objects_can_be_left_out():
    clips = Gaps(seeds=(3, 6))
    whole = [i for i, one in enumerate(clips.videos) if all(len(clips.objects(index)) for index in one.frames)]
    assert whole == [1]
    view = KeyFramePasses(clips, 2, skip_empty=True)
    assert [one.name for one in view.videos] == ["v6", "v6"]
    assert {one["video_id"] for one in view.video_ground_truth()["annotations"]} == {
        one.identifier for one in view.videos
    }
    ids = {view.image_id(index) for index in range(len(view))}
    assert {image["id"] for image in view.coco_ground_truth()["images"]} == ids
    assert len(KeyFramePasses(clips, 2).videos) == 4
    with pytest.raises(DataError, match="every video has an annotated frame without objects"):
        KeyFramePasses(Gaps(seeds=(3,)), 2, skip_empty=True)


def test_frames_between_key_frames_are_counted_from_one():
    with pytest.raises(ConfigError, match="every 0 frames"):
        KeyFramePasses(Clips(), 0)
