"""Folders of format 1, written by the version before format 2, stay what they were."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from mobileseg.errors import RuntimeEngineError
from mobileseg.export.golden import load_reference
from mobileseg.export.tasks import task_of
from mobileseg.export.verify import replay
from mobileseg.runtime.manifest import Manifest, twin_problems
from mobileseg.runtime.manifest_format1 import upgraded
from mobileseg.runtime.segmenter import Segmenter

FROZEN = Path(__file__).parents[1] / "reference" / "artefacts"
FOLDERS = pytest.mark.parametrize("folder", ["format1_semantic", "format1_instance"])


@FOLDERS
def test_a_frozen_folder_is_read_and_verified(folder: str) -> None:
    assert yaml.safe_load((FROZEN / folder / "deploy.yaml").read_text())["mobileseg"]["format"] == 1
    rows, problems = replay(FROZEN / folder, ["onnxruntime", "lite"])
    assert problems == []
    assert {row.target: row.equal for row in rows} == {"onnx": 1.0, "lite_x86": 1.0}
    assert twin_problems(FROZEN / folder) == []


def test_results_are_those_that_were_stored() -> None:
    """Labels, and detections with their masks, of the images in golden.npz."""
    for folder in ("format1_semantic", "format1_instance"):
        manifest = Manifest.read(FROZEN / folder)
        reference = load_reference(FROZEN / folder / "golden.npz", task_of(FROZEN / folder, manifest).load_item)
        segmenter = Segmenter(FROZEN / folder, "onnxruntime")
        for item in reference.items:
            found = segmenter(item.image)
            if folder == "format1_semantic":
                assert (found.labels != item.labels).mean() < 1e-3
            else:
                assert len(found) == len(item.result)
                np.testing.assert_allclose(found.boxes, item.result.boxes, atol=0.1)


@FOLDERS
def test_written_again_it_is_a_folder_of_format_2_that_says_the_same(folder: str, tmp_path: Path) -> None:
    copy = tmp_path / folder
    shutil.copytree(FROZEN / folder, copy)
    manifest = Manifest.read(copy)
    manifest.write(copy)
    assert json.loads((copy / "deploy.json").read_text())["mobileseg"]["format"] == 2
    assert Manifest.read(copy) == manifest
    assert replay(copy, ["onnxruntime"])[1] == []


def test_components_become_graphs_and_a_pipeline() -> None:
    block = {
        "format": 1,
        "input": {"name": "x", "height": 8, "width": 8},
        "outputs": [{"name": "logits", "kind": "logits", "dtype": "float32", "shape": [1, 2, 8, 8]}],
        "graphs": {"main": {"paddle": {"model": "m", "params": "p"}}},
        "components": [
            {"name": "body", "model": "a", "params": "b", "shapes": "c", "inputs": ["x"], "outputs": ["features"]},
            {"name": "head", "model": "d", "params": "e", "shapes": "f", "inputs": ["features"], "outputs": ["logits"]},
        ],
    }
    found = upgraded(block)
    assert found["pipelines"] == {"main": ["main"], "components": ["body", "head"]}
    assert found["graphs"]["body"]["files"] == {"paddle": {"model": "a", "params": "b", "shapes": "c"}}
    assert found["graphs"]["head"]["outputs"][0]["kind"] == "logits"
    assert found["graphs"]["main"]["inputs"] == [{"name": "x", "dtype": "float32", "shape": [1, 3, 8, 8]}]


@pytest.mark.parametrize("components", [[{"name": "body"}], [5], {"a": 1}])
def test_damaged_components_are_refused(components: object, tmp_path: Path) -> None:
    shutil.copytree(FROZEN / "format1_semantic", tmp_path / "copy")
    path = tmp_path / "copy" / "deploy.yaml"
    document = yaml.safe_load(path.read_text())
    document["mobileseg"]["components"] = components
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(RuntimeEngineError, match="format 1 is damaged"):
        Manifest.read(tmp_path / "copy")
