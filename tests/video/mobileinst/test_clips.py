"""Losses of clips: what is handed from a frame to the next."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from mobileseg.backbones.mobilenetv2 import MobileNetV2_x0_25
from mobileseg.video.mobileinst.clips import carry, clip_losses
from mobileseg.video.mobileinst.losses import Assignment, MobileInstLoss, Objects
from mobileseg.video.mobileinst.model import MobileInst

pytestmark = pytest.mark.both

LENGTH, SIZE = 2, (64, 64)


def build() -> MobileInst:
    paddle.seed(0)
    return MobileInst(3, MobileNetV2_x0_25(), 16, 8, num_queries=6, heads=2, hidden=24, token_stride=16)


def clip(present: list[list[int]], length: int = LENGTH) -> dict[str, paddle.Tensor]:
    """One clip; row i of ``present`` has the frames of track i."""
    rng = np.random.RandomState(0)
    masks = np.zeros((1, len(present), length, *SIZE), np.uint8)
    for track, frames in enumerate(present):
        for frame in frames:
            masks[0, track, frame, 8 * track : 8 * track + 20, 10 + 3 * frame : 40 + 3 * frame] = 1
    arrays = {
        "frames": rng.randn(1, length, 3, *SIZE).astype(np.float32),
        "classes": np.arange(len(present))[None] % 3,
        "crowd": np.zeros((1, len(present)), np.uint8),
        "frame_masks": masks,
    }
    return {name: paddle.to_tensor(array) for name, array in arrays.items()}


def objects(rows: list[int]) -> Objects:
    return Objects(np.array(rows, np.int64) % 3, np.ones((len(rows), 2, 2), np.float32), np.array(rows, np.int64))


def test_a_query_keeps_its_track() -> None:
    """Tracks 3, 5 and 8 are learned by queries 2, 0 and 4; 5 is gone in the next frame, and 9 is new there."""
    here, there = objects([3, 5, 8]), objects([8, 3, 9])
    common, pairs = carry(here, there, Assignment(np.array([0, 2, 4]), np.array([1, 0, 2])))
    assert common.rows.tolist() == [8, 3]
    assert dict(zip(pairs.queries.tolist(), common.rows[pairs.objects].tolist(), strict=True)) == {4: 8, 2: 3}


@pytest.mark.parametrize(("here", "there"), [([], [1]), ([1], []), ([1], [2])])
def test_nothing_in_common(here: list[int], there: list[int]) -> None:
    count = np.arange(len(here))
    common, pairs = carry(objects(here), objects(there), Assignment(count, count))
    assert (len(common.classes), len(pairs.queries)) == (0, 0)


def test_parts_by_factor() -> None:
    network, batch = build(), clip([[0, 1], [0], [1]])
    image = {"class", "dice", "mask", "objectness", "global"}
    assert set(clip_losses(network, MobileInstLoss(passing_weight=0), batch)) == image
    assert set(clip_losses(network, MobileInstLoss(), batch)) == image | {"passed"}
    losses = clip_losses(network, MobileInstLoss(reuse_weight=0.5), batch)
    assert set(losses) == image | {"passed", "reused"}
    assert all(np.isfinite(float(value)) and float(value) > 0 for value in losses.values())


def test_frames_are_learned_like_images() -> None:
    network, batch = build(), clip([[0, 1], [0]])
    network.eval()
    network.instance_decoder.train()  # outputs of training, norms of evaluation
    criterion = MobileInstLoss(passing_weight=0)
    found = clip_losses(network, criterion, batch)
    masks = batch["frame_masks"].numpy()[0].swapaxes(0, 1)
    classes = np.repeat(batch["classes"].numpy(), LENGTH, axis=0)
    classes[1, 1] = -1
    targets = {"classes": classes, "crowd": np.zeros_like(classes), "masks": masks}
    expected = criterion(
        network(batch["frames"][0]), {name: paddle.to_tensor(array) for name, array in targets.items()}
    )
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(float(value), rel=1e-5)


def test_a_frame_that_repeats_passes_and_reuses_what_it_says_itself() -> None:
    """Of two equal frames the passed queries and the reused kernels are those of the second frame."""
    network, batch = build(), clip([[0, 1], [0, 1]])
    network.eval()
    network.instance_decoder.train()
    for name, axis in (("frames", 1), ("frame_masks", 2)):
        first = batch[name].numpy().take([0, 0], axis=axis)
        batch[name] = paddle.to_tensor(first)
    losses = {
        k: float(v) for k, v in clip_losses(network, MobileInstLoss(global_weight=0, reuse_weight=1.0), batch).items()
    }
    images = losses["class"] + losses["dice"] + losses["mask"] + losses["objectness"]
    assert losses["passed"] == pytest.approx(images, rel=1e-4)
    assert losses["reused"] == pytest.approx(losses["dice"] + losses["mask"], rel=1e-4)


@pytest.mark.parametrize("present", [[[], []], [[0], [1]], [[], [0, 1]]])
def test_clips_without_objects_or_without_common_ones(present: list[list[int]]) -> None:
    network = build()
    losses = clip_losses(network, MobileInstLoss(reuse_weight=0.5), clip(present))
    total = sum(losses.values())
    total.backward()
    assert np.isfinite(float(total))
    assert all(p.grad is not None for p in network.parameters() if not p.stop_gradient)


def test_gradients_of_passed_queries_reach_the_frame_before() -> None:
    network, batch = build(), clip([[0, 1]])
    network.eval()
    network.instance_decoder.train()
    frames = batch["frames"]
    frames.stop_gradient = False
    clip_losses(network, MobileInstLoss(), batch)["passed"].backward()
    assert (np.abs(frames.grad.numpy()).max(axis=(0, 2, 3, 4)) > 0).all()


def test_longer_clips() -> None:
    losses = clip_losses(build(), MobileInstLoss(), clip([[0, 1, 2], [1]], length=3))
    assert float(losses["passed"]) > 0
