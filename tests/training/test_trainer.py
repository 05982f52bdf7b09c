"""Training: resumes bit by bit, accumulates, freezes, stops."""

import json
import random
import time
from pathlib import Path

import numpy as np
import paddle
import pytest

from mobileseg.config.load import load_config
from mobileseg.errors import ConfigError, DataError, TrainingError
from mobileseg.scores import Scores
from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.seeding import seed_everything
from mobileseg.training.trainer import Trainer
from mobileseg.viz.history import read_log
from tests.training.resuming import EXACT, interrupted_and_resumed
from tests.training.toy import equal, losses_of, weights_of

pytestmark = pytest.mark.both


@pytest.mark.parametrize(("workers", "optimizer"), [(0, "SGD"), (2, "SGD"), (0, "AdamW")])
def test_resume_in_the_middle_of_an_epoch_is_exact(toy_config, tmp_path, workers, optimizer):
    extra = [f"num_workers={workers}", *EXACT]
    extra += [] if optimizer == "SGD" else ["optimizer.type=AdamW", "accumulate=2"]
    config = toy_config(*extra)
    whole = Trainer(config, tmp_path / "whole")
    assert whole.fit().reason == "finished"
    assert whole.state.steps[0].order.size == 16
    assert whole.state.steps[0].order.batches_per_epoch == 4
    halves = interrupted_and_resumed(config, tmp_path / "halves", stop_at=3)  # neither an epoch nor a save
    assert equal(weights_of(whole), weights_of(halves))
    assert equal(whole.extensions["ema"].average.arrays(), halves.extensions["ema"].average.arrays())
    assert losses_of(tmp_path / "whole") == losses_of(tmp_path / "halves")
    assert whole.best == halves.best


def test_workers_do_not_change_what_is_learned(toy_config, tmp_path):
    trainers = [Trainer(toy_config(f"num_workers={workers}"), tmp_path / str(workers)) for workers in (0, 2)]
    for trainer in trainers:
        trainer.fit()
    assert equal(*map(weights_of, trainers))


def test_training_learns_and_writes_the_run_folder(toy_config, tmp_path):
    config = toy_config("iters=40", "save_interval=10", "keep_checkpoint_max=2", "lr_scheduler.learning_rate=0.2")
    result = Trainer(config, tmp_path).fit()
    events = read_log(tmp_path)
    losses = losses_of(tmp_path)
    assert losses[40] < 0.6 * losses[2]
    assert result.best_score > 0.5  # three equally frequent colours: guessing gives below 0.2
    assert [event["iter"] for event in events if event["event"] == "eval"] == [10, 20, 30, 40]
    assert max(event["miou"] for event in events if event["event"] == "eval") == result.best_score
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["iter_000030", "iter_000040"]
    state = json.loads((tmp_path / "best" / "state.json").read_text())
    assert state["best"] == {"metric": "mIoU", "score": result.best_score, "iteration": state["iteration"]}
    assert result.metric == "mIoU"
    assert {"loss", "lr", "images_per_s", "data_wait", "eta"} <= next(e for e in events if e["event"] == "train").keys()
    assert load_config(tmp_path / "config.yml") == config


def test_accumulation_equals_one_large_batch(toy_config, tmp_path):
    """With frozen normalisation, no dropout, and a loss that weighs all pixels alike whatever batch they are in."""
    common = ["freeze=['norm.*']", "model.dropout=0.0", "loss.types.0.avg_non_ignore=false"]
    common += ["loss.types.1.avg_non_ignore=false", "clip.norm=0.5"]
    large = Trainer(toy_config(*common, "batch_size=8"), tmp_path / "large", do_eval=False)
    small = Trainer(toy_config(*common, "batch_size=4", "accumulate=2"), tmp_path / "small", do_eval=False)
    for trainer in (large, small):
        trainer.fit()
    one, other = weights_of(large), weights_of(small)
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=2e-5, atol=2e-6, err_msg=name)
    a, b = losses_of(tmp_path / "large"), losses_of(tmp_path / "small")
    np.testing.assert_allclose([a[i] for i in a], [b[i] for i in a], rtol=1e-5)


def test_frozen_layers_stay_as_they_are(toy_config, tmp_path):
    trainer = Trainer(toy_config("freeze=['stem.*','norm.*']", "ema.decay=0.5"), tmp_path)
    before = weights_of(trainer)
    trainer.fit()
    after = weights_of(trainer)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias", "aux.weight", "aux.bias"}


def test_unfrozen_statistics_move(toy_config, tmp_path):
    trainer = Trainer(toy_config(), tmp_path)
    before = weights_of(trainer)
    trainer.fit()
    after = weights_of(trainer)
    assert all(not np.array_equal(before[name], after[name]) for name in before)


def test_early_stop_counts_evaluations_without_improvement(toy_config, tmp_path):
    settings = ["iters=30", "eval_interval=1", "freeze=['norm.*']"]
    settings += ["lr_scheduler.learning_rate=0.0", "lr_scheduler.warmup_start_lr=0.0"]  # nothing ever changes
    config = toy_config(*settings, "early_stop.patience=3")
    result = Trainer(config, tmp_path).fit()
    assert (result.reason, result.iteration) == ("early stop", 4)
    again = Trainer(config, tmp_path).fit("auto")
    assert (again.reason, again.iteration) == ("already finished", 4)
    more = Trainer(toy_config(*settings, "early_stop.patience=5"), tmp_path).fit("auto")
    assert (more.reason, more.iteration) == ("early stop", 6)


