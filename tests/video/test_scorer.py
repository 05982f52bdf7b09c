"""Scores of videos through the evaluator: frames, tracks, kinds of frames, several processes, results files."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mobileseg.errors import DataError
from mobileseg.instance.metric import CocoScorer
from mobileseg.structures import InstanceMasks, InstanceResult
from mobileseg.training.evaluator import evaluate
from mobileseg.video.metric_hota import HotaCounts, hota_counts
from mobileseg.video.metric_identity import IdentityCounts, identity_counts
from mobileseg.video.metric_tracks import MaskTrack, grouped
from mobileseg.video.metric_ytvis import track_precision
from mobileseg.video.protocol import KeyFramePasses
from mobileseg.video.scorer import VideoScorer, save_track_results
from tests.video.clips import CATEGORY_IDS, Clips


def run(clips, predict=None, **more):
    scorer = VideoScorer(clips)
    return scorer, evaluate(predict or clips.network, clips, scorer=scorer, **more)


@pytest.fixture(scope="module")
def clips():
    return Clips()


@pytest.fixture(scope="module")
def scores(clips):
    return run(clips)[1]


def cut(track, step):
    """The frames of a track that are annotated; scores as results have them."""
    return replace(track, masks=track.masks[::step], score=float(np.float32(track.score)))


@pytest.mark.parametrize("step", [1, 2])
def test_tracks_are_put_together_from_frames(step):
    clips = Clips(annotated=step)
    scores = run(clips)[1]
    found, true = (
        [cut(track, step) for video in side for track, _ in video if any(track.masks[::step])]
        for side in (clips.found, clips.true)
    )
    curves = track_precision(found, true, 2)
    assert scores["tracks"] == pytest.approx(curves.numbers())
    hota, identity = [HotaCounts()] * 2, [IdentityCounts()] * 2
    for group in grouped(found, true):
        hota[group.label] += hota_counts(group.objects(), len(group.found), len(group.true))
        identity[group.label] += identity_counts(group.objects(), len(group.found), len(group.true))
    assert scores["tracking"] == pytest.approx((hota[0] + hota[1]).numbers() | (identity[0] + identity[1]).numbers())
    for label, name in enumerate(clips.classes):
        assert scores["class_tracks"][name] == {
            "ap": pytest.approx(curves.class_ap(label)),
            "ap50": pytest.approx(curves.class_ap(label, 0)),
            "hota": pytest.approx(hota[label].numbers()["hota"]),
            "idf1": pytest.approx(identity[label].numbers()["idf1"]),
            "tracks": sum(track.label == label for track in true),
        }
    assert (scores["videos"], scores["found_tracks"]) == (2, len(found))


def test_mask_ap_is_that_of_annotated_frames():
    clips = Clips(annotated=3)
    scores = run(clips)[1]
    frames = CocoScorer(clips)
    for index in filter(clips.annotated, range(len(clips))):
        frames.update(index, None, clips.result(index))
    expected = frames.scores()
    assert (scores["metric"], scores["score"]) == ("mask AP", expected.score)
    assert [scores[key] for key in ("mask", "box", "detections")] == [
        expected[key] for key in ("mask", "box", "detections")
    ]
    assert 0 < scores["score"] < 1


def test_scores_are_shown_logged_and_json(scores):
    assert json.loads(json.dumps(scores.to_dict())) == scores.to_dict()
    assert list(scores.named()) == ["mask AP", "mask AP50", "box AP", "track AP", "HOTA", "IDF1"]
    assert {"mask", "box", "class_ap", "tracks", "tracking"} <= set(scores.event())
    assert "frame_kinds" not in scores
    lines = scores.table.splitlines()
    row = next(line for line in lines if line.startswith("track "))
    assert row.split()[1:] == ["-" if value is None else f"{value:.4f}" for value in scores["tracks"].values()]
    tracking = {name: f"{value:.4f}" for name, value in scores["tracking"].items()}
    assert f"HOTA {tracking['hota']} (DetA {tracking['deta']}" in scores.table
    assert f"association {tracking['association']} of what perfect association" in scores.table
    assert any(line.split()[:2] == ["cat", f"{scores['class_tracks']['cat']['ap']:.4f}"] for line in lines)


def test_the_truth_is_perfect(clips):
    def network(sample):
        objects = clips.objects(sample.meta["number"])
        masks = InstanceMasks.from_array(objects.masks.astype(bool))
        ones = np.ones(len(objects), np.float32)
        return InstanceResult(objects.boxes, ones, objects.classes, masks, track_ids=objects.ids + 7)

    scores = run(clips, network)[1]
    assert scores["score"] == pytest.approx(1.0)
    assert scores["tracks"]["ap"] == pytest.approx(1.0)
    assert set(scores["tracking"].values()) == {1.0}


class Share:
    """One of several processes, run one after the other; every call of ``gather`` has its own answers."""

    def __init__(self, rank, count, answers):
        self.rank, self.count, self.answers, self.calls = rank, count, answers, 0

    def gather(self, message):
        answers = self.answers.setdefault(self.calls, {})
        self.calls += 1
        answers[self.rank] = message
        return [answers[rank] for rank in sorted(answers)]


def timed(clips):
    def network(sample):
        number = sample.meta["number"]
        kind = "key" if number % 3 == 0 else "nonkey"
        return clips.result(number, pipeline=kind, times={"inference": 10.0 + number, "postprocess": 1.0})

    return network


@pytest.mark.parametrize("count", [2, 3])
def test_shares_of_processes_add_up(clips, count):
    """Also with more processes than videos."""
    expected = run(clips, timed(clips))[1]
    answers = {}
    for rank in reversed(range(count)):
        scores = run(clips, timed(clips), processes=Share(rank, count, answers))[1]
    for key in ("mask", "tracks", "tracking", "class_tracks", "found_tracks", "frame_kinds"):
        assert scores[key] == expected[key], key


def test_kinds_of_frames(clips):
    scores = run(clips, timed(clips))[1]
    kinds = scores["frame_kinds"]
    assert [(name, kind["frames"]) for name, kind in kinds.items()] == [("key", 5), ("nonkey", 8)]
    spent = np.array([11.0 + number for number in range(0, len(clips), 3)])
    expected = {"mean": spent.mean(), "p50": np.median(spent), "p95": np.percentile(spent, 95), "max": spent.max()}
    assert kinds["key"]["ms"] == pytest.approx(expected)
    row = next(line for line in scores.table.splitlines() if line.startswith("key "))
    assert row.split() == [
        "key",
        "5",
        f"{kinds['key']['mask_ap']:.4f}",
        *(f"{value:.2f}" for value in expected.values()),
    ]
    assert "frame_kinds" in scores.event()


def test_mask_ap_of_a_kind_is_that_of_its_frames(clips):
    """Where one kind of frames has no detection, the other is not affected."""
    nothing = InstanceResult(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), InstanceMasks((72, 96)),
        pipeline="nonkey",
    )  # fmt: skip

    def network(sample):
        found = timed(clips)(sample)
        return found if found.pipeline == "key" else nothing

    kinds, whole = run(clips, network)[1]["frame_kinds"], run(clips, timed(clips))[1]["frame_kinds"]
    assert kinds["key"]["mask_ap"] == whole["key"]["mask_ap"] > 0
    assert kinds["nonkey"]["mask_ap"] == 0.0
    assert kinds["nonkey"]["ms"] is None


def test_a_track_has_the_class_and_score_of_its_frames(clips):
    """Class by the sum of scores, score by their mean."""
    scorer = VideoScorer(clips)
    masks = InstanceMasks.from_array(np.ones((1, 72, 96), bool))
    for index, (score, label) in enumerate([(0.9, 0), (0.5, 1), (0.5, 1)]):
        box = np.array([[0, 0, 96, 72]], np.float32)
        found = InstanceResult(
            box, np.array([score], np.float32), np.array([label]), masks, track_ids=np.array([4], np.int64)
        )
        scorer.update(index, None, found)
    (track,) = scorer.found_tracks()
    assert (track.video, track.label) == (50, 1)
    assert track.score == pytest.approx((0.9 + 0.5 + 0.5) / 3)
    assert [mask is not None for mask in track.masks] == [True, True, True, False, False, False]


def test_results_without_track_ids_are_followed(clips, scores):
    """Frames count as they are, with everything found in them; ids are the tracker's."""
    followed = run(clips, lambda sample: replace(clips.network(sample), track_ids=None))[1]
    assert followed["mask"] == scores["mask"]
    assert followed["found_tracks"] > 0
    assert followed["tracking"]["idf1"] > 0.4  # the objects of these clips jump


