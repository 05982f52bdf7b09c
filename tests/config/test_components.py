"""All components of a configuration at once, and the files it names."""

import pytest

from mobileseg.config.build import build_losses
from mobileseg.config.components import check_components, check_files
from mobileseg.config.load import load_config

BAD = """\
model:
  type: MobileSeg
  cm_out_chs: 5
  cm_bin_sizes: 3
  backbone: {type: GhostNet_x1, pretrained: 5}
train_dataset:
  type: Dataset
  dataset_rot: data
  transforms:
    - type: RandomPadingCrop
    - {type: Normalize, mean: [a]}
    - {type: RandomHorizontalFlip, prob: "0.5"}
val_dataset: {type: CityScapes}
loss:
  types:
    - {type: MixedLoss, losses: [{type: CrossEntropyLos}, {type: DiceLoss, smoth: 1}], coef: [1, 1]}
    - {type: OhemCrossEntropyLoss, min_kept: many}
  coef: [1, 1]
"""


def test_every_mistake_of_every_component_at_once(write, refused):
    config = load_config(write("a.yml", BAD))
    found = {problem.key: str(problem) for problem in refused(check_components, config).problems}
    assert set(found) == {
        "model", "model.cm_out_chs", "model.cm_bin_sizes", "model.backbone.type", "train_dataset.dataset_rot",
        "train_dataset", "train_dataset.transforms.0.type", "train_dataset.transforms.1.mean",
        "train_dataset.transforms.2.prob", "val_dataset.type", "loss.types.0.losses.0.type",
        "loss.types.0.losses.1.smoth", "loss.types.1.min_kept",
    }  # fmt: skip
    assert found["model.backbone.type"].startswith("a.yml:5: ")
    assert "GhostNet_x1_0" in found["model.backbone.type"]
    assert (
        "a.yml:3: model.cm_out_chs: MobileSeg has no argument 'cm_out_chs' (hint: did you mean cm_out_ch"
        in (found["model.cm_out_chs"])
    )
    assert "needs the argument 'num_classes' (hint: set it, or num_classes of the dataset)" in found["model"]
    assert "RandomPaddingCrop" in found["train_dataset.transforms.0.type"]
    assert "a.yml:10" in found["train_dataset.transforms.0.type"]
    assert "did you mean Cityscapes" in found["val_dataset.type"]
    assert "needs the argument 'dataset_root'" in found["train_dataset"]


LOSS_SECTIONS = [
    ("{types: [{type: CrossEntropyLoss}]}", "loss.coef", "missing", "coef: [1.0]"),
    ("{types: [{type: YolactLoss}], coef: [2]}", "loss.coef", "weighs its own parts", "remove it"),
    (
        "{types: [{type: CrossEntropyLoss}, {type: YolactLoss}], coef: [1, 1]}",
        "loss.types.1",
        "cannot stand beside",
        "the only entry",
    ),
]


@pytest.mark.parametrize(("section", "key", "message", "remedy"), LOSS_SECTIONS)
@pytest.mark.parametrize("function", [check_components, build_losses])
def test_a_criterion_stands_alone_and_other_losses_are_weighed(write, refused, function, section, key, message, remedy):
    problem = only(refused(function, load_config(write("a.yml", f"loss: {section}"))))
    assert (problem.key, problem.origin) == (key, "a.yml:1")
    assert message in problem.message
    assert remedy in problem.remedy


@pytest.mark.parametrize("coef", ["", ", coef: [1]"])
def test_a_criterion_is_built_alone(write, coef):
    config = load_config(write("a.yml", f"loss: {{types: [{{type: YolactLoss, box_weight: 3.0}}]{coef}}}"))
    check_components(config)
    criterion = build_losses(config)
    assert type(criterion).__name__ == "YolactLoss"
    assert criterion.weights["box"] == 3.0


TASKS = """\
model: {{type: {network}, num_classes: 2, backbone: {{type: MobileNetV2_x1_0}}}}
loss: {{types: [{{type: {loss}}}], coef: [1]}}
val_dataset: {{type: {dataset}, dataset_root: data, mode: val}}
"""


