"""Which frames are computed whole, from what the others are, and what a sequence leaves to the next: nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest

from mobileseg.backbones.mobilenetv2 import MobileNetV2_x0_25
from mobileseg.data.sample import Sample
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.postprocess import instances_from_outputs
from mobileseg.instance.training import RenamedObjects
from mobileseg.structures import InstanceResult
from mobileseg.tasks import VIDEO
from mobileseg.training.evaluator import evaluate
from mobileseg.training.task import training_of
from mobileseg.video.keyframes import KeyframeOptions, lost_share
from mobileseg.video.predictor import VideoPredictor
from mobileseg.video.protocol import KeyFramePasses
from mobileseg.video.runtime import SURE
from mobileseg.video.yolact_edge import MobileYolactEdge
from tests.model_tester import fill
from tests.video.toy_video import toy_video_config, toy_video_data

pytestmark = pytest.mark.both

SIZE = (48, 64)
LOOSE = DetectionOptions(score_threshold=0.0, max_detections=5)


@pytest.fixture(scope="module")
def network() -> MobileYolactEdge:
    made = fill(MobileYolactEdge(2, MobileNetV2_x0_25(), input_size=64, fpn_channels=8, num_prototypes=4))
    made.eval()
    return made


def frame(number: int) -> Sample:
    image = np.random.RandomState(number).uniform(-1, 1, (*SIZE, 3)).astype(np.float32)
    return Sample(image, None, {"geometry": []})


def kinds(predict: VideoPredictor, samples: list[Sample]) -> list[str | None]:
    return [predict(sample).pipeline for sample in samples]


def same(one: InstanceResult, other: InstanceResult) -> bool:
    return np.array_equal(one.boxes, other.boxes) and np.array_equal(one.scores, other.scores)


def test_every_third_frame_is_a_key_frame(network: MobileYolactEdge) -> None:
    predict = VideoPredictor(network, LOOSE, KeyframeOptions(every=3))
    assert kinds(predict, [frame(n) for n in range(7)]) == ["key", "nonkey", "nonkey"] * 2 + ["key"]


def test_other_frames_build_on_the_latest_key_frame(network: MobileYolactEdge) -> None:
    """Against the network's own methods."""
    predict = VideoPredictor(network, LOOSE, KeyframeOptions(every=3))
    found = [predict(frame(number)) for number in range(5)]
    with paddle.no_grad():
        key = None
        for number, result in enumerate(found):
            x = paddle.to_tensor(frame(number).image.transpose(2, 0, 1)[None])
            if number % 3 == 0:
                maps, key = network.key_frame(x)
            else:
                maps = network.non_key_frame(x, key)
            outputs = {name: value.numpy() for name, value in network.predictions(maps, SIZE).items()}
            expected = instances_from_outputs(
                outputs, network.anchors(*SIZE), SIZE, LOOSE, variances=network.variances, input_size=SIZE
            )
            assert same(result, expected)
            assert len(result) == 5


def test_a_sequence_begins_with_a_key_frame(network: MobileYolactEdge) -> None:
    predict = VideoPredictor(network, LOOSE)
    first = predict(frame(1))
    assert predict(frame(2)).pipeline == "nonkey"
    RenamedObjects(predict, np.arange(2)).begin()
    again = predict(frame(1))
    assert again.pipeline == "key"
    assert same(first, again)


def test_what_a_sample_says_goes_before_the_rule(network: MobileYolactEdge) -> None:
    predict = VideoPredictor(network, LOOSE, KeyframeOptions(every=2))
    samples = [frame(number) for number in range(5)]
    for sample, key in zip(samples, [False, False, False, True, False], strict=True):
        sample.meta["key"] = key
    assert kinds(predict, samples) == ["key", "nonkey", "nonkey", "key", "nonkey"]


