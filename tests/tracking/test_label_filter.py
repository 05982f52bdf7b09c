"""Smoothing of label video: flicker falls by half and more, and mIoU does not."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobileseg.data.synthetic.clip import draw_clip
from mobileseg.errors import ConfigError, RuntimeEngineError
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.tracking.flicker import FlickerMeter, changes
from mobileseg.tracking.label_filter import FilterState, checked_weight, seen, smoothed
from tests.runtime.artefacts import artefact
from tests.runtime.stripes import stripes


def noisy_scores(labels: np.ndarray, classes: int, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Probabilities that are right in the mean, with errors of some eight pixels that change with every frame."""
    noise = rng.normal(0, 1, (classes, *labels.shape)).astype(np.float32)
    noise = np.stack([cv2.GaussianBlur(plane, (0, 0), 4) for plane in noise])
    logits = 4 * (labels == np.arange(classes)[:, None, None]) + strength * noise / noise.std()
    powers = np.exp(logits - logits.max(axis=0))
    return (powers / powers.sum(axis=0)).astype(np.float32)


def mean_iou(truth: Sequence[np.ndarray], found: Sequence[np.ndarray], classes: int) -> float:
    ious = []
    for kind in range(classes):
        pairs = [(one == kind, other == kind) for one, other in zip(truth, found, strict=True)]
        union = sum(int((one | other).sum()) for one, other in pairs)
        if union:
            ious.append(sum(int((one & other).sum()) for one, other in pairs) / union)
    return float(np.mean(ious))


def test_flicker_falls_by_half_and_scores_do_not() -> None:
    rng = np.random.default_rng(3)
    clip = draw_clip(rng, 160, 240, "train", 9)
    images = [frame.scene.image(frame.ids, rng) for frame in clip]
    truth = [frame.scene.labels(frame.ids) for frame in clip]
    classes = int(max(one.max() for one in truth)) + 1
    scores = [noisy_scores(one, classes, rng, 2.0) for one in truth]
    exact, estimated, miou = {}, {}, {}
    for weight in (0.0, 0.6):
        state, labels, meter = None, [], FlickerMeter()
        for image, one in zip(images, scores, strict=True):
            averaged, state = smoothed(seen(state, image), one, weight)
            labels.append(averaged.argmax(axis=0))
            meter.add(image, labels[-1])
        counts = [
            changes(labels[index], labels[index + 1], frame.flow, frame.occluded)
            for index, frame in enumerate(clip[:-1])
        ]
        exact[weight] = sum(changed for changed, _ in counts) / sum(compared for _, compared in counts)
        estimated[weight], miou[weight] = meter.share, mean_iou(truth, labels, classes)
    assert exact[0.0] > 0.05
    assert exact[0.6] <= exact[0.0] / 2, exact
    assert estimated[0.6] <= estimated[0.0] / 2, estimated
    assert miou[0.6] >= miou[0.0] - 0.005, miou


def test_probabilities_move_with_the_image() -> None:
    rng = np.random.default_rng(1)
    wide = cv2.GaussianBlur(rng.integers(0, 256, (64, 128, 3)).astype(np.float32), (0, 0), 2)
    wide = np.clip((wide - 128) * 5 + 128, 0, 255).astype(np.uint8)
    first, second = wide[:, 16:112], wide[:, 8:104]  # everything moves right by 8 pixels
    scores = np.zeros((2, 32, 48), np.float32)  # half the size of the image
    scores[0, :, :20], scores[1, :, 20:] = 1, 1
    _, state = smoothed(seen(None, first), scores, 0.5)
    found, state = smoothed(seen(state, second), np.full_like(scores, 0.5), 0.5)
    inner = found[:, 8:24, 12:36]
    np.testing.assert_allclose(inner[0, :, : 24 - 12], 0.75)  # the border was at 20 and is at 24
    np.testing.assert_allclose(inner[1, :, 24 - 12 :], 0.75)
    np.testing.assert_allclose(found.sum(axis=0), 1)
    assert state.scores is found


def test_a_cut_begins_anew() -> None:
    rng = np.random.default_rng(2)
    dark, light = (np.full((40, 60, 3), value, np.uint8) for value in (30, 200))
    before, after = rng.random((2, 3, 20, 30), dtype=np.float32)
    _, state = smoothed(seen(None, dark), before, 0.8)
    np.testing.assert_array_equal(smoothed(seen(state, light), after, 0.8)[0], after)
    np.testing.assert_allclose(
        smoothed(seen(state, dark), after, 0.8)[0], np.float32(0.8) * before + np.float32(0.2) * after, rtol=1e-6
    )


def test_frames_and_scores_of_other_sizes_begin_anew() -> None:
    image, scores = np.zeros((40, 60, 3), np.uint8), np.ones((2, 5, 6), np.float32)
    _, state = smoothed(seen(None, image), scores, 0.5)
    assert seen(state, image[:20]).scores is None
    other = np.zeros((2, 6, 6), np.float32)
    np.testing.assert_array_equal(smoothed(seen(state, image), other, 0.5)[0], other)


def test_padding_is_not_part_of_the_image() -> None:
    """The image fills the left half of the input, so what moves in it moves half as far in the scores."""
    state = FilterState(
        np.zeros((32, 32), np.int32),
        np.zeros((1, 32, 64), np.float32),
        np.full((2, 2, 2), (4, 0), np.int32),
        np.zeros((2, 2), np.bool_),
    )
    before = np.arange(64, dtype=np.float32).repeat(32).reshape(64, 32).T[None]
    state = FilterState(state.grey, before, state.motion, state.unlike)
    found, _ = smoothed(state, np.zeros_like(before), 0.5, content=(32, 32), covered=(32, 64))
    np.testing.assert_array_equal(found[0, 0, :32], (np.arange(32) + 4) / 2)


@pytest.mark.parametrize("weight", [-0.1, 1.0, float("nan"), True, "much"])
def test_weights_are_below_one(weight: float) -> None:
    with pytest.raises(ConfigError, match="expected from 0 to below 1"):
        checked_weight(weight)


def test_streams_smooth(tmp_path: Path) -> None:
    artefact(tmp_path / "logits")
    segmenter = Segmenter(tmp_path / "logits", scores=True)
    image = stripes(16, 24)
    other = np.clip(image.astype(int) + 12, 0, 255).astype(np.uint8)
    plain, smooth = segmenter.stream(), segmenter.stream(smooth=0.5)
    first, second = (segmenter(one).scores for one in (image, other))
    np.testing.assert_array_equal(smooth.step(image).scores, plain.step(image).scores)
    found = smooth.step(other)
    np.testing.assert_allclose(found.scores, (first + second) / 2, atol=1e-5)
    np.testing.assert_array_equal(found.labels, found.scores.argmax(axis=0))
    saved = smooth.state()
    again = segmenter.stream(saved, smooth=0.5).step(image)
    np.testing.assert_array_equal(again.scores, smooth.step(image).scores)
    smooth.reset()
    np.testing.assert_array_equal(smooth.step(other).scores, second)


def test_labels_alone_cannot_be_smoothed(tmp_path: Path) -> None:
    artefact(tmp_path, output="labels")
    with pytest.raises(RuntimeEngineError, match="class scores were asked for"):
        Segmenter(tmp_path).stream(smooth=0.5)
