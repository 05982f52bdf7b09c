"""Kernels that are kept from a key frame to the frames behind it."""

from __future__ import annotations

import numpy as np
import pytest

from mobileseg.structures import InstanceResult
from mobileseg.video.mobileinst.options import KernelOptions, QueryOptions
from mobileseg.video.mobileinst.postprocess import Answers
from mobileseg.video.mobileinst.stream import KernelMemory, show, start

pytestmark = pytest.mark.both

QUERIES = QueryOptions(score_threshold=0.1)
GRID = 6, 8


def answers(channels: list[int], logit: float = 4.0) -> Answers:
    """One query per channel, whose kernel is that channel."""
    kernels = 10 * np.eye(4, dtype=np.float32)[channels].reshape(-1, 4)
    logits = np.full((len(channels), 2), -9, np.float32)
    logits[:, 0] = logit
    return Answers(kernels, logits, np.full(len(channels), logit, np.float32))


def features(strength: float = 1.0) -> np.ndarray:
    """Channel i is positive in a column of its own."""
    found = np.full((4, *GRID), -strength, np.float32)
    for channel in range(4):
        found[channel, :, 2 * channel : 2 * channel + 2] = strength
    return found


def step(
    state: KernelMemory | None, given: Answers | None, options: KernelOptions, strength: float = 1.0
) -> tuple[KernelMemory, InstanceResult]:
    """A key frame where answers are given."""
    if given is not None:
        state = start(state, given, QUERIES, options)
    assert state is not None
    return show(state, features(strength), 8, (48, 64), (48, 64), QUERIES, options)


def test_ids_go_on_between_keyframes_and_behind_them() -> None:
    options = KernelOptions()
    state, first = step(None, answers([0, 1]), options)
    state, second = step(state, None, options)
    _, third = step(state, answers([2, 1, 0]), options)
    column = [
        {int(box[0]): int(track) for box, track in zip(one.boxes, one.track_ids, strict=True)}
        for one in (first, second, third)
    ]
    assert column == [{0: 0, 16: 1}, {0: 0, 16: 1}, {0: 0, 16: 1, 32: 2}]


def test_a_reused_kernel_sees_the_frame_that_it_is_applied_to() -> None:
    options = KernelOptions()
    state = start(None, answers([0]), QUERIES, options)
    state, _ = show(state, features(), 8, (48, 64), (48, 64), QUERIES, options)
    moved = np.roll(features(), 3, axis=2)
    _, found = show(state, moved, 8, (48, 64), (48, 64), QUERIES, options)
    assert found.boxes.tolist() == [[24, 0, 40, 48]]


def test_weak_objects_have_no_ids() -> None:
    state, ids = None, []
    for logit in (-1.0, -1.0, 4.0, -1.0):
        state, found = step(state, answers([0, 1], logit), KernelOptions())
        ids.append(sorted(found.track_ids.tolist()))
    assert ids == [[-1, -1], [-1, -1], [0, 1], [0, 1]]


def test_unsure_masks_ask_for_a_keyframe() -> None:
    options = KernelOptions(rekey_below=0.8)
    state, _ = step(None, answers([0]), options)
    state, _ = step(state, None, options)
    assert not state.stale
    state, _ = step(state, None, options, strength=0.02)
    assert state.stale
    state, _ = step(state, answers([0]), options)
    assert not state.stale


def test_a_stream_without_objects() -> None:
    options = KernelOptions(rekey_below=0.9)
    state, found = step(None, answers([]), options)
    state, again = step(state, None, options)
    assert (len(found), len(again), state.stale) == (0, 0, False)


def test_a_state_does_not_change() -> None:
    options = KernelOptions()
    state, _ = step(None, answers([0, 1]), options)
    ids, sure = state.ids.copy(), state.sure
    step(state, None, options)
    assert (state.ids.tolist(), state.sure) == (ids.tolist(), sure)
