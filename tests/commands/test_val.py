"""`mobileseg val`: the same numbers as training logged, from checkpoints and from exported models."""

import json

import pytest

from mobileseg.cli import main
from mobileseg.runtime.engines.registry import available
from mobileseg.viz.history import read_log
from tests.training.toy import run_mobileseg, toy_section


@pytest.fixture(scope="module")
def trained(toy_data, tmp_path_factory):
    """A finished run with an average of the weights, and its configuration."""
    import yaml

    folder = tmp_path_factory.mktemp("trained")
    path = folder / "toy.yml"
    section = toy_section(toy_data) | {"iters": 30, "save_interval": 10, "ema": {"decay": 0.8}}
    section["lr_scheduler"]["learning_rate"] = 0.2
    path.write_text(yaml.safe_dump(section))
    assert main(["train", str(path), "--save_dir", str(folder / "run"), "--device", "cpu"]) == 0
    return path, folder / "run"


def value(config, target, *flags):
    out = target.parent / "scores.json"
    assert main(["val", str(config), *flags, "--json", str(out)]) == 0
    return json.loads(out.read_text())


def logged(run):
    return {event["iter"]: event for event in read_log(run) if event["event"] == "eval"}


@pytest.mark.parametrize("where", ["last", "checkpoints/iter_000020", "best", ""])
def test_a_checkpoint_gives_the_number_that_was_logged(trained, where, tmp_path):
    config, run = trained
    scores = value(config, tmp_path / "x", "--model_path", str(run / where))
    events = logged(run)
    best = max(events, key=lambda number: events[number]["miou"])
    number = {"last": 30, "checkpoints/iter_000020": 20}.get(where, best)
    assert scores["miou"] == events[number]["miou"]
    assert scores["class_iou"] == events[number]["class_iou"]
    assert scores["boundary_iou"] > 0


def test_a_weights_file_holds_the_weights_in_training(trained, tmp_path):
    """model.pdparams is not the average, so its number differs from the one logged."""
    config, run = trained
    scores = value(config, tmp_path / "x", "--model_path", str(run / "last" / "model.pdparams"))
    assert 0 < scores["miou"] <= 1


def test_paddleseg_flags(trained, tmp_path, capsys):
    config, run = trained
    flags = ["--aug_eval", "--scales", "0.75", "1.0", "--flip_horizontal", "--is_slide"]
    scores = value(
        config, tmp_path / "x", "--model_path", str(run), *flags, "--crop_size", "24", "24", "--stride", "16", "16"
    )
    assert scores["test_config"]["scales"] == [0.75, 1.0]
    assert scores["test_config"]["crop_size"] == [24, 24]
    assert "mIoU" in capsys.readouterr().out


@pytest.fixture(scope="module")
def artefact(trained, toy_data):
    """The run as graphs for every engine that is installed, at the size of the images, ending in labels."""
    config, run = trained
    return exported(config, run, toy_data, run.parent / "labels", "--size", "28", "36")


def exported(config, run, data, folder, *flags):
    images = [str(path) for path in sorted(data.glob("val*.jpg.png"))]
    words = ["export", str(config), "--model_path", str(run), "--save_dir", str(folder), "--images", *images]
    assert main([*words, *flags]) == 0
    return folder


@pytest.mark.parametrize("engine", ["auto", "onnxruntime", "paddle", "lite", "ncnn"])
def test_exported_folder_gives_the_same_number(trained, artefact, tmp_path, engine):
    """The images have the size of the graph, so nothing is resized and only rounding differs."""
    if engine != "auto" and available()[engine]:
        pytest.skip(available()[engine])
    config, run = trained
    checkpoint = value(config, tmp_path / "x", "--model_path", str(run))
    words = ["val", str(config), "--model", str(artefact), "--engine", engine, "--json", str(tmp_path / "engine.json")]
    done = run_mobileseg(*words)  # engines die by signal, and not all of them live together in one process
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "engine.json").read_text())
    assert scores["miou"] == pytest.approx(checkpoint["miou"], abs=1e-3)
    assert scores["class_iou"] == pytest.approx(checkpoint["class_iou"], abs=1e-3)
    assert scores["class_pixels"] == checkpoint["class_pixels"]


def test_logits_of_a_resized_image_give_the_same_number(trained, toy_data, tmp_path):
    """Validation resizes to the size of the graph; both sides then resize the logits back."""
    config, run = trained
    resized = ["-o", "val_dataset.transforms=[{type: Resize, target_size: [24, 20]}, {type: Normalize}]"]
    flags = ["--targets", "onnx", "--output_op", "none", *resized]
    folder = exported(config, run, toy_data, tmp_path / "logits", *flags)
    checkpoint = value(config, tmp_path / "x", "--model_path", str(run), *resized)
    graph = value(config, tmp_path / "x", "--model", str(folder), "--engine", "onnxruntime", *resized)
    assert graph["miou"] == pytest.approx(checkpoint["miou"], abs=1e-3)
    native = value(config, tmp_path / "x", "--model_path", str(run))
    assert abs(native["miou"] - checkpoint["miou"]) > 2e-3  # the resize is not without effect


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "name what to evaluate"),
        (["--model_path", "a", "--model", "b"], "name what to evaluate"),
        (["--model_path", "a", "--scales", "0.5"], "no effect without --aug_eval"),
        (["--model_path", "a", "--stride", "5", "5"], "no effect without --is_slide"),
        (["--model_path", "a", "--is_slide"], "needs crop_size and stride"),
        (["--model", "a", "--aug_eval"], "fixed input"),
        (["--model_path", "a", "--engine", "lite"], "runs an exported model"),
    ],
)
def test_flags_that_contradict(trained, flags, message, capsys):
    assert main(["val", str(trained[0]), *flags]) == 2
    assert message in capsys.readouterr().err


def test_weights_of_another_network(trained, capsys):
    config, run = trained
    assert main(["val", str(config), "--model_path", str(run), "-o", "model.width=8"]) == 4
    assert "hint: " in capsys.readouterr().err
    assert main(["val", str(config), "--model_path", str(run / "nothing.pdparams")]) == 4