@pytest.mark.parametrize("numbered", [False, True])
def test_weak_objects_count_for_frames_alone(clips, numbered):
    """Whether the tracker leaves them out or the network follows objects itself."""

    def weak(sample):
        found = clips.network(sample)
        ids = np.full(len(found), -1) if numbered else None
        return replace(found, track_ids=ids, scores=np.full(len(found), 0.05, np.float32))

    scorer, scores = run(clips, weak)
    assert scores["mask"]["ap"] > 0
    assert scores["found_tracks"] == 0
    assert not list(scorer.found_tracks())


def test_nothing_found(clips):
    nothing = InstanceResult(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), InstanceMasks((72, 96))
    )
    scores = run(clips, lambda sample: nothing)[1]
    assert (scores["score"], scores["tracks"]["ap"], scores["found_tracks"]) == (0.0, 0.0, 0)
    assert (scores["tracking"]["hota"], scores["tracking"]["idp"]) == (0.0, None)


def test_results_file_gives_the_same_scores(clips, scores, tmp_path):
    scorer, _ = run(clips)
    path = tmp_path / "tracks.json"
    message = save_track_results(scorer, path)
    entries = json.loads(path.read_text())
    assert message.startswith(f"{len(entries)} tracks written to {path}")
    lengths = {one.identifier: len(one.frames) for one in clips.videos}
    assert all(len(entry["segmentations"]) == lengths[entry["video_id"]] for entry in entries)
    found = [
        MaskTrack(one["video_id"], CATEGORY_IDS.index(one["category_id"]), one["segmentations"], one["score"])
        for one in entries
    ]
    assert track_precision(found, scorer.true_tracks(), 2).numbers() == scores["tracks"]


