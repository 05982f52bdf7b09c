"""Structural errors: all at once, with key, line and the nearest known key."""

import pytest

from mobileseg.config.load import load_config
from mobileseg.config.structure import Origins, components, nearest
from mobileseg.config.tree import Origin


def problems(error):
    return {problem.key: problem for problem in error.problems}


def test_all_errors_at_once_with_line_and_nearest_key(write, refused):
    file = write(
        "a.yml",
        """\
        batchsize: 4
        iters: "200"
        num_workers: -1
        model:
          backbone: {type: X}
        optimizer:
          type: SGD
          momentun: 0.9
        lr_scheduler: {type: PolynomialDecay, power: 0}
        test_config: {scale: [1.0]}
        clip: {norm: .inf}
        freeze: ["", backbone.*]
        loss: {types: [], coef: [1]}
        export: {size: {heigth: 5, width: 5}}
        detection: {topk: 100, max_detections: 1.5}
        """,
    )
    error = refused(load_config, file)
    found = problems(error)
    assert {(key, problem.origin, problem.remedy) for key, problem in found.items()} >= {
        ("batchsize", "a.yml:1", "did you mean batch_size?"),
        ("optimizer.momentun", "a.yml:8", "did you mean momentum?"),
        ("test_config.scale", "a.yml:10", "did you mean scales?"),
        ("export.size.heigth", "a.yml:14", "did you mean height?"),
        ("detection.topk", "a.yml:15", "did you mean top_k?"),
        ("lr_scheduler.learning_rate", "a.yml:9", "add learning_rate: ..."),
    }
    assert "should be a valid integer, got '200'" in found["iters"].message
    assert "greater than or equal to 0, got -1" in found["num_workers"].message
    assert "no 'type'" in found["model"].message
    assert "greater than 0" in found["lr_scheduler.power"].message
    assert "finite" in found["clip.norm"].message
    assert "integer, got 1.5" in found["detection.max_detections"].message
    assert "freeze.0" in found
    assert "loss.types" in found
    assert str(error).startswith(f"{len(error.problems)} problems in the configuration:")
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("text", "key", "part"),
    [
        ("iters: true", "iters", "integer"),
        ("iters: 3.5", "iters", "integer"),
        ("iters: 0", "iters", "greater than 0"),
        ("iters:", "iters", "integer"),
        ("detection: {nms: soft}", "detection.nms", "'fast', 'cross_class' or 'traditional'"),
        ("detection: {score_threshold: 1}", "detection.score_threshold", "less than 1"),
        ("detection: {inclusive_pixels: true}", "detection", "inclusive_pixels belongs to nms: traditional"),
        ("seed: -1", "seed", "greater than or equal to 0"),
        ("model: MobileSeg", "model", "dictionary"),
        ("model: {type: 3}", "model.type", "text, got 3"),
        ("model: {type: A, backbone: GhostNet}", "model.backbone", "a mapping with a 'type', got 'GhostNet'"),
        ("model: {type: A, 3: 4}", "model.3", "an argument's name is text, got 3"),
        ("train_dataset: {type: D, transforms: [Normalize]}", "train_dataset.transforms.0", "mapping with a 'type'"),
        ("train_dataset: {type: D, transforms: [{mean: 1}]}", "train_dataset.transforms.0", "no 'type'"),
        ("val_dataset: [1]", "val_dataset", "dictionary"),
        ("optimizer: {type: Adagrad}", "optimizer.type", "there is no 'Adagrad'"),
        ("optimizer: {momentum: 0.9}", "optimizer", "has no 'type'"),
        ("optimizer: SGD", "optimizer", "SGD"),
        ("optimizer: {type: AdamW, momentum: 0.9}", "optimizer.momentum", "unknown key"),
        ("optimizer: {type: SGD, weight_decay: -1}", "optimizer.weight_decay", "greater than or equal to 0"),
        ("lr_scheduler: {type: Step, learning_rate: 1}", "lr_scheduler.type", "there is no 'Step'"),
        ("loss: {coef: [1]}", "loss.types", "missing"),
        ("loss: {types: [{weight: 1}], coef: [1]}", "loss.types.0", "no 'type'"),
        ("loss: {types: [CrossEntropyLoss], coef: [1]}", "loss.types.0", "dictionary"),
        ("loss: {types: [{type: M, losses: [{a: 1}], coef: [1]}], coef: [1]}", "loss.types.0.losses.0", "no 'type'"),
        ("amp: {dtype: float8}", "amp.dtype", "'float16' or 'bfloat16'"),
        ("ema: {decay: 1.0}", "ema.decay", "less than 1"),
        ("early_stop: {}", "early_stop.patience", "missing"),
        ("param_groups: [{lr_mult: 1}]", "param_groups.0.match", "missing"),
        ("param_groups: [{match: x, lr: 1}]", "param_groups.0.lr", "unknown key"),
        ("test_config: {is_slide: 1}", "test_config.is_slide", "boolean"),
        ("test_config: {scales: [0]}", "test_config.scales.0", "greater than 0"),
        ("test_config: {crop_size: [5]}", "test_config.crop_size", "at least 2"),
        ("export: {targets: [tflite]}", "export.targets.0", "'paddle', 'onnx'"),
        ("export: {opset: 9}", "export.opset", "greater than or equal to 11"),
        ("plugins: my.py", "plugins", "list"),
        ("freeze: backbone.*", "freeze", "list"),
        ("3: 4", "3", "keys should be strings, got 3"),
    ],
)
def test_wrong_values(write, refused, text, key, part):
    found = problems(refused(load_config, write("a.yml", text)))
    assert part in found[key].message + found[key].remedy
    assert found[key].origin == "a.yml:1"


