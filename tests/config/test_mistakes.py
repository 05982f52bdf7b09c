"""Mistakes of every kind in one round, and values that no setting can hold."""

import pytest

from mobileseg.cli import main
from mobileseg.config.components import check_components
from mobileseg.config.load import load_config

TYPOS = """\
itres: 5
optimizer: {type: SGD, momentun: 0.9}
model: {type: MobileSeg, num_clases: 3, backbone: {type: MobileNetV2_x1_0, scael: 1}}
train_dataset:
  type: Dataset
  dataset_root: .
  num_classes: 3
  transforms: [{type: Normalise}, {type: Resize, target_sise: [4, 4]}]
loss: {types: [{type: CrossEntropyLos}], coef: [1]}
"""


def test_typos_in_all_sections_are_told_in_one_round(write, refused):
    found = {problem.key: problem for problem in refused(load_config, write("a.yml", TYPOS)).problems}
    assert set(found) == {
        "itres", "optimizer.momentun", "model.num_clases", "model.backbone.scael", "train_dataset.transforms.0.type",
        "train_dataset.transforms.1.target_sise", "loss.types.0.type",
    }  # fmt: skip
    assert found["train_dataset.transforms.0.type"].origin == "a.yml:8"


def test_a_misspelt_classes_key_is_named_beside_the_contradiction(write, refused):
    file = write(
        "a.yml",
        "model: {type: MobileSeg, num_classes: 3, backbone: {type: MobileNetV2_x1_0}}\n"
        "train_dataset: {type: Dataset, dataset_root: '.', num_classes: 2, clases: [a, b, c]}\n",
    )
    found = {problem.key: problem for problem in refused(load_config, file).problems}
    assert set(found) == {"model.num_classes", "train_dataset.clases"}
    assert found["train_dataset.clases"].remedy.startswith("did you mean classes")


@pytest.mark.usefixtures("forget_plugins")
def test_names_of_a_plugin_are_no_mistakes_and_it_is_not_run(write, refused, tmp_path):
    write("mine.py", "open('ran', 'w')\n")
    error = refused(load_config, write("a.yml", "plugins: [mine.py]\nitres: 1\nmodel: {type: Mine}\n"))
    assert [problem.key for problem in error.problems] == ["itres"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "key", "part"),
    [
        (f"seed: {2**64}", "seed", "at most 63 bits"),
        (f"seed: 1{'0' * 400}", "seed", "at most 63 bits"),
        (f"clip: {{norm: 1{'0' * 400}}}", "clip.norm", "at most 63 bits"),
        ("train_dataset: {type: Dataset, dataset_root: .inf}", "train_dataset.dataset_root", "must be finite"),
        ("train_dataset: {type: Dataset, transforms: [{type: Resize, size_divisor: .nan}]}",
         "train_dataset.transforms.0.size_divisor", "must be finite"),
        ('plugins: ["a\\0b.py"]', "plugins.0", "NUL"),
        ('train_dataset: {type: Dataset, num_classes: "\\ud800"}', "train_dataset.num_classes", "half of a character"),
        ("val_dataset: {type: Dataset, dataset_root: '.', transforms: {type: Normalize}}", "val_dataset.transforms",
         "must be a list of transforms"),
        ("val_dataset: {type: Dataset, dataset_root: '.', transforms: Normalize}", "val_dataset.transforms",
         "must be a list of transforms"),
        ("{train_dataset: {type: Dataset, dataset_root: '.'}, model: {type: MobileSeg, num_classes: 2, "
         "backbone: {type: MobileNetV2_x1_0, in_channels: 1}}}", "model.backbone.in_channels", "the network takes 1"),
        ("{train_dataset: {type: Dataset, dataset_root: '.', img_channels: 4}, model: {type: MobileSeg, "
         "num_classes: 2, backbone: {type: MobileNetV2_x1_0}}}", "train_dataset.img_channels", "takes three channels"),
        ("{train_dataset: {type: Concat, parts: [{dataset: {type: Dataset, dataset_root: '.', img_channels: 4}}]}, "
         "model: {type: MobileSeg, num_classes: 2, backbone: {type: MobileNetV2_x1_0}}}",
         "train_dataset.parts.0.dataset.img_channels", "takes three channels"),
    ],
)  # fmt: skip
def test_values_that_no_setting_can_hold(write, refused, text, key, part):
    error = refused(load_config, write("a.yml", text))
    (problem,) = [problem for problem in error.problems if problem.key == key]
    assert part in problem.message
    assert problem.origin == "a.yml:1"


@pytest.mark.parametrize(
    ("step", "key"),
    [
        ("{type: Resize, target_size: [100000000, 4]}", "target_size"),
        ("{type: RandomPaddingCrop, crop_size: [512, 1000000]}", "crop_size"),
        ("{type: ResizeByLong, long_size: 9999999}", "long_size"),
        ("{type: ResizeStepScaling, max_scale_factor: 1.0e+200}", "max_scale_factor"),
    ],
)
def test_enormous_arguments_are_found_by_doctor_config(write, capsys, step, key):
    file = write("a.yml", f"train_dataset: {{type: Dataset, dataset_root: '.', num_classes: 2, transforms: [{step}]}}")
    assert main(["doctor", "config", file]) != 0
    assert key in capsys.readouterr().err
    with pytest.raises(Exception, match=rf"transforms\.0\.{key}: should be at most"):
        check_components(load_config(file))


def test_deep_yaml_is_refused(write, refused):
    error = refused(load_config, write("a.yml", "model: " + "{a: " * 60 + "1" + "}" * 60))
    assert "nested too deeply" in str(error)
    error = refused(load_config, write("b.yml", "model: " + "[" * 3000 + "]" * 3000))
    assert "nested too deeply" in str(error)


def test_home_folders_are_understood(write, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = load_config(write("a.yml", "train_dataset: {type: Dataset, dataset_root: ~/data, num_classes: 2}"))
    assert config.train_dataset["dataset_root"] == f"{tmp_path}/data"
