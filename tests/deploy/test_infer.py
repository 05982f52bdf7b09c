"""deploy/python/infer.py from its flags to its files."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.io import read_label, write_png
from mobileseg.errors import ConfigError, DataError
from mobileseg.runtime.engines.registry import available
from tests.runtime.artefacts import artefact
from tests.runtime.instance_artefacts import blocks, instance_artefact
from tests.runtime.stripes import stripes, truth

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy/python/infer.py"

_spec = importlib.util.spec_from_file_location("infer", SCRIPT)
infer = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(infer)


def flags(folder: Path, images: Path, *more: str) -> list[str]:
    return ["--config", str(folder), "--image_path", str(images), "--save_dir", str(images.parent / "out"), *more]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    write_png(folder / "one.png", stripes(60, 90))
    write_png(folder / "sub/two.png", stripes(16, 24))
    return folder


def test_masks_of_a_folder_of_images(tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    artefact(tmp_path / "model", output="labels")
    config = tmp_path / "model/deploy.yaml"
    more = [
        "--engine",
        "onnxruntime",
        "--batch_size",
        "2",
        "--benchmark",
        "True",
        "--warmup",
        "1",
        "--model_name",
        "net",
    ]
    assert infer.main(flags(config, images, *more)) == 0
    np.testing.assert_array_equal(read_label(tmp_path / "out/sub/two.png"), truth(16, 24))
    assert read_label(tmp_path / "out/one.png").shape == (60, 90)
    said = capsys.readouterr().out
    assert "model_name: net" in said
    assert "data_shape: 1x3x16x24" in said
    assert "warmup: 1, images: 2" in said
    for stage in ("decode", "preprocess", "inference", "postprocess"):
        assert f"{stage}_time(ms): " in said


def test_objects_get_their_numbers_and_json(tmp_path: Path) -> None:
    instance_artefact(tmp_path / "model")
    (tmp_path / "images").mkdir()
    write_png(tmp_path / "images/one.png", blocks((1, 1, 0), (2, 4, 2)))
    assert infer.main(flags(tmp_path / "model", tmp_path / "images", "--engine", "onnxruntime")) == 0
    assert set(np.unique(read_label(tmp_path / "out/one.png"))) == {0, 1, 2}
    facts = json.loads((tmp_path / "out/one.json").read_text())
    assert len(facts["results"]) == 2
    assert facts["source"].endswith("one.png")


def test_paddle_is_the_engine_of_the_script(tmp_path: Path, images: Path) -> None:
    if any(available().values()):
        pytest.skip("the folder is made with all engines")
    made = subprocess.run(
        [sys.executable, "-m", "tests.runtime.paddle_artefacts", str(tmp_path / "model")],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr.decode()
    command = [sys.executable, str(SCRIPT), *flags(tmp_path / "model", images, "--enable_mkldnn", "False")]
    done = subprocess.run([*command, "--benchmark", "true"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "engine: paddle, device: cpu, precision: fp32" in done.stdout
    script = "import infer, sys; infer.tuned(infer.arguments(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", script, *flags(tmp_path / "model", images)],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(SCRIPT.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert 'name: "x"' in (tmp_path / "auto_tune_tmp.pbtxt").read_text()
    np.testing.assert_array_equal(read_label(tmp_path / "out/sub/two.png"), truth(16, 24))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--use_trt", "True"], "--use_trt True is for TensorRT"),
        (["--precision", "fp16"], "--precision fp16 is for TensorRT"),
        (["--enable_auto_tune", "True"], "--enable_auto_tune True is for TensorRT"),
        (["--component_precision", "head=fp16"], "--component_precision is for TensorRT"),
        (["--calibration_path", "x"], "--calibration_path is for TensorRT"),
        (["--auto_tuned_shape_file", "x"], "--auto_tuned_shape_file is for TensorRT"),
        (["--print_detail", "True", "--engine", "ncnn"], "the engine is 'ncnn'"),
        (["--cache_dir", "x"], "--cache_dir is for TensorRT"),
        (["--device", "gpu", "--engine", "ncnn"], "'ncnn' runs on the CPU"),
        (["--batch_size", "0"], "--batch_size is 0"),
        (["--warmup", "-1"], "--warmup is -1"),
    ],
)
def test_flags_that_contradict_each_other(tmp_path: Path, more: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        infer.check(infer.arguments(flags(tmp_path, tmp_path, *more)))


def test_flags_of_tensorrt_reach_the_engine(tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer, "tuned", lambda args: Path(args.auto_tuned_shape_file))
    more = ["--device", "gpu", "--use_trt", "True", "--precision", "int8", "--calibration_path", str(images)]
    more += ["--enable_auto_tune", "True", "--auto_tuned_shape_file", "s.pbtxt", "--min_subgraph_size", "7"]
    name, options = infer.engine_of(infer.arguments(flags(tmp_path, images, *more, "--cache_dir", "kept")))
    assert name == "tensorrt"
    assert options == {
        "precision": "int8",
        "min_subgraph_size": 7,
        "calibration": [str(images / "one.png"), str(images / "sub/two.png")],
        "cache": "kept",
        "shape_file": Path("s.pbtxt"),
        "print_details": False,
    }


def test_components_take_the_common_precision_where_none_is_named(tmp_path: Path) -> None:
    from tests.runtime.engines.tensorrt_standin import folder_with

    folder_with(tmp_path)
    more = ["--precision", "fp16", "--component_precision", "head=fp32"]
    assert infer.precisions(infer.arguments(flags(tmp_path, tmp_path, *more))) == {"backbone": "fp16", "head": "fp32"}
    with pytest.raises(ConfigError, match="head is not NAME=PRECISION"):
        infer.precisions(infer.arguments(flags(tmp_path, tmp_path, "--component_precision", "head")))


def test_an_error_is_one_message_and_an_exit_code(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artefact(tmp_path / "model", output="labels")
    code = infer.main(flags(tmp_path / "model", images, "--engine", "onnxruntime", "--with_argmax"))
    assert code == ConfigError.exit_code
    assert "this one returns labels" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/clip.mp4").write_text("a video")
    assert infer.main(flags(tmp_path / "model", tmp_path / "empty", "--engine", "onnxruntime")) == DataError.exit_code
    assert infer.main(flags(tmp_path / "model", images, "--model_name", "")) == ConfigError.exit_code
    assert "an argument is empty" in capsys.readouterr().err
    (tmp_path / "out").write_text("a file")
    assert infer.main(flags(tmp_path / "model", images, "--engine", "onnxruntime")) == 74
    assert "out" in capsys.readouterr().err


@pytest.mark.parametrize(("where", "save_dir"), [("", ""), ("one.png", ""), ("..", "..")])
def test_no_image_is_replaced_by_its_mask(
    tmp_path: Path, images: Path, where: str, save_dir: str, capsys: pytest.CaptureFixture[str]
) -> None:
    artefact(tmp_path / "model", output="labels")
    before = (images / "one.png").read_bytes()
    words = ["--config", str(tmp_path / "model"), "--image_path", str(images / where), "--engine", "onnxruntime"]
    assert infer.main([*words, "--save_dir", str(images / save_dir)]) == ConfigError.exit_code
    assert "--save_dir" in capsys.readouterr().err or where != "one.png"
    assert (images / "one.png").read_bytes() == before


def test_with_argmax_takes_a_graph_that_ends_at_scores(tmp_path: Path, images: Path) -> None:
    artefact(tmp_path / "model", output="logits")
    assert infer.main(flags(tmp_path / "model", images, "--engine", "onnxruntime", "--with_argmax")) == 0
    np.testing.assert_array_equal(read_label(tmp_path / "out/sub/two.png"), truth(16, 24))


def test_flags_of_paddleseg_are_all_there() -> None:
    """The flags of deploy/python/infer.py of PaddleSeg 2.8."""
    theirs = (
        "config image_path batch_size save_dir device use_trt precision min_subgraph_size enable_auto_tune "
        "auto_tuned_shape_file cpu_threads enable_mkldnn benchmark model_name with_argmax print_detail"
    )
    args = vars(infer.arguments(["--config", "x", "--image_path", "y"]))
    assert set(theirs.split()) <= set(args)
    with pytest.raises(SystemExit):
        infer.arguments(["--config", "x", "--image_path", "y", "--use_trt", "maybe"])


def test_a_bad_image_does_not_end_the_others(tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    artefact(tmp_path / "model", output="labels")
    (images / "bad.png").write_bytes(b"no image")
    code = infer.main(flags(tmp_path / "model", images, "--engine", "onnxruntime", "--benchmark", "True"))
    assert code == DataError.exit_code
    printed = capsys.readouterr()
    assert "bad.png" in printed.err
    assert "2 images, results in" in printed.out
    assert "1 could not be used" in printed.out
    assert (tmp_path / "out/one.png").is_file()
    assert (tmp_path / "out/sub/two.png").is_file()
    assert not (tmp_path / "out/bad.png").exists()
