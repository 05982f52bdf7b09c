"""Training of instance networks: the same trainer, other samples, another loss, another score."""

import json

import numpy as np
import pytest

from mobileseg.errors import ConfigError, TrainingError
from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.trainer import Trainer
from mobileseg.viz.history import read_log
from tests.training.launching import launch
from tests.training.resuming import interrupted_and_resumed
from tests.training.toy import equal, losses_of, weights_of

pytestmark = pytest.mark.both

PARTS = {"box", "class", "mask", "segm"}


def test_training_learns_and_writes_the_run_folder(instance_config, tmp_path):
    result = Trainer(instance_config("iters=30", "save_interval=10", "lr_scheduler.learning_rate=0.02"), tmp_path).fit()
    events = read_log(tmp_path)
    train = [event for event in events if event["event"] == "train"]
    assert train[0].keys() >= PARTS
    np.testing.assert_allclose(train[0]["loss"], sum(train[0][name] for name in PARTS), rtol=1e-5)
    assert np.mean([event["loss"] for event in train[-5:]]) < 0.85 * np.mean([event["loss"] for event in train[:5]])
    evals = [event for event in events if event["event"] == "eval"]
    assert [event["iter"] for event in evals] == [10, 20, 30]
    assert {event["metric"] for event in evals} == {"mask AP"}
    assert {"ap", "ap50", "ar100"} <= evals[0]["mask"].keys()
    assert (result.metric, result.best_score) == ("mask AP", max(event["score"] for event in evals))
    state = json.loads((tmp_path / "best" / "state.json").read_text())
    assert state["best"]["metric"] == "mask AP"
    assert state["best"]["score"] == result.best_score


def test_resume_is_exact(instance_config, tmp_path):
    """Also where the positives whose masks are learned are drawn: three of the five and more of an image."""
    config = instance_config("loss.types.0.mask_positives=3", "ema.decay=0.9", "clip.norm=5.0")
    whole = Trainer(config, tmp_path / "whole")
    assert whole.fit().reason == "finished"
    halves = interrupted_and_resumed(config, tmp_path / "halves", stop_at=3)
    assert equal(weights_of(whole), weights_of(halves))
    assert equal(whole.extensions["ema"].average.arrays(), halves.extensions["ema"].average.arrays())
    assert losses_of(tmp_path / "whole") == losses_of(tmp_path / "halves")
    assert whole.best == halves.best


def test_two_processes_with_half_batches_are_one_with_the_whole(instance_config, instance_file, tmp_path):
    """Every image has another number of positive anchors, and one has none."""
    single = Trainer(instance_config("batch_size=4"), tmp_path / "single")
    single.fit()
    run = tmp_path / "double"
    launch([str(instance_file), "--save_dir", str(run), "--batch_size", "2", "--device", "cpu"], tmp_path / "logs")
    events = [[e for e in read_log(folder) if e["event"] == "train"] for folder in (tmp_path / "single", run)]
    for one, two in zip(*events, strict=True):
        np.testing.assert_allclose(*[[e[name] for name in sorted(PARTS)] for e in (one, two)], rtol=1e-4)
    saved = read_checkpoint(run / "last")
    for name, array in weights_of(single).items():
        np.testing.assert_allclose(saved.weights[name], array, rtol=1e-3, atol=5e-6, err_msg=name)
    assert saved.state["processes"] == 2
    scores = [[e["score"] for e in read_log(folder) if e["event"] == "eval"] for folder in (tmp_path / "single", run)]
    np.testing.assert_allclose(*scores, atol=0.02)