def test_network_loss_and_dataset_of_one_task(write, refused):
    text = TASKS.format(network="MobileYolact", loss="YolactLoss", dataset="CocoInstances")
    check_components(load_config(write("a.yml", text)))
    text = TASKS.format(network="MobileYolact", loss="CrossEntropyLoss", dataset="Dataset")
    found = {problem.key: problem for problem in refused(check_components, load_config(write("b.yml", text))).problems}
    assert set(found) == {"loss.types.0.type", "val_dataset.type"}
    assert found["loss.types.0.type"].origin == "b.yml:2"
    assert found["loss.types.0.type"].remedy == "use YolactLoss"
    assert "CocoInstances" in found["val_dataset.type"].remedy
    assert "Dataset is for semantic segmentation, the network MobileYolact for instance" in str(
        found["val_dataset.type"]
    )


@pytest.mark.parametrize("network", ["MobileSeg", "paddleseg.OCRNet"])
def test_a_semantic_network_refuses_the_rest_of_the_instance_family(write, refused, network):
    text = TASKS.format(network=network, loss="YolactLoss", dataset="CocoInstances")
    found = {problem.key: problem for problem in refused(check_components, load_config(write("a.yml", text))).problems}
    assert set(found) == {"loss.types.0.type", "val_dataset.type"}
    assert "CrossEntropyLoss" in found["loss.types.0.type"].remedy


def only(error):
    (problem,) = error.problems
    return problem


def test_an_override_is_named(write, refused):
    config = load_config(write("a.yml", "val_dataset: {type: Cityscapes, dataset_root: x}"), ["val_dataset.rot=1"])
    error = refused(check_components, config)
    assert [problem.origin for problem in error.problems] == ["-o val_dataset.rot=1"]


def test_missing_files_are_all_named(write, refused):
    write("there/train.txt", "")
    file = write(
        "a.yml",
        """\
        model: {type: M, pretrained: net.pdparams, backbone: {type: B, pretrained: back.npz}}
        train_dataset: {type: Dataset, dataset_root: there, train_path: train.txt, val_path: no.txt}
        val_dataset:
          type: Dataset
          dataset_root: nowhere
          val_path: val.txt
        """,
    )
    config = load_config(file)
    error = refused(check_files, config)
    assert {(problem.key, problem.origin) for problem in error.problems} == {
        ("model.pretrained", "a.yml:1"),
        ("model.backbone.pretrained", "a.yml:1"),
        ("val_dataset.dataset_root", "a.yml:5"),
        ("val_dataset.val_path", "a.yml:6"),
    }
    check_files(config, ("train_dataset",))


def test_missing_annotations_are_named(write, refused):
    write("there/mine.json", "{}")
    file = write(
        "a.yml",
        """\
        train_dataset: {type: CocoInstances, dataset_root: there, annotation_file: mine.json, image_dir: .}
        val_dataset:
          type: CocoInstances
          dataset_root: there
          annotation_file: other.json
          image_dir: photos
        """,
    )
    error = refused(check_files, load_config(file))
    assert [(problem.key, problem.origin) for problem in error.problems] == [
        ("val_dataset.annotation_file", "a.yml:5"),
        ("val_dataset.image_dir", "a.yml:6"),
    ]
    assert "the annotation file other.json does not exist" in str(error)


CONCAT = """\
model: {type: MobileYolact, backbone: {type: MobileNetV2_x1_0}}
loss: {types: [{type: YolactLoss}]}
train_dataset:
  type: Concat
  parts:
    - dataset: {type: %s, dataset_root: here}
    - dataset: {type: PennFudan, dataset_root: there}
"""


def test_a_dataset_of_parts_has_task_and_classes_of_the_first(write, refused):
    config = load_config(write("a.yml", CONCAT % "PennFudan"))
    assert config.model["num_classes"] == 1
    check_components(config)
    found = only(refused(check_components, load_config(write("b.yml", CONCAT % "CamVid"))))
    assert found.key == "train_dataset.type"
    assert found.message == "Concat is for semantic segmentation, the network MobileYolact for instance"


