"""Cross entropy, OHEM, mixtures and the criterion against NumPy from the formulas."""

import logging

import numpy as np
import paddle
import pytest

from mobileseg.errors import ConfigError
from mobileseg.registry import LOSSES
from mobileseg.semantic.loss_base import sample_label
from mobileseg.semantic.losses import Criterion, CrossEntropyLoss, MixedLoss, OhemCrossEntropyLoss
from tests.semantic import loss_references as reference
from tests.semantic.loss_runs import WEIGHT, run

pytestmark = pytest.mark.both

SINGLE = sorted({name for name in LOSSES if LOSSES.get(name).task == "semantic"} - {"MixedLoss"})


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("avg_non_ignore", [True, False])
def test_cross_entropy_follows_the_formula(batch, weight, avg_non_ignore):
    loss = CrossEntropyLoss(weight=weight, avg_non_ignore=avg_non_ignore)
    assert run(loss, batch) == pytest.approx(reference.cross_entropy(*batch, weight, 255, avg_non_ignore), rel=1e-5)


def test_cross_entropy_of_the_hardest_share(batch):
    logits, label = batch
    per_pixel = -np.log(reference.true_probability(logits, label)).ravel()
    kept = int(0.3 * per_pixel.size)
    expected = np.sort(per_pixel)[-kept:].mean()
    assert run(CrossEntropyLoss(top_k_percent_pixels=0.3), batch) == pytest.approx(expected, rel=1e-5)
    assert expected > run(CrossEntropyLoss(), batch)


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("thresh", [0.05, 0.7, 1.0])
@pytest.mark.parametrize("min_kept", [0, 1, 20, 76, 77, 1000])
def test_ohem_follows_the_formula(batch, thresh, min_kept, weight):
    valid = int((batch[1] != 255).sum())
    assert valid == 77
    expected = reference.ohem(*batch, thresh, min_kept, weight)
    loss = OhemCrossEntropyLoss(thresh=thresh, min_kept=min_kept, weight=weight)
    assert run(loss, batch) == pytest.approx(expected, rel=1e-5)


def test_ohem_drops_the_pixel_at_the_threshold_itself():
    # Two pixels, p exactly equal to v: 'strictly below' keeps neither of those at v, and thresh takes over below it.
    logits = np.zeros((1, 2, 1, 4), np.float32)
    logits[0, 0] = [[4.0, 4.0, 3.0, 5.0]]
    label = np.zeros((1, 1, 4), np.int64)
    kept = reference.true_probability(logits, label)[0, 0, 2]
    expected = -np.log(kept) / 4 / (0.25 + 1e-5)
    assert run(OhemCrossEntropyLoss(thresh=0.7, min_kept=2), (logits, label)) == pytest.approx(expected, rel=1e-4)


def test_harder_examples_cost_more_under_mining(batch):
    plain, mined = run(CrossEntropyLoss(), batch), run(OhemCrossEntropyLoss(thresh=0.3, min_kept=10), batch)
    assert mined > plain


@pytest.mark.parametrize("name", SINGLE)
def test_a_better_prediction_costs_less(batch, name):
    logits, label = batch
    right = np.eye(4)[np.where(label == 255, 0, label)].transpose(0, 3, 1, 2)
    steps = [(logits + strength * (2 * right - 1)).astype(np.float32) for strength in (0.0, 2.0, 4.0, 8.0)]
    # Mining and normalising by what is hard keeps few pixels of high loss: thresh 1 keeps all.
    loss = LOSSES.get(name)(thresh=1.0) if name.startswith("Ohem") else LOSSES.get(name)()
    values = [run(loss, (step, label)) for step in steps]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.5 * values[0]


@pytest.mark.parametrize("name", SINGLE)
def test_gradient_equals_finite_differences(batch, name):
    logits, label = batch
    loss = LOSSES.get(name)()
    point = paddle.to_tensor(logits, stop_gradient=False)
    loss(point, paddle.to_tensor(label)).backward()
    gradient = point.grad.numpy().astype(np.float64)
    direction = np.random.default_rng(0).standard_normal(logits.shape)
    step = 1e-2
    there = run(loss, ((logits + step * direction).astype(np.float32), label))
    back = run(loss, ((logits - step * direction).astype(np.float32), label))
    assert (gradient * direction).sum() == pytest.approx((there - back) / (2 * step), rel=2e-2, abs=2e-4)
    assert np.abs(gradient).max() > 0
    ignored = np.broadcast_to((label == 255)[:, None], gradient.shape)
    assert not gradient[ignored].any()


@pytest.mark.parametrize("name", SINGLE)
def test_a_batch_without_labels_gives_a_connected_zero(batch, name):
    point = paddle.to_tensor(batch[0], stop_gradient=False)
    loss = LOSSES.get(name)()(point, paddle.full(batch[1].shape, 255, dtype="int64"))
    assert float(loss) == 0.0
    loss.backward()
    assert point.grad is not None
    assert not point.grad.numpy().any()


@pytest.mark.parametrize("name", SINGLE)
def test_half_precision_logits_are_taken_to_float32(batch, name):
    logits, label = batch
    half = logits.astype(np.float16)
    expected = run(LOSSES.get(name)(), (half.astype(np.float32), label))
    got = LOSSES.get(name)()(paddle.to_tensor(half), paddle.to_tensor(label))
    assert got.dtype == paddle.float32
    assert float(got) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", SINGLE)