def test_a_cut_is_seen_in_the_image_as_decoded(network: MobileYolactEdge, tmp_path: Path) -> None:
    samples = []
    for number, grey in enumerate([40, 44, 44, 200, 204]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((*SIZE, 3), grey, np.uint8))
        samples.append(frame(0))
        samples[-1].meta["image_path"] = str(tmp_path / f"{number}.png")
    predict = VideoPredictor(network, LOOSE, KeyframeOptions(every=100, scene_cut=0.12))
    assert kinds(predict, samples) == ["key", "nonkey", "nonkey", "key", "nonkey"]


def test_lost_objects_make_the_frame_after_a_key_frame(network: MobileYolactEdge) -> None:
    """Noise has other objects in every frame, the same image has the same."""
    rule = KeyframeOptions(every=100, lost_objects=0.01)
    sure = DetectionOptions(score_threshold=0.3, max_detections=5)
    still = VideoPredictor(network, sure, rule)
    assert len(still(frame(0))) > 0
    moving = VideoPredictor(network, sure, rule)
    seen = [moving(frame(number)) for number in range(4)]
    for number in (2, 3):
        last = max(i for i in range(number) if seen[i].pipeline == "key")
        before = seen[number - 1].above(SURE)
        lost = lost_share(seen[last].above(SURE).boxes, seen[last].above(SURE).classes, before.boxes, before.classes)
        assert (seen[number].pipeline == "key") == (last != number - 1 and lost > 0)


def test_a_delayed_key_frame_comes_into_use_later(network: MobileYolactEdge) -> None:
    """Every fourth frame is due, and used from the second frame after it on."""
    predict = VideoPredictor(network, LOOSE, KeyframeOptions(every=4, delay=2))
    found = [predict(frame(number)) for number in range(9)]
    assert [result.pipeline for result in found] == ["key", *["nonkey"] * 8]
    with paddle.no_grad():
        tensors = [paddle.to_tensor(frame(number).image.transpose(2, 0, 1)[None]) for number in range(9)]
        for number, source in ((1, 0), (4, 0), (5, 0), (6, 4), (7, 4), (8, 4)):
            maps = network.non_key_frame(tensors[number], network.key_frame(tensors[source])[1])
            outputs = {name: value.numpy() for name, value in network.predictions(maps, SIZE).items()}
            expected = instances_from_outputs(
                outputs, network.anchors(*SIZE), SIZE, LOOSE, variances=network.variances, input_size=SIZE
            )
            assert same(found[number], expected), number


def test_evaluation_on_clips_and_on_passes_over_them(tmp_path: Path) -> None:
    """The whole way of `val`: the task's predictor and scorer on a dataset of videos."""
    from mobileseg.config.build import build_dataset, build_network

    config = toy_video_config(tmp_path / "config.yml", toy_video_data(tmp_path), "base")
    settings = config.to_dict()
    network = build_network(config, load_pretrained=False)
    network.eval()
    task = training_of(VIDEO)
    predict = task.predictor(network, settings, settings["test_config"])
    dataset = build_dataset(settings["val_dataset"])
    scores = evaluate(predict, dataset)
    frames = {kind: one["frames"] for kind, one in scores.details["frame_kinds"].items()}
    assert frames == {"key": 2, "nonkey": 5}
    assert task.evaluated_with(settings, settings["test_config"])["keyframes"]["every"] == 5
    passes = KeyFramePasses(dataset, 2, whole=True)
    pooled = evaluate(predict, passes)
    frames = {kind: one["frames"] for kind, one in pooled.details["frame_kinds"].items()}
    assert frames == {"key": 4 + 4, "nonkey": 3 + 3}  # the first frame of the second pass has no key frame before it
    assert list(task.classes_in(dataset, 0)) == dataset.objects(0).classes.tolist()
    scorer = task.scorer(dataset)
    for index in range(len(dataset)):
        scorer.update(index, None, predict(dataset.prepare(index)))
    assert "YouTube-VIS" in task.save_results(scorer, tmp_path / "found.json")
