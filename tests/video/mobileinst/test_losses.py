"""Matching and losses against SparseInst's, and the cases that it does not survive."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import numpy as np
import paddle
import pytest

from mobileseg.errors import ConfigError
from mobileseg.video.mobileinst.losses import (
    MobileInstLoss,
    Objects,
    Predictions,
    match,
    predictions,
    set_losses,
    similarity,
)
from mobileseg.video.mobileinst.targets import ObjectReader, class_shares, soft_masks
from tests.video.mobileinst.golden import original_objects, parts

pytestmark = pytest.mark.both

NAMES = {"class": "loss_ce", "dice": "loss_dice", "mask": "loss_mask", "objectness": "loss_objectness"}


def original(case: str) -> Predictions:
    logits, masks = (
        paddle.to_tensor(parts()[f"{case}.pred_{name}"], stop_gradient=False) for name in ("logits", "masks")
    )
    scores = parts().get(f"{case}.pred_scores", np.zeros((*logits.shape[:2], 1), np.float32))
    return Predictions(logits, paddle.to_tensor(scores, stop_gradient=False), masks)


@pytest.mark.parametrize(
    ("case", "images", "size", "grid"), [("crit", 3, (80, 112), (20, 28)), ("hard", 2, (72, 88), (18, 22))]
)
def test_matching(case: str, images: int, size: tuple[int, int], grid: tuple[int, int]) -> None:
    found = match(original(case), original_objects(case, images, size, grid))
    for image, pairs in enumerate(found):
        expected = zip(parts()[f"{case}.match_pred{image}"], parts()[f"{case}.match_gt{image}"], strict=True)
        assert set(zip(pairs.queries.tolist(), pairs.objects.tolist(), strict=True)) == set(expected)


def test_similarity() -> None:
    found = original("hard")
    for image, objects in enumerate(original_objects("hard", 2, (72, 88), (18, 22))):
        score = similarity(found.logits[image], found.masks[image], objects).numpy()
        np.testing.assert_allclose(score, parts()[f"hard.score{image}"], atol=1e-6)


def test_losses_and_gradients() -> None:
    found, objects = original("crit"), original_objects("crit", 3, (80, 112), (20, 28))
    losses = set_losses(found, objects, match(found, objects))
    weights = MobileInstLoss().weights
    for name, theirs in NAMES.items():
        assert float(losses[name]) == pytest.approx(float(parts()[f"crit.raw.{theirs}"]), rel=1e-5)
        assert weights[name] * float(losses[name]) == pytest.approx(float(parts()[f"crit.weighted.{theirs}"]), rel=1e-5)
    sum(weights[name] * value for name, value in losses.items()).backward()
    for tensor, name in zip(found, ("pred_logits", "pred_scores", "pred_masks"), strict=True):
        expected = parts()[f"crit.grad.{name}"]
        assert np.abs(tensor.grad.numpy() - expected).max() < 1e-5 * expected.std()


def test_matching_is_the_best_of_all() -> None:
    """Against every assignment of 3 objects to 4 queries."""
    rng = np.random.RandomState(0)
    objects = Objects(np.array([0, 1, 1]), (rng.rand(3, 5, 6) > 0.5).astype(np.float32), np.arange(3))
    found = Predictions(
        *(paddle.to_tensor(rng.randn(*s).astype(np.float32)) for s in ((1, 4, 2), (1, 4, 1), (1, 4, 5, 6)))
    )
    score = similarity(found.logits[0], found.masks[0], objects).numpy()
    best = max(itertools.permutations(range(4), 3), key=lambda rows: sum(score[row, k] for k, row in enumerate(rows)))
    pairs = match(found, [objects])[0]
    assert dict(zip(pairs.objects.tolist(), pairs.queries.tolist(), strict=True)) == dict(enumerate(best))


def outputs(batch: int = 2, queries: int = 4, size: tuple[int, int] = (4, 5)) -> dict[str, paddle.Tensor]:
    rng = np.random.RandomState(1)
    shapes = {"logits": (batch, queries, 3), "objectness": (batch, queries, 1), "kernels": (batch, queries, 6)}
    shapes |= {f"global_{name}": shape for name, shape in shapes.items()}
    shapes["mask_features"] = (batch, 6, *size)
    return {name: paddle.to_tensor(rng.randn(*s).astype(np.float32), stop_gradient=False) for name, s in shapes.items()}


def targets(counts: list[int], size: tuple[int, int] = (32, 40), crowd: int = 0) -> dict[str, Any]:
    """Images with that many objects, squares of growing size; the last ``crowd`` rows of every image are crowds."""
    most = max(counts)
    found = {
        "classes": np.full((len(counts), most), -1, np.int64),
        "crowd": np.zeros((len(counts), most), np.uint8),
        "masks": np.zeros((len(counts), most, *size), np.uint8),
    }
    for image, count in enumerate(counts):
        found["classes"][image, :count] = np.arange(count) % 3
        found["crowd"][image, count - min(crowd, count) : count] = 1
        for row in range(count):
            found["masks"][image, row, : 4 + 2 * row, : 4 + 2 * row] = 1
    return {name: paddle.to_tensor(array) for name, array in found.items()}


def test_an_image_without_objects_counts_in_the_class_loss_alone() -> None:
    loss = MobileInstLoss(global_weight=0)
    both = loss(outputs(), targets([2, 0]))
    one = loss({name: value[:1] for name, value in outputs().items()}, targets([2]))
    assert {name: float(both[name]) for name in ("dice", "mask", "objectness")} == pytest.approx(
        {name: float(one[name]) for name in ("dice", "mask", "objectness")}
    )
    assert float(both["class"]) > float(one["class"])


@pytest.mark.parametrize("counts", [[0, 0], [2, 1]])
def test_without_any_object(counts: list[int]) -> None:
    """No objects at all, or crowds alone."""
    given = outputs()
    losses = MobileInstLoss()(given, targets(counts, crowd=2) if sum(counts) else targets([0, 0]))
    assert [float(losses[name]) for name in ("dice", "mask", "objectness")] == [0, 0, 0]
    assert float(losses["class"]) > 0
    sum(losses.values()).backward()
    assert all(value.grad is not None and np.isfinite(value.grad.numpy()).all() for value in given.values())


def test_more_objects_than_queries(caplog: pytest.LogCaptureFixture) -> None:
    reader = ObjectReader(4)
    arrays = {name: value.numpy() for name, value in targets([6, 3]).items()}
    with caplog.at_level(logging.WARNING):
        objects = reader(arrays, (4, 5), 2)
        reader(arrays, (4, 5), 2)
    assert objects[0].rows.tolist() == [2, 3, 4, 5]
    assert objects[1].rows.tolist() == [0, 1, 2]
    assert reader.crowded == 2
    assert len(caplog.records) == 1
    assert "6 objects" in caplog.text
    assert "4 queries" in caplog.text


def test_soft_masks_are_bilinear_samples_of_the_padded_mask() -> None:
    mask = np.random.RandomState(0).rand(1, 13, 21) > 0.5
    found = soft_masks(mask.astype(np.uint8), (2, 3), 8, 2)[0]
    padded = np.zeros((16, 24), np.float32)
    padded[:13, :21] = mask[0]
    centres = padded.reshape(4, 4, 6, 4)[:, 1:3, :, 1:3].mean(axis=(1, 3))  # the middle four of sixteen pixels
    np.testing.assert_allclose(found, centres)


def test_shares_of_cells() -> None:
    """Overlapping squares of one class, a third of another one, a crowd, padding; the grid reaches beyond the image."""
    found = {
        "classes": np.array([[1, 1, 0, 0, -1]]),
        "crowd": np.array([[0, 0, 0, 1, 0]], np.uint8),
        "masks": np.zeros((1, 5, 20, 40), np.uint8),
    }
    for row, (top, left, side) in enumerate(((0, 0, 16), (8, 8, 8), (12, 30, 6), (0, 0, 20), (0, 0, 20))):
        found["masks"][0, row, top : top + side, left : left + side] = 1
    shares = class_shares(found, 3, (2, 3))
    expected = np.zeros((1, 3, 2, 3), np.float32)
    expected[0, 1, 0, 0] = 1
    for cell, pixels in {(0, 1): 8, (0, 2): 16, (1, 1): 4, (1, 2): 8}.items():
        expected[0, 0][cell] = pixels / 256
    np.testing.assert_allclose(shares, expected)


def test_cells_learn_their_classes() -> None:
    known = targets([2, 1])
    loss = MobileInstLoss(semantic_weight=3.0)
    given = outputs()
    assert "cell_classes" not in loss(given, known)
    shares = class_shares({name: value.numpy() for name, value in known.items()}, 3, (2, 3))
    given["cell_classes"] = paddle.to_tensor(np.random.RandomState(2).randn(2, 3, 2, 3).astype(np.float32))
    found = float(loss(given, known)["cell_classes"])
    logits = given["cell_classes"].numpy()
    surprise = np.logaddexp(0, logits) - shares * logits
    assert found == pytest.approx(3 * surprise.mean(), rel=1e-5)


def test_masks_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="does not belong"):
        MobileInstLoss()(outputs(), targets([1, 1], size=(64, 40)))


@pytest.mark.parametrize(("copies", "count"), [(1, 2), (2, 4), (9, 8)])
def test_several_queries_of_the_global_decoder_learn_one_object(copies: int, count: int) -> None:
    """Of 8 queries and 2 objects at most 4 each; the objective of the last decoder is as without copies."""
    given, known = outputs(queries=8), targets([2, 2])
    plain, several = MobileInstLoss()(given, known), MobileInstLoss(global_copies=copies)(given, known)
    for name in ("class", "dice", "mask", "objectness"):
        assert float(several[name]) == float(plain[name])
    objects = MobileInstLoss().objects(given, known)
    early = predictions(given, "global_")
    expected = 0.0
    copied = [Objects(*(np.concatenate([part] * (count // 2)) for part in one)) for one in objects]
    for name, value in set_losses(early, copied, match(early, copied, 2), 2).items():
        expected += MobileInstLoss().weights[name] * float(value)
    assert float(several["global"]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"class_weight": -1.0},
        {"mask_scale": 0},
        {"reuse_weight": -0.5},
        {"global_copies": 0},
        {"semantic_weight": -1.0},
    ],
)
def test_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="MobileInstLoss"):
        MobileInstLoss(**arguments)
