"""The engine as far as it goes without a GPU: what Paddle is told, what is kept, what is refused."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import DependencyError, RuntimeEngineError
from mobileseg.runtime.engines import registry, tensorrt
from mobileseg.runtime.engines.predictors import Part
from mobileseg.runtime.engines.tensorrt import Plan, configure
from mobileseg.runtime.engines.tensorrt_options import TensorRTOptions
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.runtime.streams import TensorStream
from mobileseg.runtime.task import StepPlan
from tests.runtime.artefacts import artefact
from tests.runtime.engines.tensorrt_standin import Inference, folder_with, paddle

IMAGES = [np.full((16, 24, 3), value, np.uint8) for value in (10, 200)]


@pytest.fixture
def inference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Inference:
    """A machine with a GPU and its Paddle."""
    made = Inference()
    monkeypatch.setitem(sys.modules, "paddle", paddle())
    monkeypatch.setattr(tensorrt, "import_inference", lambda: made)
    monkeypatch.setattr(registry, "_no_gpu_build", lambda: "")
    monkeypatch.setenv("MOBILESEG_CACHE", str(tmp_path / "cache"))
    return made


def open_on(folder: Path, **options) -> Segmenter:
    return Segmenter(folder, engine="tensorrt", **options)


def test_an_engine_answers_and_its_configuration_is_complete(tmp_path: Path, inference: Inference) -> None:
    folder_with(tmp_path / "model")
    segmenter = open_on(tmp_path / "model", precision="fp16", workspace_mb=256, min_subgraph_size=5, device=0)
    (config,) = inference.configs
    assert config.calls["enable_use_gpu"] == (100, 0)
    assert config.engine == {
        "workspace_size": 256 << 20,
        "max_batch_size": 1,
        "min_subgraph_size": 5,
        "precision_mode": "Half",
        "use_static": True,
        "use_calib_mode": False,
    }
    shapes, rebuild = config.calls["enable_tuned_tensorrt_dynamic_shape"]
    assert rebuild is True
    assert Path(shapes).read_text() == "shapes of model"
    assert Path(shapes).parent == config.cache, "Paddle writes into the file, so it gets a copy"
    assert "exp_disable_tensorrt_ops" not in config.calls
    assert len(inference.runs) == 3, "warm-up"
    image = np.zeros((1, 3, 16, 24), np.float32)
    np.testing.assert_array_equal(segmenter.engine.run("main", {"x": image})["logits"], image + 3)
    assert segmenter.engine_name == "tensorrt"


@pytest.mark.parametrize(("precision", "kind"), [("fp32", "Float32"), ("fp16", "Half")])
def test_precisions_by_their_names_in_paddle(tmp_path: Path, inference: Inference, precision: str, kind: str) -> None:
    folder_with(tmp_path / "model")
    open_on(tmp_path / "model", precision=precision, warmup=0)
    assert inference.configs[0].engine["precision_mode"] == kind
    assert inference.runs == []


def test_operators_can_stay_in_paddle_and_its_log_be_shown(tmp_path: Path, inference: Inference) -> None:
    folder_with(tmp_path / "model")
    open_on(tmp_path / "model", keep_in_paddle=["arg_max", "conv2d_3.tmp_0"], print_details=True)
    (config,) = inference.configs
    assert config.calls["exp_disable_tensorrt_ops"] == (["arg_max", "conv2d_3.tmp_0"],)
    assert "disable_glog_info" not in config.calls


def test_every_component_has_its_own_precision(tmp_path: Path, inference: Inference) -> None:
    folder_with(tmp_path / "model")
    table = {"backbone": "int8", "head": "fp16"}
    segmenter = open_on(tmp_path / "model", precision=table, calibration=IMAGES, warmup=0)
    calibrating, running = inference.configs[:2], inference.configs[2:]
    for configs in (calibrating, running):
        assert [Path(config.model).name for config in configs] == [
            "component.backbone.pdmodel",
            "component.head.pdmodel",
        ]
        assert [config.engine["precision_mode"] for config in configs] == ["Int8", "Half"]
        assert [config.engine["use_calib_mode"] for config in configs] == [True, False]
    assert running[0].cache != running[1].cache
    image = np.ones((1, 3, 16, 24), np.float32)
    np.testing.assert_array_equal(TensorStream(segmenter.engine).step(StepPlan("main"), image)["logits"], image + 3)


def test_components_that_are_not_named_run_in_fp32(tmp_path: Path, inference: Inference) -> None:
    folder_with(tmp_path / "model")
    open_on(tmp_path / "model", precision={"backbone": "fp16"})
    assert [config.engine["precision_mode"] for config in inference.configs] == ["Half", "Float32"]
    with pytest.raises(RuntimeEngineError, match="no component neck") as caught:
        open_on(tmp_path / "model", precision={"neck": "fp16"})
    assert "backbone, head" in caught.value.remedy


def test_a_folder_without_components_cannot_have_a_table(tmp_path: Path, inference: Inference) -> None:
    made = folder_with(tmp_path / "model")
    whole = {"main": made.graphs["main"]}
    replace(made, graphs=whole, pipelines={"main": ("main",)}).write(tmp_path / "model")
    with pytest.raises(RuntimeEngineError, match="has no component graphs"):
        open_on(tmp_path / "model", precision={"backbone": "fp16"})


def test_calibration_runs_once_per_set_of_images(tmp_path: Path, inference: Inference) -> None:
    folder_with(tmp_path / "model")
    first = open_on(tmp_path / "model", precision="int8", calibration=IMAGES, warmup=0)
    assert inference.runs == ["model.pdmodel"] * 2, "one run per image"
    assert [config.engine["use_calib_mode"] for config in inference.configs] == [True, True]
    assert "enable_tuned_tensorrt_dynamic_shape" not in inference.configs[0].calls, "int8 engines have a fixed shape"
    assert sorted(path.name for path in inference.configs[0].cache.iterdir()) == ["calibrated.json", "trt_calib_1"]
    del first
    open_on(tmp_path / "model", precision="int8", calibration=IMAGES, warmup=0)
    assert len(inference.runs) == 2, "the table of the first time is there"
    open_on(tmp_path / "model", precision="int8", calibration=IMAGES[:1], warmup=0)
    assert len(inference.runs) == 3


def test_a_calibration_that_leaves_no_table_is_an_error(
    tmp_path: Path, inference: Inference, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_with(tmp_path / "model")
    monkeypatch.setattr("tests.runtime.engines.tensorrt_standin.Predictor.calibrates", lambda self: False)
    with pytest.raises(RuntimeEngineError, match="gave no table"):
        open_on(tmp_path / "model", precision="int8", calibration=IMAGES)


def test_int8_needs_value_ranges_from_somewhere(tmp_path: Path, inference: Inference) -> None:
    folder_with(tmp_path / "float")
    with pytest.raises(RuntimeEngineError, match="'colours' was not quantised") as caught:
        open_on(tmp_path / "float", precision="int8")
    assert "calibration=" in caught.value.remedy
    with pytest.raises(RuntimeEngineError, match="head was not quantised"):
        open_on(tmp_path / "float", precision={"head": "int8"})
    folder_with(tmp_path / "quantised", more="quantize_linear")
    open_on(tmp_path / "quantised", precision="int8")
    assert inference.configs[-1].engine["use_calib_mode"] is False


def test_int8_needs_a_fixed_size(tmp_path: Path, inference: Inference) -> None:
    folder_with(tmp_path / "model", dynamic=True)
    with pytest.raises(RuntimeEngineError, match="fixed size"):
        open_on(tmp_path / "model", precision="int8", calibration=IMAGES)


def test_shapes_are_collected_once_where_the_folder_has_none(
    tmp_path: Path, inference: Inference, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected = []

    def collect(part: Part, inputs, target: Path) -> list:
        collected.append([{name: value.shape for name, value in run.items()} for run in inputs])
        target.write_text("collected")
        return []

    monkeypatch.setattr(tensorrt, "collect_shapes", collect)
    folder_with(tmp_path / "model", shapes=False)
    for _ in range(2):
        open_on(tmp_path / "model")
    assert collected == [[{"x": (1, 3, 16, 24)}]]
    assert Path(inference.configs[0].calls["enable_tuned_tensorrt_dynamic_shape"][0]).read_text() == "collected"


def test_the_users_shape_file_comes_first(tmp_path: Path, inference: Inference) -> None:
    folder_with(tmp_path / "model")
    (tmp_path / "tuned.pbtxt").write_text("tuned")
    open_on(tmp_path / "model", shape_file=tmp_path / "tuned.pbtxt")
    assert Path(inference.configs[0].calls["enable_tuned_tensorrt_dynamic_shape"][0]).read_text() == "tuned"
    with pytest.raises(RuntimeEngineError, match=r"nothing\.pbtxt does not exist"):
        open_on(tmp_path / "model", shape_file=tmp_path / "nothing.pbtxt")


def test_the_folder_is_never_written(tmp_path: Path, inference: Inference) -> None:
    folder_with(tmp_path / "model")
    before = sorted(path.name for path in (tmp_path / "model").iterdir())
    open_on(tmp_path / "model", precision="int8", calibration=IMAGES)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == before
    open_on(tmp_path / "model", cache=tmp_path / "elsewhere")
    assert inference.configs[-1].cache.parent == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    ("world", "compiled", "found", "reason"),
    [
        ({"cuda": False}, (8, 5, 3), (8, 5, 3), "is a build for CPUs"),
        ({}, (0, 0, 0), (0, 0, 0), "was built without TensorRT"),
        ({}, (8, 5, 3), (0, 0, 0), "libnvinfer"),
        ({"gpus": 0}, (8, 5, 3), (8, 5, 3), "finds no NVIDIA GPU"),
    ],
)
def test_what_is_missing_is_said_with_the_engines_that_work(
    tmp_path: Path, inference: Inference, monkeypatch: pytest.MonkeyPatch, world, compiled, found, reason
) -> None:
    folder_with(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "paddle", paddle(**world))
    inference.compiled, inference.found = compiled, found
    with pytest.raises(DependencyError, match=reason) as caught:
        open_on(tmp_path / "model")
    assert "onnxruntime" in caught.value.remedy
    assert "\n" not in caught.value.message


def test_a_build_for_cpus_is_named_without_loading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_with(tmp_path / "model")

    def version(name: str) -> str:
        if name == "paddlepaddle-gpu":
            raise registry.PackageNotFoundError
        return "2.6.2"

    monkeypatch.setattr(registry, "version", version)
    monkeypatch.setattr(registry, "find_spec", lambda package: object())
    with pytest.raises(DependencyError, match=r"paddlepaddle 2\.6\.2 is installed") as caught:
        open_on(tmp_path / "model")
    assert "onnxruntime" in caught.value.remedy


def test_a_gpu_that_is_not_there(tmp_path: Path, inference: Inference) -> None:
    folder_with(tmp_path / "model")
    with pytest.raises(RuntimeEngineError, match="no GPU 3"):
        open_on(tmp_path / "model", device=3)


def test_other_engines_refuse_its_options(tmp_path: Path) -> None:
    artefact(tmp_path)
    with pytest.raises(RuntimeEngineError, match="'onnxruntime' has no option precision"):
        Segmenter(tmp_path, engine="onnxruntime", precision="fp16")


def test_paddle_has_what_the_stand_in_was_told(tmp_path: Path) -> None:
    """Method names, names of arguments and precisions, against the installed Paddle."""
    inference = pytest.importorskip("paddle.inference")
    part = Part("graph", tmp_path / "m", tmp_path / "p", tmp_path / "s", ("x",), ("y",))
    config = configure(Inference(), Plan(part, "fp32", False, tmp_path), TensorRTOptions(keep_in_paddle=["arg_max"]))
    assert len(config.calls) == 7
    for name, arguments in config.calls.items():
        signature = getattr(inference.Config, name).__doc__
        if isinstance(arguments, dict):
            assert set(arguments) <= set(re.findall(r"(\w+): ", signature)), signature
        else:
            assert len(arguments) <= signature.splitlines()[0].count(": ") - 1 or "=" in signature, signature
    for kind in ("Float32", "Half", "Int8"):
        assert hasattr(inference.PrecisionType, kind)