@pytest.mark.parametrize("parts", ["[]", "3", "[3]", "[{dataset: 3}]", "[{ratio: 1}]", "[{dataset: {ratio: 1}}]"])
def test_parts_that_say_nothing_are_left_to_the_dataset(write, refused, parts):
    text = CONCAT.split("  parts:")[0] + f"  parts: {parts}\n"
    config = load_config(write("a.yml", text.replace("MobileNetV2_x1_0}", "MobileNetV2_x1_0}, num_classes: 1")))
    check_files(config)
    errors = refused(check_components, config).problems
    assert {problem.key for problem in errors} <= {"train_dataset.type", "train_dataset.parts"}


def test_files_of_parts_are_looked_for(write, refused):
    write("here/train.txt", "")
    found = only(refused(check_files, load_config(write("a.yml", CONCAT % "PennFudan"))))
    assert (found.key, found.origin) == ("train_dataset.parts.1.dataset.dataset_root", "a.yml:7")
    assert "-o train_dataset.parts.1.dataset.dataset_root=FOLDER" in found.remedy


def test_addresses_are_not_looked_for(write):
    write("data/x", "")
    file = write("a.yml", "model: {type: M, backbone: {type: B, pretrained: 'https://x/y.npz'}}\n"
                          "train_dataset: {type: Cityscapes, dataset_root: data}")  # fmt: skip
    check_files(load_config(file))


NUMBERS = """\
model: {type: MobileSeg, num_classes: 2, backbone: {type: GhostNet_x1_0}}
train_dataset:
  type: Dataset
  dataset_root: data
  train_path: a.txt
  transforms:
    - {type: RandomRotation, max_rotation: .inf}
    - {type: RandomDistort, brightness_prob: 2}
    - {type: Normalize, mean: [0.5, .nan, 0.5]}
loss:
  types: [{type: OhemCrossEntropyLoss, thresh: 1.0e+30}]
  coef: [1]
"""


def test_numbers_that_nothing_can_compute_with_are_all_found(write, refused):
    found = {problem.key: problem for problem in refused(load_config, write("a.yml", NUMBERS)).problems}
    assert {"train_dataset.transforms.0.max_rotation", "train_dataset.transforms.2.mean.1"} <= set(found)
    finite = NUMBERS.replace(".inf", "15").replace(".nan", "0.5")
    config = load_config(write("b.yml", finite))
    others = {problem.key for problem in refused(check_components, config).problems}
    assert {"train_dataset.transforms.1.brightness_prob", "loss.types.0.thresh"} <= others
    assert found["train_dataset.transforms.0.max_rotation"].origin == "a.yml:7"


PIPELINES = """\
train_dataset:
  type: Dataset
  dataset_root: data
  train_path: a.txt
  transforms:
    - {{type: Resize, target_size: [0, 5]}}
    - {{type: Normalize, mean: 123.675}}
    - {train}
val_dataset:
  type: Dataset
  dataset_root: data
  mode: val
  val_path: a.txt
  transforms: {val}
"""


def test_every_step_that_cannot_be_built_is_named(write, refused):
    text = PIPELINES.format(train="{type: RandomBlur, blur_type: motion}", val="[{type: Normalize}, {type: Normalize}]")
    found = {problem.key: problem for problem in refused(check_components, load_config(write("a.yml", text))).problems}
    assert set(found) == {*(f"train_dataset.transforms.{index}" for index in range(3)), "val_dataset.transforms"}
    assert "Normalize, takes pixels of 0..255; behind Normalize" in found["val_dataset.transforms"].message
    assert found["train_dataset.transforms.1"].origin == "a.yml:7"


@pytest.mark.parametrize("value", ["{type: Normalize}", "Normalize", "5"])
def test_transforms_that_are_no_list(write, refused, value):
    text = PIPELINES.format(train="{type: Normalize}", val=value)
    problems = refused(lambda: check_components(load_config(write("a.yml", text)))).problems
    assert any(problem.key == "val_dataset.transforms" and "list" in problem.message for problem in problems)


def test_pipelines_that_normalise_differently(write, refused):
    text = PIPELINES.format(train="{type: Normalize, std: 0.3}", val="[{type: Normalize}]")
    text = text.replace("    - {type: Resize, target_size: [0, 5]}\n    - {type: Normalize, mean: 123.675}\n", "")
    (problem,) = refused(check_components, load_config(write("a.yml", text))).problems
    assert problem.key == "val_dataset.transforms"
    assert "train and val normalise differently" in problem.message
