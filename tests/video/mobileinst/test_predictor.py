"""Which frames of a sequence get kernels of their own, and what is made of the kernels of earlier ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest

from mobileseg.backbones.mobilenetv2 import MobileNetV2_x0_25
from mobileseg.data.formats.youtube_vis import YouTubeVIS
from mobileseg.data.sample import Sample
from mobileseg.data.synthetic.video import generate_clips
from mobileseg.errors import ConfigError
from mobileseg.structures import InstanceResult
from mobileseg.tasks import VIDEO
from mobileseg.training.evaluator import evaluate
from mobileseg.training.task import training_of
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.mobileinst.model import MobileInst
from mobileseg.video.mobileinst.options import KernelOptions, QueryOptions
from mobileseg.video.mobileinst.training import QueryObjective, QueryPredictor
from tests.model_tester import fill

pytestmark = pytest.mark.both

SIZE = (64, 96)
LOOSE = QueryOptions(score_threshold=0.001, rescore=False)


@pytest.fixture(scope="module")
def network() -> MobileInst:
    """Sure masks of many shapes, and classes that differ from query to query."""
    made = MobileInst(4, MobileNetV2_x0_25(), 16, 8, num_queries=6, heads=4, hidden=16, token_stride=32)
    made = fill(made)
    decoder, noise = made.instance_decoder, np.random.RandomState(0)
    decoder.query_content.set_value(3 * noise.randn(1, 6, 16).astype(np.float32))
    decoder.kernels.weight.set_value(8 * decoder.kernels.weight)
    made.eval()
    return made


def frame(number: int) -> Sample:
    image = np.random.RandomState(number).uniform(-1, 1, (*SIZE, 3)).astype(np.float32)
    return Sample(image, None, {"geometry": []})


def kinds(predict: QueryPredictor, samples: list[Sample]) -> list[str | None]:
    return [predict(sample).pipeline for sample in samples]


def by_hand(network: MobileInst, source: Sample, shown: Sample) -> dict[int, np.ndarray]:
    """Masks bool [H, W] of the queries of one frame on the mask features of another: a product, a sigmoid, a resize.

    Masks without a pixel are left out.
    """
    with paddle.no_grad():
        first, second = (
            {name: value.numpy()[0] for name, value in network(tensor(sample)).items()} for sample in (source, shown)
        )
    found = {}
    for query, kernel in enumerate(first["kernels"]):
        logits = np.tensordot(kernel, second["mask_features"], 1)
        mask = cv2.resize(1 / (1 + np.exp(-logits)), SIZE[::-1], interpolation=cv2.INTER_LINEAR) > LOOSE.mask_threshold
        if mask.any():
            found[query] = mask
    return found


def tensor(sample: Sample) -> paddle.Tensor:
    return paddle.to_tensor(np.ascontiguousarray(sample.image.transpose(2, 0, 1)[None]))


def masks_of(result: InstanceResult) -> np.ndarray:
    return result.masks.to_array().astype(bool)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


def test_every_third_frame_is_a_key_frame(network: MobileInst) -> None:
    predict = QueryPredictor(network, LOOSE, keyframes=KeyframeOptions(every=3))
    assert kinds(predict, [frame(n) for n in range(7)]) == ["key", "nonkey", "nonkey"] * 2 + ["key"]


def test_kernels_of_the_latest_key_frame_meet_the_features_of_each_frame(network: MobileInst) -> None:
    predict = QueryPredictor(network, LOOSE, keyframes=KeyframeOptions(every=2))
    for number in range(4):
        found = masks_of(predict(frame(number)))
        expected = by_hand(network, frame(number - number % 2), frame(number))
        assert len(found) == len(expected) > 0
        for mask in expected.values():
            assert max(overlap(mask, one) for one in found) > 0.98


def test_ids_stay_between_key_frames(network: MobileInst) -> None:
    predict = QueryPredictor(network, LOOSE, keyframes=KeyframeOptions(every=3))
    ids = [set(predict(frame(number)).track_ids.tolist()) for number in range(3)]
    assert ids[1] & ids[0]
    assert ids[2] & ids[0]


def test_a_sequence_leaves_nothing_to_the_next(network: MobileInst) -> None:
    predict = QueryPredictor(network, LOOSE)
    first = predict(frame(1))
    assert predict(frame(2)).pipeline == "nonkey"
    predict.begin()
    again = predict(frame(1))
    assert again.pipeline == "key"
    np.testing.assert_array_equal(first.scores, again.scores)
    np.testing.assert_array_equal(first.track_ids, again.track_ids)


def test_what_a_sample_says_goes_before_the_rule(network: MobileInst) -> None:
    predict = QueryPredictor(network, LOOSE, keyframes=KeyframeOptions(every=2))
    samples = [frame(number) for number in range(5)]
    for sample, key in zip(samples, [False, False, False, True, False], strict=True):
        sample.meta["key"] = key
    assert kinds(predict, samples) == ["key", "nonkey", "nonkey", "key", "nonkey"]


def test_a_cut_is_seen_in_the_image_as_decoded(network: MobileInst, tmp_path: Path) -> None:
    samples = []
    for number, grey in enumerate([40, 44, 200, 204]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((*SIZE, 3), grey, np.uint8))
        samples.append(frame(0))
        samples[-1].meta["image_path"] = str(tmp_path / f"{number}.png")
    predict = QueryPredictor(network, LOOSE, keyframes=KeyframeOptions(every=100, scene_cut=0.12))
    assert kinds(predict, samples) == ["key", "nonkey", "key", "nonkey"]


def test_unsure_masks_make_the_frame_after_a_key_frame(network: MobileInst) -> None:
    """Features that are zero make masks of one half everywhere, which is not above the threshold."""
    queries = replace(LOOSE, mask_threshold=0.5)
    predict = QueryPredictor(network, queries, KernelOptions(rekey_below=0.9), KeyframeOptions(every=100))
    assert kinds(predict, [frame(0), frame(0)]) == ["key", "nonkey"]
    features = network.features
    network.features = lambda x: {name: value * 0 for name, value in features(x).items()}
    try:
        assert predict(frame(0)).pipeline == "nonkey"
    finally:
        network.features = features
    assert kinds(predict, [frame(0), frame(0)]) == ["key", "nonkey"]


def test_objects_come_back_to_the_size_before_the_transforms(network: MobileInst) -> None:
    sample = frame(0)
    sample.meta["geometry"] = [("resize", (128, 192))]
    assert QueryPredictor(network, LOOSE)(sample).masks.size == (128, 192)
    sample.meta["geometry"] = [("pad", (60, 90))]
    with pytest.raises(ConfigError, match="pad the image"):
        QueryPredictor(network, LOOSE)(sample)


def test_evaluation_on_clips(network: MobileInst, tmp_path: Path) -> None:
    """The whole way of `val`: the task's predictor and scorer on a dataset of videos."""
    generate_clips(tmp_path / "clips", train=1, val=2, length=4, size=SIZE)
    sections = {"queries": {"score_threshold": 0.001}, "kernels": {}, "keyframes": {"every": 3}}
    task = training_of(VIDEO)
    predict = task.predictor(network, sections, {})
    assert isinstance(predict, QueryPredictor)
    classes = ["stripes", "checks", "dots", "rings"]
    dataset = YouTubeVIS(str(tmp_path / "clips"), [{"type": "Normalize"}], "val", classes=classes)
    scores = evaluate(predict, dataset)
    frames = {kind: one["frames"] for kind, one in scores.details["frame_kinds"].items()}
    assert frames == {"key": 4, "nonkey": 4}
    assert scores.details["frame_kinds"]["key"]["ms"]["mean"] > 0
    assert scores.details["found_tracks"] > 0


def test_a_delay_is_refused(network: MobileInst) -> None:
    with pytest.raises(ConfigError, match="used at once"):
        QueryPredictor(network, keyframes=KeyframeOptions(every=4, delay=2))


def test_another_loss_is_refused(network: MobileInst) -> None:
    with pytest.raises(ConfigError, match="MobileInstLoss"):
        QueryObjective(network, paddle.nn.CrossEntropyLoss())
