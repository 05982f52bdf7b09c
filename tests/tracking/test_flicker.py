"""Flicker: none of a perfect labelling of a moving scene, and what is counted, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from mobileseg.data.synthetic.clip import draw_clip
from mobileseg.structures import InstanceMasks, InstanceResult
from mobileseg.tracking.flicker import FlickerMeter, changes, label_map


def test_changes_by_hand() -> None:
    labels = np.array([[1, 1, 2], [0, 0, 2]])
    moved = np.array([[9, 1, 1], [5, 0, 0]])
    flow = np.zeros((2, 3, 2), np.float32)
    flow[..., 0] = 1
    assert changes(labels, moved, flow) == (0, 4)  # the last column leaves the image
    assert changes(labels, moved, np.zeros_like(flow)) == (4, 6)
    left_out = np.array([[True, False, False], [True, False, False]])
    assert changes(labels, moved, np.zeros_like(flow), left_out) == (2, 4)
    assert changes(labels, moved, flow + 10) == (0, 0)


def test_a_perfect_labelling_of_a_moving_scene_has_no_flicker_and_noise_has() -> None:
    rng = np.random.default_rng(6)
    clip = draw_clip(rng, 120, 160, "train", 5)
    labels = [frame.scene.labels(frame.ids) for frame in clip]
    noisy = [np.where(rng.random(one.shape) < 0.1, 77, one) for one in labels]
    for sequence, low, high in ((labels, 0.0, 0.01), (noisy, 0.17, 0.2)):
        changed = compared = 0
        for index, frame in enumerate(clip[:-1]):
            counts = changes(sequence[index], sequence[index + 1], frame.flow, frame.occluded)
            changed, compared = changed + counts[0], compared + counts[1]
        assert compared > 50_000
        assert low <= changed / compared <= high
    images = [frame.scene.image(frame.ids, rng) for frame in clip]
    shares = []
    for sequence in (labels, noisy):
        meter = FlickerMeter()
        for image, one in zip(images, sequence, strict=True):
            meter.add(image, one)
        assert meter.compared > 20_000
        shares.append(meter.share)
    assert shares[0] < 0.03
    assert 0.15 < shares[1] < 0.25


def test_a_video_of_one_frame_has_no_flicker() -> None:
    meter = FlickerMeter()
    assert meter.share == 0
    meter.add(np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.uint8))
    assert (meter.share, meter.compared) == (0, 0)


def test_instances_become_labels_of_classes_or_tracks() -> None:
    regions = [(0, 0, np.ones((2, 3), np.bool_)), (1, 1, np.ones((2, 3), np.bool_)), (0, 0, np.zeros((0, 0), np.bool_))]
    result = InstanceResult(
        np.zeros((3, 4), np.float32), np.array([0.9, 0.8, 0.7], np.float32), np.array([4, 0, 1]),
        InstanceMasks((3, 5), regions), track_ids=np.array([0, 70_000, 2]),
    )  # fmt: skip
    assert label_map(result).tolist() == [[5, 5, 5, 0, 0], [5, 5, 5, 1, 0], [0, 1, 1, 1, 0]]
    assert label_map(result, "track").tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 70001, 0], [0, 70001, 70001, 70001, 0]]
    assert not label_map(result.take([])).any()
    with pytest.raises(ValueError, match="no track ids"):
        label_map(replace(result, track_ids=None), "track")


def test_arrays_of_other_sizes_are_refused() -> None:
    labels, flow = np.zeros((3, 4), int), np.zeros((3, 4, 2), np.float32)
    for wrong in ((labels[:2], labels, flow), (labels, labels[:, 1:], flow), (labels, labels, flow[1:])):
        with pytest.raises(ValueError, match="one size"):
            changes(*wrong)
    with pytest.raises(ValueError, match="one size"):
        changes(labels, labels, flow, np.zeros((2, 2), bool))
    with pytest.raises(ValueError, match="not finite"):
        changes(labels, labels, flow + np.inf)
