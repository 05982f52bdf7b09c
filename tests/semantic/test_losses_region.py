"""Dice and Lovasz losses against NumPy from the formulas."""

import numpy as np
import pytest

from mobileseg.errors import ConfigError
from mobileseg.semantic.losses_region import DiceLoss, LovaszSoftmaxLoss
from tests.semantic import loss_references as reference
from tests.semantic.loss_runs import WEIGHT, run

pytestmark = pytest.mark.both


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smooth", [1.0, 0.01])
def test_dice(batch, smooth, weight):
    expected = reference.dice(*batch, smooth, weight)
    assert run(DiceLoss(smooth=smooth, weight=weight), batch) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("classes", "chosen"), [("present", None), ("all", [0, 1, 2, 3]), ([1], [1]), ([3, 0], [3, 0])]
)
def test_lovasz(batch, classes, chosen):
    expected = reference.lovasz(*batch, chosen)
    assert run(LovaszSoftmaxLoss(classes=classes), batch) == pytest.approx(expected, rel=1e-5)


def test_lovasz_of_hard_decisions_is_the_jaccard_loss():
    rng = np.random.default_rng(3)
    label, guess = rng.integers(0, 3, (2, 1, 8, 8))
    logits = 100.0 * np.eye(3)[guess].transpose(0, 3, 1, 2).astype(np.float32)
    jaccard = [1 - ((label == k) & (guess == k)).sum() / ((label == k) | (guess == k)).sum() for k in range(3)]
    assert run(LovaszSoftmaxLoss(), (logits, label)) == pytest.approx(np.mean(jaccard), abs=1e-6)


def test_lovasz_of_every_third_row_and_column(batch):
    logits, label = batch
    expected = reference.lovasz(logits[:, :, ::3, ::3], label[:, ::3, ::3], None)
    assert run(LovaszSoftmaxLoss(stride=3), batch) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ConfigError, match="stride is 0"):
        LovaszSoftmaxLoss(stride=0)


def test_lovasz_of_a_class_that_the_network_lacks(batch):
    with pytest.raises(ConfigError, match="4 classes"):
        run(LovaszSoftmaxLoss(classes=[4]), batch)
