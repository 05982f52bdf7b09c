"""The scorer on a YouTube-VIS file as the suite reads it: frames in, the numbers of the benchmark's code out."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mobileseg.data.formats.youtube_vis import YouTubeVIS
from mobileseg.structures import InstanceMasks, InstanceResult
from mobileseg.training.evaluator import evaluate
from mobileseg.video.metric_tracks import MaskTrack
from mobileseg.video.metric_ytvis import track_precision
from mobileseg.video.protocol import KeyFramePasses
from mobileseg.video.scorer import VideoScorer
from tests.video import ytvis


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("ytvis")
    document = ytvis.read("gt")
    for video in document["videos"]:
        for name in video["file_names"]:
            path = root / "val" / "JPEGImages" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (video["width"], video["height"])).save(path)
    (root / "val.json").write_text(json.dumps(document))
    return YouTubeVIS(str(root), mode="val")


def annotated_videos():
    return {one["video_id"] for one in ytvis.read("gt")["annotations"]}


class Answers:
    """The predictions of the golden case, frame by frame."""

    def __init__(self, dataset):
        self.places = {
            str(dataset.items[index].image): (video.identifier, position)
            for video in dataset.videos
            for position, index in enumerate(video.frames)
        }
        self.tracks = ytvis.found_tracks()

    def __call__(self, sample):
        video, frame = self.places[sample.meta["image_path"]]
        seen = [
            (number, track)
            for number, track in enumerate(self.tracks)
            if track.video == video and frame < len(track.masks) and track.masks[frame] is not None
        ]
        seen.sort(key=lambda one: -one[1].score)
        bitmaps = [coco_mask.decode(track.masks[frame]).astype(bool) for _, track in seen]
        masks = InstanceMasks.from_array(np.array(bitmaps).reshape(len(seen), *sample.size))
        return InstanceResult(
            np.zeros((len(seen), 4), np.float32),
            np.array([track.score for _, track in seen], np.float32),
            np.array([track.label for _, track in seen], np.int64),
            masks,
            track_ids=np.array([number for number, _ in seen], np.int64),
        )


def test_the_numbers_of_the_benchmark(dataset):
    """Of the videos that are annotated, and of tracks that have a mask; what is missing at the end was not found."""
    scores = evaluate(Answers(dataset), dataset, scorer=VideoScorer(dataset))
    lengths = {video["id"]: video["length"] for video in ytvis.read("gt")["videos"]}
    found = [
        MaskTrack(one.video, one.label, [*one.masks, *[None] * (lengths[one.video] - len(one.masks))], one.score)
        for one in ytvis.found_tracks()
        if one.video in annotated_videos() and any(one.masks)
    ]
    expected = track_precision(found, ytvis.true_tracks(), 4).numbers()
    assert scores["tracks"] == pytest.approx(expected, abs=1e-12)
    assert scores["videos"] == len(annotated_videos())


def test_key_frame_passes_of_a_real_dataset(dataset):
    view = KeyFramePasses(dataset, 3, whole=True)
    scores = evaluate(Answers(dataset), view, scorer=VideoScorer(view))
    once = evaluate(Answers(dataset), dataset, scorer=VideoScorer(dataset))
    assert scores["tracking"] == pytest.approx(once["tracking"])
    assert scores["videos"] == 3 * once["videos"]