def test_a_non_finite_logit_is_not_hidden(batch, name):
    logits = batch[0].copy()
    logits[0, 1, 4, 4] = np.nan
    assert not np.isfinite(run(LOSSES.get(name)(), (logits, batch[1])))


@pytest.mark.parametrize("name", SINGLE)
def test_large_logits_stay_finite(batch, name):
    point = paddle.to_tensor(1e4 * batch[0], stop_gradient=False)
    loss = LOSSES.get(name)()(point, paddle.to_tensor(batch[1]))
    loss.backward()
    assert np.isfinite(float(loss))
    assert np.isfinite(point.grad.numpy()).all()


def test_ohem_ignores_any_other_label_value_too(batch):
    logits, label = batch
    moved = np.where(label == 255, 3, label)
    assert run(OhemCrossEntropyLoss(min_kept=20, ignore_index=3), (logits, moved)) == pytest.approx(
        run(OhemCrossEntropyLoss(min_kept=20), batch), rel=1e-6
    )


def test_a_label_of_another_size_is_sampled_by_the_half_pixel_rule(batch):
    label = np.arange(7 * 9).reshape(1, 7, 9)
    rows = [int((i + 0.5) * 7 / 3) for i in range(3)]
    columns = [int((i + 0.5) * 9 / 13) for i in range(13)]
    sampled = sample_label(paddle.to_tensor(label), 3, 13).numpy()
    np.testing.assert_array_equal(sampled, label[:, rows][:, :, columns])
    large = batch[1].repeat(4, 1).repeat(4, 2)
    assert run(CrossEntropyLoss(), (batch[0], large)) == pytest.approx(run(CrossEntropyLoss(), batch), rel=1e-6)


def test_mixture_is_the_weighted_sum(batch):
    mixed = MixedLoss([CrossEntropyLoss(), OhemCrossEntropyLoss(min_kept=20)], [0.25, 2.0])
    expected = 0.25 * reference.cross_entropy(*batch) + 2.0 * reference.ohem(*batch, 0.7, 20)
    assert run(mixed, batch) == pytest.approx(expected, rel=1e-5)


def test_criterion_gives_each_output_its_loss_and_factor(batch):
    logits, label = (paddle.to_tensor(part) for part in batch)
    criterion = Criterion([CrossEntropyLoss(), CrossEntropyLoss(weight=WEIGHT)], [1.0, 0.4])
    losses = criterion({"logits": logits, "logits_aux1": logits[:, :, :3]}, {"label": label})
    assert list(losses) == ["logits", "logits_aux1"]
    assert float(losses["logits"]) == pytest.approx(reference.cross_entropy(*batch), rel=1e-5)
    rows = [1, 3, 5]
    small = reference.cross_entropy(batch[0][:, :, :3], batch[1][:, rows], WEIGHT)
    assert float(losses["logits_aux1"]) == pytest.approx(0.4 * small, rel=1e-5)


def test_criterion_refuses_another_number_of_outputs(batch):
    logits, label = (paddle.to_tensor(part) for part in batch)
    with pytest.raises(ConfigError, match="2 outputs"):
        Criterion([CrossEntropyLoss()], [1.0])({"logits": logits, "logits_aux1": logits}, {"label": label})


def test_mostly_ignored_labels_are_reported_once(batch, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("mobileseg"), "propagate", True)
    logits, label = (paddle.to_tensor(part) for part in batch)
    criterion = Criterion([CrossEntropyLoss()], [1.0])
    ignored = paddle.full_like(label, 255)
    with caplog.at_level(logging.WARNING):
        criterion({"logits": logits}, {"label": label})
        assert not caplog.records
        criterion({"logits": logits}, {"label": ignored})
        criterion({"logits": logits}, {"label": ignored})
    assert [record.name for record in caplog.records] == ["mobileseg.semantic.losses"]
    assert "label_map" in caplog.text


@pytest.mark.parametrize(
    ("component", "arguments"),
    [
        ("CrossEntropyLoss", {"top_k_percent_pixels": 0.0}),
        ("CrossEntropyLoss", {"weight": [1.0, -1.0]}),
        ("OhemCrossEntropyLoss", {"thresh": 0.0}),
        ("OhemCrossEntropyLoss", {"min_kept": -1}),
        ("MixedLoss", {"losses": [], "coef": []}),
        ("MixedLoss", {"losses": [CrossEntropyLoss()], "coef": [1.0, 2.0]}),
        ("DiceLoss", {"smooth": 0.0}),
        ("LovaszSoftmaxLoss", {"classes": "absent"}),
        ("FocalLoss", {"alpha": 1.5}),
        ("FocalLoss", {"gamma": 0.5}),
        ("MultiClassFocalLoss", {"gamma": -1}),
        ("EdgeAwareLoss", {"radius": 0}),
    ],
)
def test_impossible_options_are_refused(component, arguments):
    with pytest.raises(ConfigError, match=component):
        LOSSES.get(component)(**arguments)


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "OhemCrossEntropyLoss", "DiceLoss", "EdgeAwareLoss"])
def test_class_weights_of_another_count_are_refused(batch, name):
    with pytest.raises(ConfigError, match="3 class weights for 4 classes"):
        run(LOSSES.get(name)(weight=[1.0, 2.0, 3.0]), batch)
