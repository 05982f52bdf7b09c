"""The four losses and their gradients against formulas in loops."""

import numpy as np
import paddle
import pytest

from mobileseg.errors import ConfigError
from mobileseg.instance.losses import YolactLoss
from tests.instance.loss_reference import annotated, grid_anchors, predicted, slow_losses

pytestmark = pytest.mark.both

ANCHORS = grid_anchors()
NAMES = ("loc", "logits", "mask", "proto", "segm")


def run(loss, outputs, batch):
    """Losses as floats, and the gradients of their sum."""
    tensors = {name: paddle.to_tensor(array) for name, array in outputs.items()}
    for name in NAMES:
        tensors[name].stop_gradient = False
    found = loss(tensors, {name: paddle.to_tensor(array) for name, array in batch.items()})
    paddle.add_n(list(found.values())).backward()
    return {name: float(value) for name, value in found.items()}, {name: tensors[name].grad.numpy() for name in NAMES}


CASES = {
    "objects": [2, 1],
    "objects, a crowd and an empty image": [3, 0, 2],
    "no object anywhere": [0, 0],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("published", [False, True])
def test_losses_equal_the_formulas(case, published):
    rng = np.random.default_rng(len(case))
    batch, outputs = annotated(rng, CASES[case]), predicted(rng, len(CASES[case]), ANCHORS)
    options = {"empty_negatives": 0, "smallest_side": 0.0} if published else {}
    found, _ = run(YolactLoss(**options), outputs, batch)
    wanted = slow_losses(outputs, batch, **options)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-5, atol=1e-7, err_msg=name)


def test_gradients_equal_differences_of_the_formulas():
    """Central differences in float64, at places of every output that matter and at some that do not."""
    rng = np.random.default_rng(11)
    batch, outputs = annotated(rng, [3, 0]), predicted(rng, 2, ANCHORS)
    _, gradients = run(YolactLoss(), outputs, batch)
    step = 1e-4
    for name in NAMES:
        flat = np.abs(gradients[name]).ravel()
        places = [*np.argsort(flat)[-3:], *rng.integers(0, flat.size, 2)]
        for place in places:
            values = []
            for sign in (1, -1):
                moved = {key: array.astype(np.float64) for key, array in outputs.items()}
                moved[name].ravel()[place] += sign * step
                values.append(sum(slow_losses(moved | {"anchors": ANCHORS}, batch).values()))
            slope = (values[0] - values[1]) / (2 * step)
            np.testing.assert_allclose(gradients[name].ravel()[place], slope, rtol=2e-3, atol=2e-5, err_msg=name)
        assert flat.max() > 1e-3


@pytest.mark.parametrize("kind", ["no objects", "crowds alone", "boxes without area", "padding alone"])
@pytest.mark.parametrize("empty_negatives", [0, 30])
def test_batches_without_positives_are_finite(kind, empty_negatives):
    rng = np.random.default_rng(5)
    batch, outputs = annotated(rng, [2, 3]), predicted(rng, 2, ANCHORS)
    if kind == "crowds alone":
        batch["crowd"][:] = 1
    elif kind == "boxes without area":
        batch["boxes"][..., 2] = batch["boxes"][..., 0]
    else:
        batch["classes"][:] = -1
    if kind == "no objects":
        batch = {name: array[:, :1] for name, array in batch.items()}
        batch["boxes"][:] = 0
        batch["masks"][:] = 0
    losses, gradients = run(YolactLoss(empty_negatives=empty_negatives), outputs, batch)
    assert np.isfinite([*losses.values()]).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())
    assert losses["box"] == losses["mask"] == 0.0
    assert not gradients["loc"].any()
    assert not gradients["mask"].any()
    assert not gradients["proto"].any()
    assert (losses["class"] > 0) == (empty_negatives > 0)
    touched = np.abs(gradients["logits"]).sum(axis=2) > 0
    assert (touched.sum(axis=1) <= empty_negatives).all()
    assert touched.any() == (empty_negatives > 0)


def test_an_empty_batch_teaches_background_as_strongly_as_a_full_one():
    """The divisor counts what the negatives stand for: the loss is neither a sum of hundreds nor zero."""
    rng = np.random.default_rng(6)
    outputs = predicted(rng, 2, ANCHORS)
    empty, _ = run(YolactLoss(), outputs, annotated(rng, [0, 0]))
    full, _ = run(YolactLoss(), outputs, annotated(rng, [2, 2]))
    assert 0.3 < empty["class"] / full["class"] < 3.0


def test_masks_of_many_positives_are_drawn_reproducibly_and_stand_for_all():
    rng = np.random.default_rng(7)
    batch, outputs = annotated(rng, [2, 2]), predicted(rng, 2, ANCHORS)
    few = YolactLoss(mask_positives=4, positive_iou=0.3, negative_iou=0.3)
    draws = []
    for seed in (1, 1, *range(2, 60)):
        np.random.seed(seed)
        losses, gradients = run(few, outputs, batch)
        draws.append(losses["mask"])
        assert ((np.abs(gradients["mask"]).sum(axis=2) > 0).sum(axis=1) == 4).all()
    whole = YolactLoss(positive_iou=0.3, negative_iou=0.3)
    all_of_them, gradients = run(whole, outputs, batch)
    assert (np.abs(gradients["mask"]).sum(axis=2) > 0).sum() > 12
    assert draws[0] == draws[1]
    assert len(set(draws)) > 20
    np.testing.assert_allclose(np.mean(draws), all_of_them["mask"], rtol=0.1)


def test_a_tiny_object_does_not_outweigh_the_others():
    rng = np.random.default_rng(8)
    batch, outputs = annotated(rng, [1]), predicted(rng, 1, ANCHORS)
    batch["boxes"][0, 0] = 0.5, 0.5, 0.505, 0.505
    guarded, _ = run(YolactLoss(), outputs, batch)
    published, _ = run(YolactLoss(smallest_side=0.0), outputs, batch)
    assert guarded["mask"] < 100 < published["mask"]


def test_weights_are_factors():
    rng = np.random.default_rng(9)
    batch, outputs = annotated(rng, [2]), predicted(rng, 1, ANCHORS)
    plain, _ = run(YolactLoss(), outputs, batch)
    scaled, _ = run(YolactLoss(box_weight=3.0, class_weight=2.0, mask_weight=1.0, segm_weight=0.0), outputs, batch)
    expected = [2 * plain["box"], 2 * plain["class"], plain["mask"] / 6.125, 0.0]
    np.testing.assert_allclose([*scaled.values()], expected, rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"negative_iou": 0.6},
        {"positive_iou": 1.5},
        {"negative_ratio": 0},
        {"empty_negatives": -1},
        {"mask_positives": 0},
        {"box_weight": -1.0},
    ],
)
def test_senseless_options_are_refused(options):
    with pytest.raises(ConfigError, match="YolactLoss"):
        YolactLoss(**options)