def test_batches_without_objects_do_not_stop_a_run(instance_config, instance_data, tmp_path):
    """A training set of nothing else: only background is learned, and nothing becomes NaN."""
    path = instance_data / "annotations" / "instances_train.json"
    document = json.loads(path.read_text()) | {"annotations": []}
    (tmp_path / "empty.json").write_text(json.dumps(document))
    config = instance_config(
        f"train_dataset.annotation_file={tmp_path / 'empty.json'}",
        f"train_dataset.image_dir={instance_data}/images/train",
    )
    trainer = Trainer(config, tmp_path / "run", do_eval=False)
    assert trainer.fit().reason == "finished"
    train = [event for event in read_log(tmp_path / "run") if event["event"] == "train"]
    assert all(event["box"] == event["mask"] == 0 for event in train)
    assert 0 < train[-1]["class"] < train[0]["class"]
    assert all(np.isfinite(array).all() for array in weights_of(trainer).values())


def test_a_loss_that_is_not_finite_saves_the_batch_with_its_objects(instance_config, tmp_path):
    trainer = Trainer(instance_config(), tmp_path, do_eval=False)
    criterion = trainer.state.steps[0].step.objective.criterion
    forward = criterion.forward
    criterion.forward = lambda *arguments: {k: v * float("nan") for k, v in forward(*arguments).items()}
    with pytest.raises(TrainingError, match="iteration 1 is not finite"):
        trainer.fit()
    with np.load(tmp_path / "nonfinite_iter_000001.npz") as saved:
        assert saved["classes"].shape == saved["masks"].shape[:2] == saved["boxes"].shape[:2]
        assert saved["classes"].max() >= 0 > saved["classes"].min()  # objects, and padding
        assert saved["files"].shape == (4, 2)


def test_parts_of_different_tasks_are_refused_before_anything_is_built(instance_config, toy_config, tmp_path):
    with pytest.raises(ConfigError, match=r"CrossEntropyLoss is for semantic.*Yolact for instance"):
        Trainer(instance_config("loss.types.0.type=CrossEntropyLoss", "loss.coef=[1]"), tmp_path / "a")
    with pytest.raises(ConfigError, match=r"CocoInstances is for instance"):
        Trainer(
            instance_config(
                "model={type: MobileSeg, num_classes: 4, backbone: {type: GhostNet_x1_0}, _inherited_: false}",
                "loss={types: [{type: CrossEntropyLoss}], coef: [1, 1, 1], _inherited_: false}",
            ),
            tmp_path / "b",
        )
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()


def test_views_of_pixels_are_refused_before_training(instance_config, tmp_path):
    with pytest.raises(ConfigError, match="aug_eval"):
        Trainer(instance_config("test_config.aug_eval=true"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_batches_of_several_sizes_resume_exactly(instance_config, tmp_path):
    config = instance_config("multi_scale.sizes=[[96, 96], [64, 64], [96, 64]]", "ema.decay=0.9")
    whole = Trainer(config, tmp_path / "whole")
    assert whole.fit().reason == "finished"
    halves = interrupted_and_resumed(config, tmp_path / "halves", stop_at=3)
    assert equal(weights_of(whole), weights_of(halves))
    assert losses_of(tmp_path / "whole") == losses_of(tmp_path / "halves")
    plain = Trainer(instance_config("ema.decay=0.9"), tmp_path / "plain")
    plain.fit()
    assert losses_of(tmp_path / "whole") != losses_of(tmp_path / "plain")


def test_two_processes_draw_the_same_sizes(instance_config, instance_file, tmp_path):
    sizes = "multi_scale.sizes=[[96, 96], [64, 64], [96, 64]]"
    single = Trainer(instance_config("batch_size=4", sizes), tmp_path / "single", do_eval=False)
    single.fit()
    run = tmp_path / "double"
    words = [str(instance_file), "--save_dir", str(run), "--batch_size", "2", "--device", "cpu", "--no_eval"]
    launch([*words, "-o", sizes], tmp_path / "logs")
    for name, array in weights_of(single).items():
        saved = read_checkpoint(run / "last").weights[name]
        np.testing.assert_allclose(saved, array, rtol=1e-3, atol=5e-6, err_msg=name)
