import json
from pathlib import Path

import numpy as np
import pytest

from mobileseg.cli import main
from mobileseg.data.io import read_label, write_png
from tests.runtime.artefacts import artefact
from tests.runtime.test_segmenter import stripes, truth


@pytest.fixture
def model(tmp_path: Path) -> str:
    artefact(tmp_path / "model", dynamic=True)
    return str(tmp_path / "model")


def test_pictures_are_segmented_and_the_code_is_zero(tmp_path: Path, model: str, capsys) -> None:
    write_png(tmp_path / "a.png", stripes())
    write_png(tmp_path / "b.png", stripes(40, 60))
    out = tmp_path / "out"
    code = main(["predict", "--model", model, "--output", str(out), str(tmp_path / "a.png"), str(tmp_path / "b.png")])
    assert code == 0
    np.testing.assert_array_equal(read_label(out / "labels/b.png"), truth(40, 60))
    said = capsys.readouterr().out
    assert "colours on onnxruntime, 3 classes" in said
    assert "2 pictures and 0 frames" in said


def test_flags_of_paddleseg_do_the_same(tmp_path: Path, model: str) -> None:
    write_png(tmp_path / "a.png", stripes())
    out = str(tmp_path / "out")
    assert main(["predict", "--model_path", model, "--image_path", str(tmp_path / "a.png"), "--save_dir", out]) == 0
    assert json.loads((tmp_path / "out/json/a.json").read_text())["engine"] == "onnxruntime"


def test_one_bad_picture_in_a_folder_makes_the_code_not_zero(tmp_path: Path, model: str, capsys) -> None:
    (tmp_path / "in").mkdir()
    write_png(tmp_path / "in/good.png", stripes())
    (tmp_path / "in/bad.png").write_text("no picture")
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
        (["--model", ".", "--engine", "ncnn", "a.png"], "not an exported folder"),
    ],
)
def test_bad_usage_is_one_message(model: str, tmp_path: Path, capsys, arguments: list[str], seen: str) -> None:
    target = ["--output", str(tmp_path / "out")]
    code = main(["predict", *[word.format(model=model) for word in arguments], *target])
    assert code not in (0, 70)
    assert seen in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
