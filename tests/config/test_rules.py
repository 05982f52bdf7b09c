"""Contradictions between values, and the class count."""

import pytest

from mobileseg.config.load import load_config
from mobileseg.training.schedule import build_schedule


@pytest.mark.parametrize(
    ("text", "key", "part"),
    [
        ("loss: {types: [{type: A}, {type: A}], coef: [1, 1, 1]}", "loss.coef", "2 losses but 3 coefficients"),
        (
            "loss: {types: [{type: MixedLoss, losses: [{type: A}, {type: B}], coef: [1]}], coef: [1]}",
            "loss.types.0.coef",
            "2 losses but 1 coefficients",
        ),
        (
            "lr_scheduler: {type: MultiStepDecay, learning_rate: 1, milestones: [5, 5, 9]}",
            "lr_scheduler.milestones",
            "write [5, 9]",
        ),
        ("test_config: {is_slide: true, stride: [1, 1]}", "test_config.crop_size", "needs it"),
        (
            "test_config: {is_slide: true, crop_size: [64, 32], stride: [32, 33]}",
            "test_config.stride",
            "leave pixels out",
        ),
        (
            "train_dataset: {type: D, ignore_index: 0}\nloss: {types: [{type: A, ignore_index: 255}], coef: [1]}",
            "loss.types.0.ignore_index",
            "the training labels say 0",
        ),
        (
            "train_dataset: {type: D}\n"
            "loss: {types: [{type: M, coef: [1], losses: [{type: A, ignore_index: 0}]}], coef: [1]}",
            "loss.types.0.losses.0.ignore_index",
            "the training labels say 255",
        ),
        ("export: {input_dtype: uint8}", "export.input_dtype", "normalize_in_graph: true"),
        ("export: {dynamic: true, output_size: {height: 4, width: 4}}", "export.output_size", "remove output_size"),
    ],
)
def test_contradictions(write, refused, text, key, part):
    error = refused(load_config, write("a.yml", text))
    (problem,) = [problem for problem in error.problems if problem.key == key]
    assert part in str(problem)
    assert problem.origin.startswith("a.yml:")
    assert all(other is problem or "there is no " in other.message for other in error.problems)  # A, D and M


@pytest.mark.parametrize(
    "text",
    [
        "iters: 100\nlr_scheduler: {type: CosineDecay, learning_rate: 0, warmup_iters: 99}",
        "test_config: {is_slide: true, crop_size: [64, 32], stride: [64, 32]}",
        "test_config: {crop_size: [64, 32], stride: [99, 99]}",
        "train_dataset: {type: D, ignore_index: 0}\nloss: {types: [{type: A, ignore_index: 0}], coef: [1]}",
        "export: {input_dtype: uint8, normalize_in_graph: true}",
    ],
)
def test_values_that_agree(write, text):
    load_config(write("a.yml", text))


def test_contradictions_and_structural_errors_come_together(write, refused):
    file = write(
        "a.yml", "iters: 5\nbad: 1\nlr_scheduler: {type: MultiStepDecay, learning_rate: x, milestones: [9, 3]}"
    )
    keys = {problem.key for problem in refused(load_config, file).problems}
    assert keys == {"bad", "lr_scheduler.learning_rate", "lr_scheduler.milestones"}


def test_training_may_end_within_the_warm_up(write, caplog):
    """PaddleSeg's users try a configuration with --iters 10; the rates are those of the first ten iterations."""
    file = write("a.yml", "iters: 10\nlr_scheduler: {type: CosineDecay, learning_rate: 1.0, warmup_iters: 1000}")
    config = load_config(file)
    assert "a.yml:2: training ends after 10 of the 1000 iterations of the warm-up" in caplog.text
    schedule = build_schedule(config.to_dict()["lr_scheduler"], config.iters)
    assert [schedule.at(iteration) for iteration in (0, 5, 9)] == pytest.approx([0.0, 0.005, 0.009])


@pytest.mark.parametrize(
    ("dataset", "count"),
    [
        ("{type: Cityscapes, dataset_root: x}", 19),
        ("{type: PascalVOC, dataset_root: x}", 21),
        ("{type: ADE20K, dataset_root: x}", 150),
        ("{type: Dataset, dataset_root: x, num_classes: 7}", 7),
        ("{type: Dataset, dataset_root: x, classes: [a, b, c]}", 3),
        ("{type: Dataset, dataset_root: root, classes: names.txt}", 2),
        ("{type: Dataset, dataset_root: root, train_path: train.txt}", 4),
        ("{type: Dataset, dataset_root: nowhere, train_path: train.txt}", None),
        ("{type: SomeoneElses, dataset_root: x}", None),
        ("{type: CocoInstances, dataset_root: x}", None),
        ("{type: CocoInstances, dataset_root: root}", 3),
        ("{type: CocoInstances, dataset_root: root, annotation_file: 7}", 3),
        ("{type: CocoInstances, dataset_root: root, classes: [cat]}", 1),
        ("{type: VocInstances, dataset_root: x}", 20),
        ("{type: LabelmeInstances, dataset_root: root}", 4),
        ("{type: LabelmeInstances, dataset_root: nowhere}", None),
    ],
)
def test_class_count_comes_from_the_dataset(write, dataset, count):
    write("root/names.txt", "a\nb\n")
    write("root/classes.txt", "a\nb\nc\nd\n")
    write("root/train.txt", "a b\n")
    write("root/annotations/instances_train.json", '{"images": [], "categories": [{"id": 1}, {"id": 2}, {"id": 9}]}')
    config = load_config(write("a.yml", f"model: {{type: MobileSeg}}\ntrain_dataset: {dataset}\n"))
    assert config.model is not None
    assert config.model.get("num_classes") == count
    if count is not None:
        assert config.origin("model.num_classes") == "a.yml:2"


def test_class_count_of_the_model_stays(write):
    config = load_config(write("a.yml", "model: {type: M, num_classes: 5}"))
    assert config.origin("model.num_classes") == "a.yml:1"


@pytest.mark.parametrize(
    "text",
    [
        "model: {type: M, num_classes: 5}\ntrain_dataset: {type: Dataset, num_classes: 6}",
        "model: {type: M, num_classes: 5}\ntrain_dataset: {type: Cityscapes}",
        "train_dataset: {type: Dataset, num_classes: 6}\nval_dataset: {type: Dataset, num_classes: 5}",
        "train_dataset: {type: Dataset, num_classes: 6, classes: [a, b]}",
    ],
)
def test_class_counts_that_contradict(write, refused, text):
    error = refused(load_config, write("a.yml", text))
    assert "contradict each other" in str(error)
    assert str(error).count("a.yml:") >= 2
