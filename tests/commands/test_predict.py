import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from mobileseg.cli import main
from mobileseg.commands import predict
from mobileseg.data.io import read_label, write_png
from mobileseg.errors import ConfigError
from tests.runtime.artefacts import artefact
from tests.runtime.instance_artefacts import blocks, instance_artefact
from tests.runtime.stripes import stripes, truth

ROOT = Path(__file__).parents[2]


@pytest.fixture
def model(tmp_path: Path) -> str:
    artefact(tmp_path / "model", dynamic=True)
    return str(tmp_path / "model")


def test_images_are_segmented_and_the_code_is_zero(tmp_path: Path, model: str, capsys) -> None:
    write_png(tmp_path / "a.png", stripes())
    write_png(tmp_path / "b.png", stripes(40, 60))
    out = tmp_path / "out"
    code = main(["predict", "--model", model, "--output", str(out), str(tmp_path / "a.png"), str(tmp_path / "b.png")])
    assert code == 0
    np.testing.assert_array_equal(read_label(out / "labels/b.png"), truth(40, 60))
    said = capsys.readouterr().out
    assert "colours on onnxruntime, 3 classes: red, green, blue\n" in said
    assert "2 images and 0 frames" in said


def test_objects_above_a_score(tmp_path: Path, capsys) -> None:
    rows = np.array([[0, 0.9, 0, 0, 0.2, 0.2], [1, 0.2, 0.5, 0.5, 0.7, 0.7]])
    instance_artefact(tmp_path / "model", detections=rows)
    write_png(tmp_path / "a.png", blocks())
    common = ["predict", "--model", str(tmp_path / "model"), str(tmp_path / "a.png"), "--output", str(tmp_path / "out")]
    for flags, count in (([], 1), (["--min_score", "0.1"], 2), (["--min_score", "1"], 0)):
        assert main([*common, *flags]) == 0
        assert len(json.loads((tmp_path / "out/coco_results.json").read_text())) == count
    assert "nothing" in capsys.readouterr().out


def test_a_score_for_a_semantic_segmentation_model_is_refused(tmp_path: Path, model: str, capsys) -> None:
    write_png(tmp_path / "a.png", stripes())
    assert main(["predict", "--model", model, str(tmp_path / "a.png"), "--min_score", "0.5"]) == 2
    assert "is a semantic segmentation model" in capsys.readouterr().err


def test_flags_of_paddleseg_do_the_same(tmp_path: Path, model: str) -> None:
    write_png(tmp_path / "a.png", stripes())
    out = str(tmp_path / "out")
    assert main(["predict", "--model_path", model, "--image_path", str(tmp_path / "a.png"), "--save_dir", out]) == 0
    assert json.loads((tmp_path / "out/json/a.json").read_text())["engine"] == "onnxruntime"


