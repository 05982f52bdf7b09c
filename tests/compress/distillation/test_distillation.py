"""Training with a teacher: exact resume, the families, and what stays out of the student."""

from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml

from mobileseg.compress.distillation.distillation import recorded
from mobileseg.config.build import build_network
from mobileseg.config.load import load_config
from mobileseg.errors import TrainingError
from mobileseg.training.checkpoint import read_checkpoint
from mobileseg.training.trainer import Trainer
from mobileseg.training.weights import load_checkpoint_weights
from mobileseg.viz.history import read_log
from tests.compress.teachers import make_teacher
from tests.training.launching import FROZEN, launch
from tests.training.resuming import EXACT, interrupted_and_resumed
from tests.training.toy import equal, losses_of, toy_section, weights_of
from tests.training.toy_instances import toy_instance_section

pytestmark = pytest.mark.both

TOY = Path(__file__).parents[2] / "training"
FEATURE = {"student": "stem", "teacher": "stem", "weight": 0.5}


@pytest.fixture
def distilled(toy_data, tmp_path):
    """A configuration whose student, 6 channels wide, learns from 10 channels; with overrides."""
    section = toy_section(toy_data)
    names = make_teacher(tmp_path / "teacher", section, model={"type": "ToyNetwork", "num_classes": 3, "width": 10})
    path = tmp_path / "distilled.yml"
    path.write_text(yaml.safe_dump(section | {"distill": names | {"logits": {}, "features": [FEATURE]}}))
    return lambda *overrides: load_config(path, list(overrides))


@pytest.mark.parametrize("extra", [[], ["optimizer.type=AdamW", "accumulate=2"]], ids=["sgd", "adamw-accumulate"])
def test_resume_is_exact_with_trained_adapters(distilled, tmp_path, extra):
    config = distilled(*EXACT, *extra)
    whole = Trainer(config, tmp_path / "whole")
    before = whole.extensions["distill"].arrays()
    assert {name: array.shape for name, array in before.items()} == {
        "distill.feature1.weight": (10, 6, 1, 1),
        "distill.feature1.bias": (10,),
    }
    whole.fit()
    halves = interrupted_and_resumed(config, tmp_path / "halves", stop_at=3)
    assert equal(weights_of(whole), weights_of(halves))
    assert equal(whole.extensions["distill"].arrays(), halves.extensions["distill"].arrays())
    assert equal(whole.extensions["ema"].average.arrays(), halves.extensions["ema"].average.arrays())
    assert losses_of(tmp_path / "whole") == losses_of(tmp_path / "halves")
    assert all(not np.array_equal(before[name], array) for name, array in whole.extensions["distill"].arrays().items())


def test_the_teacher_does_not_change(distilled, tmp_path):
    trainer = Trainer(distilled(), tmp_path / "run")
    teacher = trainer.extensions["distill"].criterion.teacher.network
    before = {name: value.numpy() for name, value in teacher.state_dict().items()}
    trainer.fit()
    assert equal(before, {name: value.numpy() for name, value in teacher.state_dict().items()})
    assert not any(layer.training for layer in teacher.sublayers(include_self=True))
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert "aux.weight" in before  # which the evaluation mode does not use: no output of the training mode is needed


def test_the_log_shows_each_loss(distilled, tmp_path):
    Trainer(distilled("log_iters=1"), tmp_path / "run").fit()
    events = [event for event in read_log(tmp_path / "run") if event["event"] == "train"]
    names = ["logits", "logits_aux1", "distill_logits", "distill_feature1"]
    for event in events:
        assert event["loss"] == pytest.approx(sum(event[name] for name in names), rel=1e-5)
    assert events[-1]["distill_feature1"] < events[0]["distill_feature1"]


def test_student_and_checkpoint_have_no_trace_of_the_teacher(distilled, toy_config, tmp_path):
    trainer = Trainer(distilled("ema.decay=0.5"), tmp_path / "run")
    trainer.fit()
    checkpoint = read_checkpoint(tmp_path / "run" / "last")
    plain = build_network(toy_config())
    assert checkpoint.weights.keys() == plain.state_dict().keys() == checkpoint.arrays["ema"].keys()
    assert checkpoint.arrays["distill"].keys() == {"distill.feature1.weight", "distill.feature1.bias"}
    (tmp_path / "teacher" / "model.pdparams").unlink()
    load_checkpoint_weights(tmp_path / "run", plain)  # nothing of the teacher is needed any more
    for layer in trainer.network.sublayers(include_self=True):
        assert not layer._forward_post_hooks


def test_the_student_starts_as_it_would_alone(distilled, toy_config, tmp_path):
    alone, taught = Trainer(toy_config(), tmp_path / "alone"), Trainer(distilled(), tmp_path / "taught")
    assert equal(weights_of(alone), weights_of(taught))
    weightless = distilled("distill.logits.weight=0", "distill.features=[]")
    silent = Trainer(weightless, tmp_path / "silent")
    for trainer in (alone, silent, taught):
        trainer.fit()
    assert equal(weights_of(alone), weights_of(silent))
    assert not equal(weights_of(alone), weights_of(taught))
    assert silent.extensions["distill"].arrays() == {}


