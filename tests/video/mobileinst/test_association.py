"""Kernels of one key frame and of the next: MinVIS' permutation, and tracks that begin, end and come back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mobileseg.video.mobileinst.association import (
    NO_TRACK,
    KernelTracks,
    QueryTracks,
    associate,
    best_tracks,
    cosines,
    permutation,
    permute,
)
from mobileseg.video.mobileinst.options import KernelOptions
from tests.video.mobileinst.golden import parts

pytestmark = pytest.mark.both

AXES = np.eye(6, dtype=np.float32)
ONE = np.zeros(1, np.int64)


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def test_permutations_of_a_video() -> None:
    kernels, logits = parts()["minvis.embeds"], parts()["minvis.logits"]
    tracks: QueryTracks | None = None
    for frame in range(len(kernels)):
        tracks, order = permute(tracks, kernels[frame], logits[frame])
        if frame:
            np.testing.assert_array_equal(order, parts()["minvis.permutations"][frame - 1])
    assert tracks is not None
    np.testing.assert_allclose(tracks.means, parts()["minvis.mean_logits"], atol=1e-6)
    scores = softmax(tracks.means)[:, :-1]  # there the last class is 'no object'
    queries, labels = best_tracks(scores, 10)
    np.testing.assert_array_equal(labels, parts()["minvis.top_labels"])
    np.testing.assert_allclose(scores[queries, labels], parts()["minvis.top_scores"], atol=1e-6)


def test_permutation_is_the_best_of_all() -> None:
    rng = np.random.RandomState(0)
    previous, current = rng.randn(5, 3).astype(np.float32), rng.randn(5, 3).astype(np.float32)
    alike = cosines(previous, current)
    best = max(itertools.permutations(range(5)), key=lambda order: sum(alike[i, j] for i, j in enumerate(order)))
    assert permutation(previous, current).tolist() == list(best)


def test_cosines_with_zero() -> None:
    assert cosines(np.zeros((1, 3)), np.ones((2, 3))).tolist() == [[0, 0]]


def test_fewer_pairs_than_asked_for() -> None:
    assert [array.tolist() for array in best_tracks(np.array([[0.1, 0.4], [0.3, 0.2]]), 10)] == [
        [0, 1, 1, 0],
        [1, 0, 1, 0],
    ]


def seen(tracks: KernelTracks, axes: list[int], scores: float = 1.0, labels: list[int] | None = None, **options: float):
    classes = np.array(labels if labels is not None else [0] * len(axes), np.int64)
    return associate(tracks, AXES[axes].reshape(-1, 6), classes, np.full(len(axes), scores), KernelOptions(**options))


def test_objects_keep_their_ids_in_any_order() -> None:
    tracks, first = seen(KernelTracks.none(6), [0, 1, 2])
    tracks, second = seen(tracks, [2, 0, 1])
    assert (first.tolist(), second.tolist()) == ([0, 1, 2], [2, 0, 1])


def test_a_lost_object_comes_back_within_its_time() -> None:
    tracks, _ = seen(KernelTracks.none(6), [0, 1])
    for _ in range(2):
        tracks, ids = seen(tracks, [1], lost_keyframes=2)
        assert ids.tolist() == [1]
    assert seen(tracks, [0, 1], lost_keyframes=2)[1].tolist() == [0, 1]
    tracks, _ = seen(tracks, [1], lost_keyframes=2)
    assert seen(tracks, [0, 1], lost_keyframes=2)[1].tolist() == [2, 1]


def test_a_keyframe_without_objects() -> None:
    tracks, _ = seen(KernelTracks.none(6), [0])
    tracks, ids = seen(tracks, [])
    assert len(ids) == 0
    assert seen(tracks, [0])[1].tolist() == [0]
    assert seen(KernelTracks.none(6), [])[1].tolist() == []


def test_a_weak_object_goes_on_but_does_not_begin() -> None:
    tracks, ids = seen(KernelTracks.none(6), [0], scores=0.2)
    assert ids.tolist() == [NO_TRACK]
    tracks, _ = seen(tracks, [0])
    assert seen(tracks, [0], scores=0.2)[1].tolist() == [0]


@pytest.mark.parametrize(("penalty", "expected"), [(0.2, 0), (0.6, 1)])
def test_another_class_costs(penalty: float, expected: int) -> None:
    tracks, _ = seen(KernelTracks.none(6), [0])
    assert seen(tracks, [0], labels=[3], class_penalty=penalty)[1].tolist() == [expected]


def test_the_whole_set_is_matched_not_the_best_pair() -> None:
    """Greedily, the track goes to the closer object and the other track is lost."""
    angle = np.deg2rad(np.array([0.0, 40.0, 35.0, 75.0]))
    kernels = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    tracks, _ = associate(KernelTracks.none(2), kernels[:2], np.zeros(2, np.int64), np.ones(2))
    _, ids = associate(tracks, kernels[2:], np.zeros(2, np.int64), np.ones(2))
    assert ids.tolist() == [0, 1]


def test_kernels_below_the_similarity_are_new_objects() -> None:
    tracks, _ = seen(KernelTracks.none(6), [0])
    assert seen(tracks, [1])[1].tolist() == [1]


def test_memory_of_a_kernel() -> None:
    tracks, _ = associate(KernelTracks.none(6), AXES[[0]], ONE, np.ones(1))
    after, _ = associate(tracks, AXES[[0]] * 3, ONE, np.ones(1), KernelOptions(momentum=0.9))
    np.testing.assert_allclose(after.kernels[0, 0], 0.9 + 0.1 * 3, rtol=1e-6)
    np.testing.assert_array_equal(tracks.kernels, AXES[[0]])  # states do not change
