"""Scores, kept queries and masks, against the public reproduction and against slow ways."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from mobileseg.errors import RuntimeEngineError
from mobileseg.pixels import resize
from mobileseg.structures import InstanceResult
from mobileseg.video.mobileinst.options import QueryOptions
from mobileseg.video.mobileinst.postprocess import Answers, finish, instances_from_outputs, keep, make_masks
from tests.video.mobileinst.golden import parts, unpacked

pytestmark = pytest.mark.both

PUBLISHED = QueryOptions(score_threshold=0.005, resize_twice=True)


def outputs(
    queries: int = 7, channels: int = 5, classes: int = 3, grid: tuple[int, int] = (6, 9)
) -> dict[str, np.ndarray]:
    rng = np.random.RandomState(0)
    shapes = {
        "mask_features": (1, channels, *grid),
        "kernels": (1, queries, channels),
        "logits": (1, queries, classes),
        "objectness": (1, queries, 1),
    }
    return {name: (2 * rng.randn(*shape)).astype(np.float32) for name, shape in shapes.items()}


def whole(kernel: np.ndarray, features: np.ndarray, size: tuple[int, int], threshold: float = 0.45) -> np.ndarray:
    """A mask by enlarging all of it."""
    logits = np.tensordot(kernel, features, axes=1)
    return resize(1 / (1 + np.exp(-logits)), size) > np.float32(threshold)


def test_published_inference() -> None:
    """Masks of stride 4 are given there: those of stride 8 of which they are the enlargement are not known, so the
    enlargement is left out by a grid of twice the size."""
    masks = parts()["inf.masks"][0]
    answers = Answers(np.zeros((20, 1), np.float32), parts()["inf.logits"][0], parts()["inf.objectness"][0, :, 0])
    padded, image, original = (
        tuple(int(length) for length in parts()[f"inf.{name}"])
        for name in ("padded_input", "image_size", "original_size")
    )
    assert answers.classes.tolist() == parts()["inf.out_labels"].tolist()
    for query, logits in enumerate(masks):
        shares = 1 / (1 + np.exp(-logits))
        sure = shares[shares > 0.45].sum() / ((shares > 0.45).sum() + 1e-6)
        assert answers.scores[query] * sure == pytest.approx(float(parts()["inf.out_scores"][query]), rel=1e-5)
        enlarged = resize(np.ascontiguousarray(resize(shares, padded)[: image[0], : image[1]]), original)
        np.testing.assert_array_equal(enlarged > np.float32(0.45), unpacked("inf.out_masks")[query])
    # The module's own way to the same masks, from mask features whose enlargement is known: constant ones.
    flat = np.ones((1, padded[0] // 8, padded[1] // 8), np.float32)
    made, sure = make_masks(np.array([[2.0], [-2.0]], np.float32), flat, 8, image, original, PUBLISHED)
    assert made.areas().tolist() == [original[0] * original[1], 0]
    assert sure.tolist() == pytest.approx([1 / (1 + np.exp(-2.0)), 0])


@pytest.mark.parametrize("size", [(48, 72), (100, 91), (31, 200)])
def test_masks_of_the_kept_queries(size: tuple[int, int]) -> None:
    given = outputs()
    options = QueryOptions(score_threshold=0.6, rescore=False)
    found = instances_from_outputs(given, 8, (48, 72), size, options)
    answers = Answers.of(given)
    chosen = keep(answers.scores, options)
    assert 1 < len(chosen) < 7
    expected = [whole(answers.kernels[query], given["mask_features"][0], size) for query in chosen]
    kept = [query for query, mask in zip(chosen, expected, strict=True) if mask.any()]
    np.testing.assert_array_equal(found.masks.to_array(), [mask for mask in expected if mask.any()])
    np.testing.assert_allclose(found.scores, answers.scores[kept], rtol=1e-6)
    for box, mask in zip(found.boxes, found.masks, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert box.tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def test_scores_are_multiplied_by_the_certainty_of_the_mask() -> None:
    given = outputs()
    plain = instances_from_outputs(given, 8, (48, 72), (48, 72), QueryOptions(rescore=False))
    judged = instances_from_outputs(given, 8, (48, 72), (48, 72), QueryOptions())
    assert sorted(plain.masks.areas()) == sorted(judged.masks.areas())
    assert (np.diff(judged.scores) <= 0).all()
    assert judged.scores.max() < plain.scores.max()


def test_an_input_that_the_grid_covers_with_a_rest_is_cut() -> None:
    """75x101 at stride 8 is a grid of 10x13 cells, which covers 80x104 pixels."""
    kernels = np.random.RandomState(1).randn(3, 5).astype(np.float32)
    features = np.random.RandomState(2).randn(5, 10, 13).astype(np.float32)
    masks, _ = make_masks(kernels, features, 8, (75, 101), (75, 101))
    logits = np.tensordot(kernels, features, axes=1).astype(np.float32)
    for mask, one in zip(masks, logits, strict=True):
        fine = 1 / (1 + np.exp(-resize(one, (20, 26))))
        np.testing.assert_array_equal(mask, resize(fine, (80, 104))[:75, :101] > np.float32(0.45))


def test_no_query_is_good_enough() -> None:
    found = instances_from_outputs(outputs(), 8, (48, 72), (30, 20), QueryOptions(score_threshold=0.99))
    assert isinstance(found, InstanceResult)
    assert (len(found), found.masks.size, found.boxes.shape) == (0, (30, 20), (0, 4))


def test_the_rows_that_remain_are_named() -> None:
    given = outputs()
    given["kernels"][0, 2] = -100 * given["mask_features"][0].mean(axis=(1, 2))
    given["mask_features"][:] = given["mask_features"].mean(axis=(2, 3), keepdims=True)
    answers = Answers.of(given)
    _, rows, sure = finish(answers, np.arange(7), given["mask_features"][0], 8, (48, 72), (48, 72))
    assert 2 not in rows
    assert len(sure) == 7
    assert sure[2] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernels": None}, "no 'kernels'"),
        ({"logits": np.zeros((2, 7, 3), np.float32)}, "batch of 1"),
        ({"objectness": np.zeros((1, 6, 1), np.float32)}, "do not fit"),
        ({"logits": np.full((1, 7, 3), np.nan, np.float32)}, "no numbers"),
        ({"mask_features": np.full((1, 5, 6, 9), np.inf, np.float32)}, "infinite"),
        ({"mask_features": None}, "missing"),
        ({"mask_features": np.zeros((1, 4, 6, 9), np.float32)}, "4 mask features"),
    ],
)
def test_broken_answers(change: dict[str, Any], message: str) -> None:
    given = {name: value for name, value in {**outputs(), **change}.items() if value is not None}
    with pytest.raises(RuntimeEngineError, match=message):
        instances_from_outputs(given, 8, (48, 72), (48, 72), QueryOptions(score_threshold=0.0))


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="score_threshold"):
        QueryOptions(score_threshold=1.5)
    assert dataclasses.asdict(QueryOptions())["mask_threshold"] == 0.45