def test_a_run_is_not_resumed_with_other_adapters(distilled, tmp_path):
    Trainer(distilled("iters=2", "lr_scheduler.warmup_iters=1"), tmp_path / "run").fit()
    with pytest.raises(TrainingError, match=r"distill\.feature1"):
        Trainer(distilled("distill.features=[]"), tmp_path / "run").fit("auto")
    other = [FEATURE | {"student": "head"}]
    with pytest.raises(TrainingError, match="shapes differ"):
        Trainer(distilled(f"distill.features={other}"), tmp_path / "run").fit("auto")


def test_another_architecture_teaches_a_mobileseg(toy_data, tmp_path):
    section = toy_section(toy_data)
    teacher = make_teacher(tmp_path / "teacher", section)
    feature = {"student": "backbone.steps.2", "teacher": "stem"}  # of other channels and an eighth of the size
    section |= {
        "plugins": [*section["plugins"], str(TOY / "toy_backbone.py")],
        "model": {"type": "MobileSeg", "num_classes": 3, "aux_heads": False, "backbone": {"type": "ToyBackbone"}},
        "loss": {"types": [{"type": "CrossEntropyLoss"}], "coef": [1.0]},
        "distill": teacher | {"logits": {"temperature": 1.0}, "features": [feature]},
    }
    (tmp_path / "student.yml").write_text(yaml.safe_dump(section))
    trainer = Trainer(load_config(tmp_path / "student.yml", ["iters=3"]), tmp_path / "run")
    trainer.fit()
    assert trainer.extensions["distill"].arrays()["distill.feature1.weight"].shape == (6, 8, 1, 1)
    assert np.isfinite(list(losses_of(tmp_path / "run").values())).all()


@pytest.fixture
def distilled_instances(instance_data, tmp_path):
    """YOLACT that learns from a wider one with more prototypes."""
    section = toy_instance_section(instance_data)
    wide = section["model"] | {"fpn_channels": 12, "num_prototypes": 6}
    names = make_teacher(tmp_path / "teacher", section, model=wide)
    feature = {"student": "proto_net.0", "teacher": "proto_net.0"}
    head = {"confidence": 0.2}  # of a teacher that was not trained: 0.2 is chance
    path = tmp_path / "instances.yml"
    path.write_text(yaml.safe_dump(section | {"distill": names | {"head": head, "features": [feature]}}))
    return lambda *overrides: load_config(path, list(overrides))


def test_heads_of_instance_networks(distilled_instances, tmp_path):
    config = distilled_instances("iters=4", "ema.decay=0.9")
    whole = Trainer(config, tmp_path / "whole")
    whole.fit()
    event = next(event for event in read_log(tmp_path / "whole") if event["event"] == "train")
    for name in ("class", "box", "mask"):
        assert event[f"distill_{name}"] > 0
    assert {"box", "class", "mask", "segm", "distill_feature1"} <= event.keys()
    halves = interrupted_and_resumed(config, tmp_path / "halves", stop_at=2)
    assert equal(weights_of(whole), weights_of(halves))
    assert equal(whole.extensions["distill"].arrays(), halves.extensions["distill"].arrays())


@pytest.mark.long
def test_two_processes_with_half_batches_are_one_with_the_whole(distilled, tmp_path):
    """Adapters too: they stand inside what averages gradients."""
    settings = [*FROZEN, "ema.decay=0.9"]
    single = Trainer(distilled(*settings, "batch_size=4"), tmp_path / "single", do_eval=False)
    single.fit()
    words = [str(tmp_path / "distilled.yml"), "--save_dir", str(tmp_path / "double"), "--batch_size", "2"]
    launch([*words, "--no_eval", "--device", "cpu", "-o", *settings], tmp_path / "logs")
    one, two = losses_of(tmp_path / "single"), losses_of(tmp_path / "double")
    np.testing.assert_allclose([one[i] for i in one], [two[i] for i in one], rtol=2e-5)
    saved = read_checkpoint(tmp_path / "double" / "last")
    for name, array in {**weights_of(single), **single.extensions["distill"].arrays()}.items():
        found = saved.weights[name] if name in saved.weights else saved.arrays["distill"][name]
        np.testing.assert_allclose(found, array, rtol=1e-4, atol=2e-6, err_msg=name)


def test_recording_leaves_nothing_behind():
    network = paddle.nn.Sequential(paddle.nn.ReLU(), paddle.nn.ReLU())
    with recorded(network, ["1"]) as found:
        network(paddle.ones([2]))
        network(paddle.zeros([2]))
    network(paddle.ones([2]))
    assert [one.numpy().tolist() for one in found["1"]] == [[1.0, 1.0], [0.0, 0.0]]