def test_evaluation_time_is_not_training_time(toy_config, tmp_path, monkeypatch):
    """Also where an evaluation brings no better score and nothing is saved."""
    trainer = Trainer(toy_config("eval_interval=2", "log_iters=2", "save_interval=100"), tmp_path)

    real, later = time.perf_counter, [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: real() + later[0])

    def slow():
        later[0] += 3600.0
        return Scores("mIoU", 0.5, {}, {"miou": 0.5}, images=5, seconds=0.5)

    trainer.evaluate = slow
    trainer.fit()
    speeds = [event["images_per_s"] for event in read_log(tmp_path) if event["event"] == "train"]
    assert len(speeds) == 4
    assert min(speeds) > 0.1  # two iterations of four images: below 0.003 if they had the hour on top


def test_finished_run_is_a_message(toy_config, tmp_path, capsys):
    Trainer(toy_config(), tmp_path).fit()
    result = Trainer(toy_config(), tmp_path).fit("auto")
    assert result.reason == "already finished"
    assert "already finished: 8 of 8" in capsys.readouterr().err


def test_resume_names_the_settings_that_differ(toy_config, tmp_path, capsys):
    Trainer(toy_config(), tmp_path).fit()
    Trainer(toy_config("iters=10", "batch_size=2", "log_iters=5"), tmp_path).fit("auto")
    shown = capsys.readouterr().err
    assert "batch_size: 4 -> 2" in shown
    assert "iters: 8 -> 10" in shown
    assert "log_iters" not in shown


def test_resume_with_another_network_is_refused(toy_config, tmp_path):
    Trainer(toy_config(), tmp_path).fit()
    with pytest.raises(
        TrainingError, match=r"(?s)of another network, 8 entries.*stem.weight: saved .6, 3, 3, 3., network .8"
    ):
        Trainer(toy_config("model.width=8", "iters=10"), tmp_path).fit("auto")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_mixed_precision_on_a_cpu_is_an_error(toy_config, tmp_path, dtype):
    with pytest.raises(TrainingError, match=f"{dtype} was asked for.*CPU"):
        Trainer(toy_config(f"amp.dtype={dtype}"), tmp_path)


def test_dataset_smaller_than_a_batch(toy_config, tmp_path):
    with pytest.raises(DataError, match="16 samples, fewer than one batch of 17") as caught:
        Trainer(toy_config("batch_size=17"), tmp_path)
    assert "at most 16" in caught.value.remedy


@pytest.mark.parametrize("part", ["train", "val"])
def test_images_without_a_label_are_found_before_training(toy_config, toy_data, tmp_path, part):
    lines = (toy_data / f"{part}.txt").read_text().splitlines()
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(line.split()[0] for line in lines))
    with pytest.raises(DataError, match=f"{part}0.jpg.png"):
        Trainer(toy_config(f"{part}_dataset.{part}_path={listed}"), tmp_path / "run")


def test_broken_validation_image_does_not_cost_the_weights(toy_config, tmp_path):
    trainer = Trainer(toy_config(), tmp_path)
    real = trainer.val_dataset.prepare

    def prepare(key):
        if key == 3:
            raise DataError("val3.png is truncated")
        return real(key)

    trainer.val_dataset.prepare = prepare
    with pytest.raises(DataError, match="truncated"):
        trainer.fit()
    assert read_checkpoint(tmp_path / "last").state["iteration"] == 4
    assert equal(read_checkpoint(tmp_path / "last").weights, weights_of(trainer))


def test_freeze_pattern_without_a_match(toy_config, tmp_path):
    with pytest.raises(ConfigError, match="no parameter matches 'backbone"):
        Trainer(toy_config("freeze=['backbone.*']"), tmp_path)


def test_read_only_folder_is_one_message(toy_config, tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(TrainingError, match=r"cannot write into the run folder.*Permission denied"):
        Trainer(toy_config(), tmp_path / "run").fit()


def test_seeding_covers_the_three_generators():
    seed_everything(1, 2)
    one = (random.random(), np.random.rand(), paddle.rand([1]).item())
    seed_everything(1, 3)
    other = (random.random(), np.random.rand(), paddle.rand([1]).item())
    seed_everything(1, 2)
    assert one == (random.random(), np.random.rand(), paddle.rand([1]).item())
    assert all(a != b for a, b in zip(one, other, strict=True))


def test_batches_of_several_sizes_resume_exactly(toy_config, tmp_path):
    config = toy_config("multi_scale.sizes=[[32, 32], [24, 40], [16, 16]]", "num_workers=2", *EXACT)
    whole = Trainer(config, tmp_path / "whole")
    seen = []
    forward = whole.network.forward
    whole.network.forward = lambda image: (seen.append(tuple(image.shape[2:])), forward(image))[1]
    whole.fit()
    order = whole.state.steps[0].order
    drawn = [order.image_size(position) for position in range(config.iters)]
    assert [size for size in seen if size in {(32, 32), (40, 24), (16, 16)}] == drawn
    assert len(set(drawn)) > 1
    halves = interrupted_and_resumed(config, tmp_path / "halves", stop_at=3)
    assert equal(weights_of(whole), weights_of(halves))
    assert losses_of(tmp_path / "whole") == losses_of(tmp_path / "halves")
