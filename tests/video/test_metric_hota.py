"""HOTA and IDF1 against TrackEval, and against the definitions written out for small cases."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from mobileseg.video.metric_hota import HotaCounts, hota_counts
from mobileseg.video.metric_identity import IdentityCounts, identity_counts
from mobileseg.video.metric_tracks import MaskTrack, TrackGroup, grouped
from tests.video.moving import ellipse, rle, video, videos

pytestmark = pytest.mark.both

REFERENCE = Path(__file__).parents[1] / "reference" / "golden" / "video" / "trackeval.json"
A, B, C = ellipse((25, 30), (12, 9)), ellipse((70, 20), (10, 10)), ellipse((60, 55), (14, 8))


def measured(found, true):
    hota, identity = HotaCounts(), IdentityCounts()
    for group in grouped(found, true):
        hota += hota_counts(group.objects(), len(group.found), len(group.true))
        identity += identity_counts(group.objects(), len(group.found), len(group.true))
    return hota.numbers() | identity.numbers()


def track(masks, **more):
    return MaskTrack(1, 0, [None if mask is None else rle(mask) for mask in masks], **more)


@pytest.mark.parametrize(("seed", "expected"), json.loads(REFERENCE.read_text())["cases"].items())
def test_numbers_of_trackeval(seed, expected):
    numbers = measured(*videos(int(seed)))
    assert {name: numbers[name] for name in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_idtp_is_the_best_of_all_assignments(seed):
    for group in grouped(*video(seed, objects=3, false=1, classes=1)):
        frames = group.objects()
        together = np.zeros((len(group.found), len(group.true)), int)
        for frame in frames:
            for row, found in enumerate(frame.found):
                for column, true in enumerate(frame.true):
                    together[found, true] += frame.iou[row, column] >= 0.5
        wide = np.pad(together, ((0, len(group.true)), (0, 0)))  # a true track may get none
        best = max(
            wide[list(rows), range(len(group.true))].sum() for rows in permutations(range(len(wide)), len(group.true))
        )
        assert identity_counts(frames, len(group.found), len(group.true)).matched == best


def relabelled(group):
    """Found tracks of perfect association: each mask joins the true track that it overlaps most, others stand alone."""
    length = max(len(one.masks) for one in (*group.found, *group.true))
    joined, alone = [[None] * length for _ in group.true], []
    for number, frame in enumerate(group.frames):
        for row, found in enumerate(frame.found):
            mask, best = group.found[found].masks[frame_number(group, number)], None
            if len(frame.true) and frame.iou[row].max() >= 0.5:
                best = frame.true[frame.iou[row].argmax()]
            position = frame_number(group, number)
            if best is not None and joined[best][position] is None:
                joined[best][position] = mask
            else:
                alone.append([mask if t == position else None for t in range(length)])
    kept = [masks for masks in joined if any(masks)] + alone
    return [MaskTrack(1, 0, masks, 0.5) for masks in kept]


def frame_number(group, position):
    """Frames without any mask are left out of a group's list."""
    seen = [t for t in range(12) if any(len(one.masks) > t and one.areas[t] for one in (*group.found, *group.true))]
    return seen[position]


@pytest.mark.parametrize("seed", range(10))
def test_perfect_association_of_the_same_detections(seed):
    """What is reported beside IDF1 is the IDF1 of the detections with the identities of the objects."""
    found, true = video(seed, classes=1)
    numbers = measured(found, true)
    (group,) = grouped(found, true)
    perfect = measured(relabelled(group), true)
    assert perfect["idf1"] == pytest.approx(numbers["idf1_perfect"])
    assert perfect["association"] == 1.0
    assert numbers["association"] == pytest.approx(numbers["idf1"] / numbers["idf1_perfect"])
    assert numbers["idf1"] <= numbers["idf1_perfect"]


def test_an_exchange_of_identities_by_hand():
    """Two objects in four frames; after two of them the tracker exchanges their numbers."""
    true = [track([A] * 4), track([B] * 4)]
    numbers = measured([track([A, A, B, B]), track([B, B, A, A])], true)
    assert numbers["deta"] == numbers["loca"] == numbers["idf1_perfect"] == 1.0
    assert numbers["assa"] == pytest.approx(2 / 6)  # each pair shares 2 of 6 frames
    assert numbers["hota"] == pytest.approx(np.sqrt(2 / 6))
    assert (numbers["idf1"], numbers["idp"], numbers["idr"], numbers["association"]) == (0.5, 0.5, 0.5, 0.5)


def test_the_right_answer_is_perfect():
    numbers = measured([track([A, None, A]), track([B, B, None])], [track([B, B, None]), track([A, None, A])])
    assert set(numbers.values()) == {1.0}


def test_nothing_found_nothing_to_find_and_neither():
    missed = measured([], [track([A, A])])
    assert (missed["hota"], missed["idf1"], missed["idp"], missed["association"]) == (0.0, 0.0, None, None)
    false = measured([track([A, A])], [])
    assert (false["hota"], false["idf1"], false["idr"], false["association"]) == (0.0, 0.0, None, None)
    assert set(measured([], []).values()) == {None}
    assert measured([track([None])], [track([None])])["hota"] is None


def test_classes_are_not_compared():
    numbers = measured([track([A])], [MaskTrack(1, 1, [rle(A)])])
    assert (numbers["hota"], numbers["idf1_perfect"]) == (0.0, 0.0)


def test_what_lies_in_a_crowd_is_neither_right_nor_wrong():
    crowd = np.zeros_like(A)
    crowd[:, 45:] = True  # holds B and C
    true = [track([A, A]), track([crowd, None], crowd=True)]
    found = [track([A, A]), track([B, None])]
    assert measured(found, true)["hota"] == 1.0
    assert (
        measured(found, [*true, track([B, B])])["idr"] == 0.75
    )  # an object in it is to be found; the second is missed
    outside = measured([track([A, A]), track([B, B])], true)
    assert outside["idp"] == pytest.approx(2 / 3)  # the region is in the first frame alone
    edge = np.zeros_like(A)
    edge[:4, 43:47] = True
    assert measured([track([A, A]), track([edge, None])], true)["idp"] == pytest.approx(
        2 / 3
    )  # half is not more than half
    assert [len(frame.true) for frame in TrackGroup([], true).objects()] == [1, 1]


@pytest.mark.parametrize("seed", range(4))
def test_neither_order_nor_names_matter(seed):
    found, true = videos(seed)
    expected = measured(found, true)
    draw = np.random.RandomState(seed)
    names = {1: 70, 2: 4, 3: 12}
    sides = [
        [
            MaskTrack(names[side[i].video], side[i].label, side[i].masks, side[i].score)
            for i in draw.permutation(len(side))
        ]
        for side in (found, true)
    ]
    assert measured(*sides) == pytest.approx(expected, abs=1e-12)
