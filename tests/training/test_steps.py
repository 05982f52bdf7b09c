"""Iterations of several steps: own data and losses, results of earlier steps, and a resume between two of them."""

import os
import signal

import numpy as np
import paddle
import pytest

from mobileseg.config.build import build_dataset, build_losses, build_network
from mobileseg.errors import TrainingError
from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.objective import Objective
from mobileseg.training.seeding import seed_everything
from mobileseg.training.steps import Step
from mobileseg.training.trainer import Trainer
from tests.training.toy import equal, losses_of, weights_of

pytestmark = pytest.mark.both


class First(Objective):
    """The configured losses; leaves its mean logits."""

    def forward(self, batch):
        outputs = self.outputs(batch["image"])
        self.results = {"means": outputs["logits"].mean(axis=[0, 2, 3])}
        return self.criterion(outputs, batch)


class Second(Objective):
    """Draws the mean logits of other images to those that the first step left."""

    def forward(self, batch):
        target = batch["earlier"]["train"]["means"]
        assert target.stop_gradient
        self.seen = target.numpy()
        return {"means": ((self.outputs(batch["image"])["logits"].mean(axis=[0, 2, 3]) - target) ** 2).sum()}


def two_steps(config, run):
    seed_everything(0, 0)
    network, criterion = build_network(config), build_losses(config)
    dataset = build_dataset(config.to_dict()["train_dataset"], seed=3)
    steps = [Step(First(network, criterion), dataset), Step(Second(network, criterion), dataset, "align", 2)]
    return Trainer(config, run, network=network, criterion=criterion, steps=steps, train_dataset=dataset)


EXACT = ("log_iters=1", "ema.decay=0.9", "accumulate=2", "iters=6")


def stopped_after(config, run, iteration, number):
    """A trainer that got a signal in a step (from 0) of an iteration (from 1)."""
    trainer = two_steps(config, run)
    step = trainer._step

    def stopping(which):
        result = step(which)
        if (trainer.iteration + 1, which) == (iteration, number):
            os.kill(os.getpid(), signal.SIGTERM)
        return result

    trainer._step = stopping
    assert trainer.fit().reason == "interrupted"
    return trainer


@pytest.mark.parametrize("number", [0, 1])
def test_resume_is_exact_between_two_steps(toy_config, tmp_path, number):
    config = toy_config(*EXACT)
    whole = two_steps(config, tmp_path / "whole")
    whole.fit()
    stopped = stopped_after(config, tmp_path / "halves", 3, number)
    saved = read_checkpoint(tmp_path / "halves" / "last")
    assert (saved.state["iteration"], stopped.state.step) == ((2, 1) if number == 0 else (3, 0))
    assert ("earlier" in saved.arrays) == (number == 0)
    seed_everything(99, 99)
    halves = two_steps(config, tmp_path / "halves")
    assert halves.fit("auto").reason == "finished"
    assert equal(weights_of(whole), weights_of(halves))
    assert equal(whole.extensions["ema"].average.arrays(), halves.extensions["ema"].average.arrays())
    assert losses_of(tmp_path / "whole") == losses_of(tmp_path / "halves")


def test_every_step_has_its_data_and_ends_with_a_step_of_the_optimizer(toy_config, tmp_path):
    trainer = two_steps(toy_config(*EXACT), tmp_path)
    trainer.fit()
    first, second = trainer.state.steps
    assert (first.order.batches_per_epoch, second.order.batches_per_epoch) == (4, 8)
    assert (first.position, second.position) == (12, 12)
    assert trainer.extensions["ema"].average.updates == 12
    assert second.step.objective.seen.shape == (3,)
    assert read_checkpoint(tmp_path / "last").state["further_samplers"]["align"]["epoch"] == 1


class Third(Objective):
    """Has no data of its own: the mean of what the first step left for this batch."""

    def forward(self, batch):
        assert set(batch) == {"earlier"}
        return {"again": (self.network.stem.weight.sum() * batch["earlier"]["train"]["means"].mean()) ** 2}


def test_a_step_without_data_lives_on_what_earlier_ones_left(toy_config, tmp_path):
    """It has no place in any order; a resume finds what was left for each of its batches."""

    def made(run):
        seed_everything(0, 0)
        network, criterion = build_network(config), build_losses(config)
        dataset = build_dataset(config.to_dict()["train_dataset"], seed=3)
        steps = [Step(First(network, criterion), dataset), Step(Third(network, criterion), None, "again")]
        return Trainer(config, run, network=network, criterion=criterion, steps=steps, train_dataset=dataset)

    config = toy_config(*EXACT)
    whole = made(tmp_path / "whole")
    whole.fit()
    assert whole.state.steps[1].order is None
    assert whole.state.steps[1].position == 12
    trainer = made(tmp_path / "halves")
    step = trainer._step

    def stopping(which):
        result = step(which)
        if (trainer.iteration + 1, which) == (3, 0):
            os.kill(os.getpid(), signal.SIGTERM)
        return result

    trainer._step = stopping
    assert trainer.fit().reason == "interrupted"
    saved = read_checkpoint(tmp_path / "halves" / "last")
    assert set(saved.arrays["earlier"]) == {"train/0/means", "train/1/means"}
    halves = made(tmp_path / "halves")
    assert halves.fit("auto").reason == "finished"
    assert equal(weights_of(whole), weights_of(halves))
    assert losses_of(tmp_path / "whole") == losses_of(tmp_path / "halves")


def test_losses_of_later_steps_are_logged_under_their_name(toy_config, tmp_path):
    trainer = two_steps(toy_config("log_iters=1", "iters=1", "lr_scheduler.warmup_iters=0"), tmp_path)
    trainer.fit()
    assert {"logits", "logits_aux1", "align.means"} == set(trainer_losses(tmp_path))
    assert losses_of(tmp_path)[1] == pytest.approx(sum(trainer_losses(tmp_path).values()), rel=1e-6)


def trainer_losses(run):
    from mobileseg.viz.history import read_log

    event = next(event for event in read_log(run) if event["event"] == "train")
    return {name: event[name] for name in event if name.startswith(("logits", "align"))}


def test_a_run_of_other_steps_is_not_resumed(toy_config, tmp_path):
    config = toy_config("iters=2", "lr_scheduler.warmup_iters=1")
    two_steps(config, tmp_path).fit()
    with pytest.raises(TrainingError, match="further steps align, this one has none"):
        Trainer(config.changed({"iters": 3}), tmp_path).fit("auto")


def test_a_loss_that_is_not_finite_keeps_the_batches_of_all_steps(toy_config, tmp_path):
    trainer = two_steps(toy_config("iters=2", "lr_scheduler.warmup_iters=1"), tmp_path)
    objective = trainer.state.steps[1].step.objective
    objective.forward = lambda batch: {"means": objective.outputs(batch["image"])["logits"].sum() * float("nan")}
    with pytest.raises(TrainingError, match=r"iteration 1 is not finite.*align.means nan"):
        trainer.fit()
    with np.load(tmp_path / "nonfinite_iter_000001.npz") as saved:
        assert saved["image"].shape == (4, 3, 32, 32)
        assert saved["align.image"].shape == (2, 3, 32, 32)
    assert paddle.is_grad_enabled()
