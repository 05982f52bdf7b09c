"""The pressure on scales, against steps made by hand; resume stays exact."""

import numpy as np
import paddle
import pytest

from mobileseg.compress.channels.groups import find_groups
from mobileseg.compress.pruning.sparsity import ScaleSparsity, removable_scales
from mobileseg.errors import CompressionError
from mobileseg.training.trainer import Trainer
from tests.compress.networks import build, image

STRENGTH = 0.01


def test_the_sign_is_added_to_the_gradients_of_removable_scales_alone():
    network = build("ShuffleNetV2_x0_5")
    removable = removable_scales(find_groups(network))
    sparsity = ScaleSparsity(network, removable, STRENGTH)
    network.train()
    sum(value.mean() for value in network(image()).values()).backward()
    before = {name: p.grad.numpy() for name, p in network.named_parameters() if p.grad is not None}
    sparsity.add_gradients()
    for name, parameter in network.named_parameters():
        if name not in before:
            continue
        expected = before[name]
        if name in removable:
            expected = expected + np.float32(STRENGTH) * np.sign(parameter.numpy()) * removable[name]
        np.testing.assert_allclose(parameter.grad.numpy(), expected, rtol=1e-6, atol=1e-9)
    assert sparsity.scales == set(removable)
    assert len(removable) > 50


def test_one_step_of_the_trainer_equals_the_step_by_hand(toy_config, tmp_path):
    """SGD by hand: decay on everything but the scales, then the gradient and the sign, without and with clipping."""
    config = toy_config(
        "iters=1", "model.dropout=0.0", "optimizer.momentum=0.0", "optimizer.weight_decay=0.1", "clip.norm=0.001",
        "lr_scheduler.warmup_iters=0", f"sparsity.strength={STRENGTH}",
    )  # fmt: skip
    trainer = Trainer(config, tmp_path / "a", do_eval=False)
    weights = {name: p.numpy() for name, p in trainer.network.named_parameters()}
    trainer.fit()
    other = Trainer(config.changed({"sparsity": None}), tmp_path / "b", do_eval=False)
    assert all(np.array_equal(weights[name], p.numpy()) for name, p in other.network.named_parameters())
    other.train_mode()
    running = other.state.steps[0]
    with running.open(1, 0):
        running.backward(other.processes, 1, 1.0, {})
    gradients = {name: p.grad.numpy().astype(np.float64) for name, p in other.network.named_parameters()
                 if not p.stop_gradient}  # fmt: skip
    factor = 0.001 / max(0.001, np.sqrt(sum((g**2).sum() for g in gradients.values())))
    for name, parameter in trainer.network.named_parameters():
        if parameter.stop_gradient:
            continue
        push = gradients[name] * factor
        push = push + (STRENGTH * np.sign(weights[name]) if name == "norm.weight" else 0.1 * weights[name])
        np.testing.assert_allclose(parameter.numpy(), weights[name] - 0.05 * push, rtol=1e-5, atol=1e-7)


def test_resuming_is_exact(toy_config, tmp_path):
    config = toy_config("sparsity.strength=0.01", "eval_interval=100")
    Trainer(config, tmp_path / "whole", do_eval=False).fit()
    Trainer(config, tmp_path / "halves", do_eval=False).fit(tmp_path / "whole" / "checkpoints" / "iter_000004")
    first, second = (paddle.load(str(tmp_path / run / "last" / "model.pdparams")) for run in ("whole", "halves"))
    for name, value in first.items():
        np.testing.assert_array_equal(np.asarray(value), np.asarray(second[name]))


def test_scales_shrink(toy_config, tmp_path):
    def mean_scale(*overrides):
        trainer = Trainer(toy_config(*overrides), tmp_path / str(len(overrides)), do_eval=False)
        trainer.fit()
        return float(np.abs(dict(trainer.network.named_parameters())["norm.weight"].numpy()).mean())

    assert mean_scale("sparsity.strength=0.5") < 0.9 * mean_scale()


def test_nothing_to_press_on_is_an_error(toy_config, tmp_path):
    with pytest.raises(CompressionError, match="no trained norm"):
        Trainer(toy_config("sparsity.strength=0.1", "freeze=['norm:*']"), tmp_path, do_eval=False)