def test_a_problem_of_an_override_names_it(write, refused):
    error = refused(load_config, write("a.yml", "iters: 5"), ["batch_size=many", "itres=3"])
    assert [(p.key, p.origin) for p in error.problems] == [
        ("batch_size", "-o batch_size=many"),
        ("itres", "-o itres=3"),
    ]
    assert error.problems[1].remedy.startswith("did you mean iters")


def test_a_problem_of_a_base_names_the_base(write, refused):
    write("base.yml", "optimizer:\n  type: SGD\n  momentum: 2\n")
    error = refused(load_config, write("a.yml", "_base_: base.yml\niters: 5"))
    assert [(p.key, p.origin) for p in error.problems] == [("optimizer.momentum", "base.yml:3")]


def test_long_values_are_shortened(write, refused):
    error = refused(load_config, write("a.yml", f"iters: {'x' * 500}"))
    assert len(str(error)) < 300


def test_components_are_found_wherever_they_may_stand():
    data = {
        "model": {"type": "N", "backbone": {"type": "B"}},
        "val_dataset": {"type": "D", "transforms": [{"type": "T"}]},
        "loss": {"types": [{"type": "M", "losses": [{"type": "L"}]}], "coef": [1]},
    }
    assert [(path, kind) for path, kind, _ in components(data)] == [
        (("model",), "network"),
        (("model", "backbone"), "backbone"),
        (("val_dataset",), "dataset"),
        (("val_dataset", "transforms", 0), "transform"),
        (("loss", "types", 0), "loss"),
        (("loss", "types", 0, "losses", 0), "loss"),
    ]


def test_nearest():
    assert nearest("ghostnet_x1", ["GhostNet_x1_0", "ResNet50"]) == "did you mean GhostNet_x1_0?"
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
    assert nearest("zzz", []) == ""


def test_origins_fall_back_to_what_contains_the_value():
    origins = Origins({("a",): Origin("f:1")})
    assert origins.text(("a", "b", 0)) == "f:1"
    assert origins.text(("c",)) == ""
    origins.move(("a", "b"), ("d",))
    assert origins.text(("d", "e")) == "f:1"
