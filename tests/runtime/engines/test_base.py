import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.engines.registry import load
from tests.runtime.artefacts import artefact, rewritten


def zeros(*shape: int, dtype: type = np.float32) -> dict[str, np.ndarray]:
    return {"x": np.zeros(shape, dtype)}


@pytest.mark.parametrize(
    ("inputs", "seen"),
    [
        ({"y": np.zeros((1, 3, 16, 24), np.float32)}, r"inputs are \['y'\]"),
        (zeros(1, 3, 16, 24, dtype=np.float64), "is float64, expected float32"),
        (zeros(3, 16, 24), r"shape \[3, 16, 24\]"),
        (zeros(2, 3, 16, 24), "batch 1"),
        (zeros(1, 16, 24, 3), "NCHW"),
        (zeros(1, 3, 24, 16), "input is 24x16 .*takes 16x24 only"),
    ],
)
def test_wrong_inputs_are_refused_with_what_is_expected(tmp_path: Path, inputs: dict, seen: str) -> None:
    artefact(tmp_path)
    with pytest.raises(RuntimeEngineError, match=seen):
        load(tmp_path, "onnxruntime").run("main", inputs)


def test_a_size_that_must_be_padded_is_named(tmp_path: Path) -> None:
    artefact(tmp_path, dynamic=True, multiple=8)
    engine = load(tmp_path, "onnxruntime")
    assert engine.run("main", zeros(1, 3, 8, 40))["logits"].shape == (1, 3, 8, 40)
    with pytest.raises(RuntimeEngineError, match="sides must be multiples of 8") as caught:
        engine.run("main", zeros(1, 3, 9, 41))
    assert "16x48" in caught.value.remedy


def test_an_input_that_is_not_contiguous_is_run_as_it_reads(tmp_path: Path) -> None:
    artefact(tmp_path)
    pixels = np.random.default_rng(0).normal(size=(1, 16, 24, 3)).astype(np.float32).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(load(tmp_path, "onnxruntime").run("main", {"x": pixels})["logits"], pixels * 2)


@pytest.mark.parametrize(
    "change", [{"dtype": "int32"}, {"shape": (1, 3, 16, 23)}, {"shape": (1, 16, 24)}], ids=["dtype", "size", "rank"]
)
def test_an_output_unlike_the_manifest_is_an_error(tmp_path: Path, change: dict) -> None:
    manifest = artefact(tmp_path)
    rewritten(tmp_path, manifest, outputs=(replace(manifest.outputs_of()[0], **change),))
    with pytest.raises(RuntimeEngineError, match=r"output 'logits' is float32 \[1, 3, 16, 24\], the manifest says"):
        load(tmp_path, "onnxruntime").run("main", zeros(1, 3, 16, 24))


def test_names_are_compared_when_loading(tmp_path: Path) -> None:
    manifest = artefact(tmp_path)
    rewritten(tmp_path, manifest, outputs=(replace(manifest.outputs_of()[0], name="masks"),))
    with pytest.raises(RuntimeEngineError, match=r"outputs \['logits'\], the manifest says masks"):
        load(tmp_path, "onnxruntime")
    rewritten(tmp_path, manifest, image=replace(manifest.image, name="image"))
    with pytest.raises(RuntimeEngineError, match=r"inputs \['x'\], the manifest says image"):
        load(tmp_path, "onnxruntime")


def test_files_may_have_names_of_their_own(tmp_path: Path) -> None:
    manifest = artefact(tmp_path)
    files = replace(manifest.graphs["main"].files["onnx"], inputs={"image": "x"}, outputs={"scores": "logits"})
    rewritten(
        tmp_path,
        manifest,
        image=replace(manifest.image, name="image"),
        outputs=(replace(manifest.outputs_of()[0], name="scores"),),
        engines={"onnx": files},
    )
    outputs = load(tmp_path, "onnxruntime").run("main", {"image": np.ones((1, 3, 16, 24), np.float32)})
    np.testing.assert_array_equal(outputs["scores"], np.full((1, 3, 16, 24), 2.0))


def test_a_damaged_graph_file_is_not_opened(tmp_path: Path) -> None:
    artefact(tmp_path)
    with open(tmp_path / "model.onnx", "ab") as file:
        file.write(b"\0")
    with pytest.raises(RuntimeEngineError, match="sha256"):
        load(tmp_path, "onnxruntime")


def test_a_graph_that_is_not_loaded_is_named(tmp_path: Path) -> None:
    artefact(tmp_path)
    with pytest.raises(RuntimeEngineError, match=r"there is no graph 'left', 'colours' runs main"):
        load(tmp_path, "onnxruntime").run("left", zeros(1, 3, 16, 24))


def test_threads_wait_for_each_other_at_the_engine(tmp_path: Path) -> None:
    """Engines keep state in their session: two at a time would mix their inputs."""
    artefact(tmp_path)
    engine = load(tmp_path, "onnxruntime")
    inside, worst = [0], [0]
    honest = engine._run

    def watched(*arguments):
        inside[0] += 1
        worst[0] = max(worst[0], inside[0])
        time.sleep(0.002)
        answer = honest(*arguments)
        inside[0] -= 1
        return answer

    engine._run = watched
    images = [np.full((1, 3, 16, 24), value, np.float32) for value in range(16)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda image: engine.run("main", {"x": image})["logits"], images))
    assert worst == [1]
    for value, answer in enumerate(answers):
        np.testing.assert_array_equal(answer, 2.0 * value)
