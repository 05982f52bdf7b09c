"""The whole way from a file to a configuration."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import mobileseg
from mobileseg.config.load import Config, explain, load_config

FULL = """\
batch_size: 8
iters: 200
model:
  type: MobileSeg
  num_classes: 3
  backbone: {type: GhostNet_x1_0}
train_dataset:
  type: Dataset
  dataset_root: data
  label_map: {7: 0, 11: 1}
  transforms:
    - {type: Normalize, mean: [0.5]}
loss: {types: [{type: CrossEntropyLoss}], coef: [1, 0.4]}
optimizer: {type: sgd, momentum: 0.9, weight_decay: 5e-4}
lr_scheduler: {type: PolynomialDecay, learning_rate: 1e-3, end_lr: 0}
clip: {norm: 5}
"""


def test_defaults(write):
    config = load_config(write("a.yml", ""))
    assert (config.batch_size, config.iters, config.seed, config.num_workers) == (4, 1000, 0, 2)
    assert (config.save_interval, config.eval_interval, config.log_iters) == (1000, 1000, 10)
    assert config.model is None
    assert config.clip is None
    assert config.test_config.scales == [1.0]
    assert config.origin("seed") == "default"
    assert config.origin("optimizer.momentum") == "default"


def test_typed_attributes(write):
    config = load_config(write("runs/a.yml", FULL))
    assert config.path == Path("runs/a.yml")
    assert config.name == "a"
    assert config.optimizer is not None
    assert config.optimizer.weight_decay == 5e-4
    assert config.lr_scheduler is not None
    assert config.lr_scheduler.learning_rate == 1e-3
    assert config.clip is not None
    assert config.clip.norm == 5.0
    assert config.loss is not None
    assert config.loss.coef == [1.0, 0.4]
    assert config.model is not None
    assert config.model["backbone"]["type"] == "GhostNet_x1_0"


@pytest.mark.parametrize("key", ["iters", "clip", "optimizer.momentum", "model.backbone.type"])
def test_zero_and_other_overrides_reach_the_configuration(write, key):
    values = {"iters": 7, "clip": None, "optimizer.momentum": 0, "model.backbone.type": "ResNet50"}
    config = load_config(write("a.yml", FULL), {key: values[key]})
    found = config.to_dict()
    for part in key.split("."):
        found = found[part]
    assert found == values[key]
    assert config.origin(key) == f"override {key}"


def test_origins(write):
    config = load_config(write("a.yml", FULL), ["train_dataset.transforms.0.std=[0.5]"])
    assert config.origin("batch_size") == "a.yml:1"
    assert config.origin("train_dataset.transforms.0.mean") == "a.yml:12"
    assert config.origin("train_dataset.transforms.0.std") == "-o train_dataset.transforms.0.std=[0.5]"
    assert config.origin("train_dataset.label_map.7") == "a.yml:10"
    assert config.origin("optimizer.use_nesterov") == "default"
    assert config.origin("no.such.key") == "default"


def test_resolved_file_gives_an_equal_configuration(write):
    config = load_config(write("a.yml", FULL), ["seed=3", "ema.decay=0.99", "freeze=['backbone.*']"])
    again = load_config(write("run/config.yml", config.to_yaml()))
    assert again == config
    assert again.hash == config.hash
    assert again.to_yaml() == config.to_yaml()
    assert again.to_dict()["train_dataset"]["label_map"] == {7: 0, 11: 1}


def test_hash_follows_the_values_alone(write):
    write("base.yml", FULL)
    one = load_config("base.yml")
    other = load_config(write("a.yml", "# the same\n_base_: base.yml\nseed: 0\n"))
    assert one == other
    assert one.hash == other.hash
    assert hash(one) == hash(other)
    assert one.hash != load_config("base.yml", ["seed=1"]).hash
    assert load_config("base.yml", ["train_dataset.label_map={'7': 0}"]).hash != one.hash


def test_hash_is_the_same_in_every_process(write):
    """Nothing in it depends on the order of sets or on the hash seed of Python."""
    file = write("a.yml", FULL)
    code = f"from mobileseg.config.load import load_config; print(load_config({file!r}).hash)"
    root = Path(mobileseg.__file__).parents[1]
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert seen == {load_config(file).hash}


def test_paddle_is_not_imported(write):
    file = write("a.yml", FULL)
    code = (
        "import sys; from mobileseg import load_config; from mobileseg.config.load import explain; "
        f"explain(load_config({file!r}, ['model.backbone.type=ResNet50'])); sys.exit('paddle' in sys.modules)"
    )
    root = Path(mobileseg.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(root)}, check=True)


def test_data_is_a_copy(write):
    config = load_config(write("a.yml", FULL))
    config.data["model"]["backbone"].clear()
    config.to_dict()["train_dataset"]["transforms"].clear()
    assert config.to_dict()["model"]["backbone"] == {"type": "GhostNet_x1_0"}
    assert config.to_dict()["train_dataset"]["transforms"]


def test_frozen(write):
    config = load_config(write("a.yml", FULL))
    with pytest.raises(ValueError, match="frozen"):
        config.iters = 3  # type: ignore[misc]


def test_survives_the_way_to_a_worker(write):
    config = load_config(write("a.yml", FULL))
    again = pickle.loads(pickle.dumps(config))
    assert again == config
    assert isinstance(again, Config)
    assert again.origin("batch_size") == "a.yml:1"


def test_required_sections(write, refused):
    config = load_config(write("a.yml", FULL))
    config.require("model", "loss")
    error = refused(config.require, "model", "val_dataset", "amp")
    assert [problem.key for problem in error.problems] == ["val_dataset", "amp"]
    assert "a.yml" in str(error)


def test_explain_names_every_value_and_its_line(write):
    config = load_config(write("a.yml", FULL), ["seed=9"])
    rows = [line.split(maxsplit=1) for line in explain(config).splitlines()]
    keys = {row[0] for row in rows}
    assert {"train_dataset.transforms.0.mean", "optimizer.use_nesterov", "test_config.scales", "seed"} <= keys
    text = dict(rows)
    assert text["seed"].split() == ["9", "-o", "seed=9"]
    assert text["batch_size"].split() == ["8", "a.yml:1"]
    assert text["optimizer.use_nesterov"].split() == ["false", "default"]
    assert text["train_dataset.transforms.0.mean"].split() == ["[0.5]", "a.yml:12"]


def test_lazy_name_of_the_package():
    assert mobileseg.load_config is load_config


def test_json_of_the_data(write):
    json.dumps(load_config(write("a.yml", FULL)).to_dict())