class Unknown(Clips):
    """Nothing of the second video is annotated."""

    def annotated(self, index):
        return self.place(index)[0] == 0

    def video_ground_truth(self):
        truth = super().video_ground_truth()
        kept = [one for one in truth["annotations"] if one["video_id"] == self.videos[0].identifier]
        return {**truth, "annotations": kept}


def test_a_video_without_annotations_is_in_the_results_and_not_in_the_scores():
    clips = Unknown()
    scorer, scores = run(clips)
    alone = run(Clips(seeds=(1,)))[1]
    for key in ("mask", "tracks", "tracking", "found_tracks"):
        assert scores[key] == alone[key], key
    assert scores["videos"] == 1
    written = {one["video_id"]: len(one["segmentations"]) for one in scorer.track_results()}
    assert written == {50: 6, 40: 7}


def test_masks_of_another_size_and_foreign_classes(clips):
    wrong = InstanceResult(
        np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.zeros(1, np.int64),
        InstanceMasks.from_array(np.ones((1, 20, 30), bool)), track_ids=np.zeros(1, np.int64),
    )  # fmt: skip
    with pytest.raises(DataError, match=r"v1/00000\.jpg .* is 30x20, but it was annotated as 96x72"):
        run(clips, lambda sample: wrong)
    with pytest.raises(DataError, match=r"class \d was found in v1/00000.jpg, the dataset has 2 classes"):
        run(clips, lambda sample: replace(clips.network(sample), classes=clips.network(sample).classes + 2))


def test_passes_over_key_frames_are_pooled():
    """A network that finds nothing in key frames: their share of the passes is missed."""
    clips = Clips(annotated=2)
    view = KeyFramePasses(clips, 3, whole=True)
    same = run(view, clips.network)[1]
    once = run(clips)[1]
    assert same["mask"]["ap"] == pytest.approx(once["mask"]["ap"], abs=0.01)
    assert same["tracks"] == pytest.approx(once["tracks"], abs=0.01)
    assert same["tracking"] == pytest.approx(once["tracking"])
    assert (same["videos"], same["images"]) == (6, 3 * len(clips))

    def blind(sample):
        found = clips.network(sample)
        return found.take([]) if sample.meta["key"] else found

    scores = run(view, blind)[1]
    missed = sum(len(view.objects(i)) for i in range(len(view)) if view.annotated(i) and view.plan(i).key)
    total = sum(len(view.objects(i)) for i in range(len(view)) if view.annotated(i))
    recall = scores["tracking"]["idr"]
    assert 0 < recall <= 1 - missed / total


def test_masks_are_those_of_the_results(clips):
    scorer, _ = run(clips)
    number = {one.identifier: i for i, one in enumerate(clips.videos)}
    tracks = list(scorer.found_tracks())
    assert len(tracks) == sum(map(len, clips.found))
    for track in tracks:
        drawn = [None if mask is None else coco_mask.decode(mask).astype(bool) for mask in track.masks]
        assert any(
            all((mask is None and not want.any()) or (mask is not None and (mask == want).all())
                for mask, want in zip(drawn, masks, strict=True))
            for _, masks in clips.found[number[track.video]]
        )  # fmt: skip