def test_one_bad_image_in_a_folder_makes_the_code_not_zero(tmp_path: Path, model: str, capsys) -> None:
    (tmp_path / "in").mkdir()
    write_png(tmp_path / "in/good.png", stripes())
    (tmp_path / "in/bad.png").write_text("no image")
    code = main(["predict", "--model", model, "--output", str(tmp_path / "out"), "--quiet", str(tmp_path / "in")])
    assert code == 3
    assert (tmp_path / "out/labels/good.png").is_file()
    captured = capsys.readouterr()
    assert "bad.png" in captured.err
    assert "1 of the inputs could not be used" in captured.err
    assert "good.png" not in captured.out


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (["a.png"], "name one model"),
        (["--model", "{model}"], "there is nothing to segment"),
        (["--model", "{model}", "nothing.jpg"], "nothing.jpg does not exist"),
        (["--model", "{model}", "--alpha", "2", "a.png"], "--alpha is 2"),
        (["--model", "{model}", "--max_frames", "0", "a.png"], "--max_frames is 0"),
        (["--model", "{model}", "--engine", "magic", "a.png"], "no engine 'magic'"),
        (["--model", "nowhere", "a.png"], "nowhere does not exist"),
        (["--model", ".", "--engine", "ncnn", "a.png"], "not an exported model"),
        (["a.png", "--model", "{model}", "--scales", "2"], "no effect without --aug_pred"),
        (["--model", "{model}", "--engine", "onnxruntime", "--aug_pred", "a.png"], "need the network"),
    ],
)
def test_bad_usage_is_one_message(model: str, tmp_path: Path, capsys, arguments: list[str], seen: str) -> None:
    target = ["--output", str(tmp_path / "out")]
    code = main(["predict", *[word.format(model=model) for word in arguments], *target])
    assert code not in (0, 70)
    assert seen in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_exported_folder_is_predicted_where_paddle_is_not_installed(tmp_path: Path, model: str) -> None:
    write_png(tmp_path / "a.png", stripes())
    script = (
        "import sys\n"
        "for package in ('paddle', 'paddlelite', 'paddle2onnx', 'paddleslim'): sys.modules[package] = None\n"
        "from mobileseg.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = ["predict", "--model", model, "--output", str(tmp_path / "out"), str(tmp_path / "a.png")]
    done = subprocess.run([sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/overlay/a.jpg").is_file()


def test_the_network_of_a_run_is_predicted_like_an_exported_folder(tmp_path: Path, capsys) -> None:
    """A run folder, a weights file with its configuration, and a folder without a configuration."""
    import paddle  # noqa: F401

    from mobileseg.config.build import build_network
    from mobileseg.config.load import load_config
    from mobileseg.weights.pdparams import save_pdparams
    from tests.training.toy import draw, toy_section

    line = draw(tmp_path, "a", np.random.default_rng(0), (32, 24))
    (tmp_path / "val.txt").write_text(line)
    section = toy_section(tmp_path)
    section["train_dataset"]["train_path"] = section["val_dataset"]["val_path"]
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yml").write_text(yaml.safe_dump(section))
    network = build_network(load_config(run / "config.yml"), load_pretrained=False)
    save_pdparams(run / "model.pdparams", {name: value.numpy() for name, value in network.state_dict().items()})

    image, out = str(tmp_path / "a.jpg.png"), str(tmp_path / "out")
    assert main(["predict", "--model", str(run), "--output", out, image]) == 0
    first = read_label(tmp_path / "out/labels/a.jpg.png")
    assert first.shape == (24, 32)
    assert json.loads((tmp_path / "out/json/a.jpg.json").read_text())["engine"] == "network"
    flags = ["--config", str(run / "config.yml"), "--model_path", str(run / "model.pdparams"), "--image_path", image]
    assert main(["predict", *flags, "--save_dir", out, "--aug_pred", "--flip_horizontal"]) == 0
    (run / "config.yml").unlink()
    assert main(["predict", "--model", str(run), "--output", out, image]) == 2
    assert "neither an exported model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--precision", "fp16"], "are for TensorRT"),
        (["--calibration", "images"], "are for TensorRT"),
        (["--engine", "tensorrt", "--precision", "fp16", "head=int8"], "mixes one for all with components"),
    ],
)
def test_flags_of_tensorrt_that_cannot_be_used(tmp_path: Path, flags: list[str], message: str) -> None:
    artefact(tmp_path / "model")
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    with pytest.raises(ConfigError, match=message):
        predict.open_segmenter(parser.parse_args(["--model", str(tmp_path / "model"), *flags]))


def test_flags_of_tensorrt_reach_the_engine(tmp_path: Path) -> None:
    write_png(tmp_path / "one.png", np.zeros((4, 4, 3), np.uint8))
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    words = ["--precision", "backbone=int8", "head=fp16", "--calibration", str(tmp_path)]
    options = predict._engine_options(parser.parse_args(words))
    assert options == {
        "precision": {"backbone": "int8", "head": "fp16"},
        "calibration": [str(tmp_path / "one.png")],
    }
    assert predict._engine_options(parser.parse_args(["--precision", "int8"])) == {"precision": "int8"}


def test_long_lists_of_classes_are_cut() -> None:
    names = [f"c{index}" for index in range(80)]
    assert predict._named(names) == "80 classes: c0, c1, c2, c3, c4, c5, c6, c7, ..."
    assert predict._named(names[:8]) == "8 classes: c0, c1, c2, c3, c4, c5, c6, c7"
    assert predict._named(["person"]) == "1 class: person"


def test_a_folder_as_one_video(tmp_path: Path, model: str, capsys) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(3):
        write_png(folder / f"{index}.png", stripes(30, 40))
    words = ["predict", "--model", model, str(folder), "--output", str(tmp_path / "out")]
    assert main([*words, "--as_video", "--fps", "10"]) == 0
    assert f"{folder}: 3 frames" in capsys.readouterr().out
    lines = (tmp_path / "out/json/frames.jsonl").read_text().splitlines()
    assert [json.loads(line)["seconds"] for line in lines] == [0.0, 0.1, 0.2]
    assert (tmp_path / "out/overlay/frames.mp4").is_file()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["a.png", "--as_video"], "no folder is named"),
        ([".", "--fps", "10"], "--fps has no effect without --as_video"),
        ([".", "--as_video", "--fps", "0"], "--fps is 0, expected 0.1 to 1000"),
        ([".", "--as_video", "--fps", "nan"], "--fps is nan"),
    ],
)
def test_frame_rates_and_folders_that_make_no_video(
    tmp_path: Path, model: str, capsys, monkeypatch: pytest.MonkeyPatch, flags: list[str], message: str
) -> None:
    write_png(tmp_path / "a.png", stripes())
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "--model", model, *flags]) == ConfigError.exit_code
    assert message in capsys.readouterr().err
