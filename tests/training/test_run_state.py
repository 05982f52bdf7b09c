"""What is compared and said when a run is resumed."""

import pytest

from mobileseg.nn.compat import cpu_threads
from mobileseg.training.checkpoint import read_state
from mobileseg.training.run_state import differences, versions
from mobileseg.training.scaler import LossScaler
from mobileseg.training.trainer import Trainer
from tests.training.toy import equal, weights_of

pytestmark = pytest.mark.both


def test_only_what_matters_differs():
    saved = {
        "iters": 5,
        "num_workers": 1,
        "model": {"type": "A", "width": 2},
        "loss": {"types": [{"type": "X", "w": [1]}]},
    }
    current = {"iters": 5, "num_workers": 2, "model": {"type": "A"}, "loss": {"types": [{"type": "X", "w": [2]}]}}
    assert differences(saved, saved) == []
    assert differences(saved, current) == ["loss.types.0.w: [1] -> [2]", "model.width: 2 -> not set"]


def test_state_tells_where_the_run_stands(toy_config, tmp_path):
    config = toy_config("iters=6", "save_interval=3")
    trainer = Trainer(config, tmp_path, do_eval=False)
    trainer.fit()
    state = read_state(tmp_path / "last")
    assert (state["iteration"], state["iters"]) == (6, 6)
    assert state["sampler"] == {"epoch": 1, "samples": 8, "batch": 4, "seed": 3}  # 16 samples: 4 batches an epoch
    assert state["scheduler"]["last_epoch"] == 6
    assert state["scaler"] == {"scale": 1.0, "good_steps": 0, "skipped": 0}
    assert state["config"] == config.to_dict()
    assert state["config_hash"] == config.hash
    assert state["versions"] == versions()
    assert {"mobileseg", "paddlepaddle", "numpy", "python"} <= state["versions"].keys()
    assert set(state["files"]) == {"model.pdparams", "optimizer.npz"}
    assert (state["processes"], state["device"], state["threads"]) == (1, "cpu", cpu_threads())
    assert (state["ema"], state["best"], state["evaluated"]) == (None, None, "model")


def test_position_survives_another_batch_size(toy_config, tmp_path):
    Trainer(toy_config("iters=6"), tmp_path, do_eval=False).fit()
    half = Trainer(toy_config("iters=7", "batch_size=2"), tmp_path, do_eval=False)
    half.fit("auto")
    assert half.state.steps[0].position == 12 + 1  # one and a half epochs of 8 batches, and one more batch


def test_average_that_the_saved_run_did_not_have(toy_config, tmp_path):
    Trainer(toy_config(), tmp_path, do_eval=False).fit()
    trainer = Trainer(toy_config("ema.decay=0.9", "iters=9"), tmp_path, do_eval=False)
    trainer.fit("auto")
    assert trainer.extensions["ema"].average.updates == 1


def test_loss_scale_is_exact_skips_overflows_and_is_resumed(toy_config, tmp_path):
    """The path of float16 training, with float32 numbers: a scale that is a power of two changes no bit."""

    def scaled(folder, iters, poisoned=None):
        trainer = Trainer(toy_config(f"iters={iters}", "lr_scheduler.decay_steps=10"), tmp_path / folder, do_eval=False)
        trainer.precision.scaler = LossScaler(scale=1024.0, growth_interval=3)
        own = trainer.state.steps[0].step.objective.criterion
        real = own.forward

        def criterion(outputs, batch):
            losses = real(outputs, batch)
            if trainer.iteration == poisoned:
                losses["logits"] = losses["logits"] * float("inf")
            return losses

        own.forward = criterion
        return trainer

    plain = Trainer(toy_config("iters=8", "lr_scheduler.decay_steps=10"), tmp_path / "plain", do_eval=False)
    plain.fit()
    whole = scaled("whole", 8)
    whole.fit()
    assert equal(weights_of(plain), weights_of(whole))
    assert whole.precision.scaler.scale == 4096.0

    skipping = scaled("skipping", 5, poisoned=4)
    before = {}
    step = skipping.precision.unscale

    def remember(parameters):
        before.update({name: p.numpy() for name, p in skipping.network.named_parameters()})
        return step(parameters)

    skipping.precision.unscale = remember
    skipping.fit()
    after = {name: p.numpy() for name, p in skipping.network.named_parameters()}
    assert equal(before, after)
    assert skipping.precision.scaler.state_dict() == {"scale": 1024.0, "good_steps": 0, "skipped": 1}
    resumed = scaled("skipping", 6)
    resumed.fit("auto")
    assert resumed.precision.scaler.state_dict() == {"scale": 1024.0, "good_steps": 1, "skipped": 0}


def test_other_kernels_are_said(toy_config, tmp_path, capsys):
    """Sums are rounded in another order by other kernels, so a resumed run is not bit by bit the saved one."""
    Trainer(toy_config(), tmp_path, do_eval=False).fit()
    assert read_state(tmp_path / "last")["kernels"] == "compiled"
    Trainer(toy_config("compiled_kernels=false", "iters=9"), tmp_path, do_eval=False).fit("auto")
    assert "kernels: compiled -> paddle" in capsys.readouterr().err
