import numpy as np
import pytest
import yaml

from mobileseg.data.io import write_png
from mobileseg.export.manifest import image_spec
from tests.export.conftest import MEAN, SIZE, STD, options


def test_deploy_block_has_what_paddleseg_s_script_reads(exported):
    block = yaml.safe_load((exported.folder / "deploy.yaml").read_text())["Deploy"]
    assert block == {
        "model": "model.pdmodel",
        "params": "model.pdiparams",
        "transforms": [
            {"type": "Resize", "target_size": [SIZE[1], SIZE[0]]},
            {"type": "Normalize", "mean": list(MEAN), "std": list(STD)},
        ],
        "input_shape": [1, 3, *SIZE],
        "output_op": "argmax",
        "output_dtype": "int32",
    }
    assert (exported.folder / block["model"]).is_file()
    assert (exported.folder / block["params"]).is_file()


def test_paddleseg_s_own_reader_makes_the_same_input(exported, tmp_path):
    """PaddleSeg's DeployConfig reads the file and builds its transforms: their result is the graph's input."""
    infer = pytest.importorskip("paddleseg.deploy.infer", reason="paddleseg is not installed")
    config = infer.DeployConfig(str(exported.folder / "deploy.yaml"))
    assert config.model == str(exported.folder / "model.pdmodel")
    assert config.params == str(exported.folder / "model.pdiparams")
    with np.load(exported.folder / "golden.npz") as golden:
        image, expected = golden["image.0"], golden["input.0"]
    write_png(tmp_path / "image.png", image)
    made = config.transforms({"img": str(tmp_path / "image.png")})["img"]
    np.testing.assert_allclose(made[None], expected, atol=1e-5)


def test_dynamic_input():
    dynamic = options(dynamic=True, output_op="none")
    assert image_spec(dynamic, 32).multiple == 32
    assert image_spec(options(), 32).multiple == 1


def test_ncnn_entry_names_its_blobs_and_its_own_output(exported):
    entry = exported.manifest.graph_files("main", "ncnn")
    assert entry.inputs == {"x": "in0"}
    assert entry.outputs == {"logits": "out0"}
    assert entry.output_specs[0].kind == "logits"


def test_versions_and_notes(exported):
    assert {"mobileseg", "paddlepaddle", "paddle2onnx", "paddlelite"} <= set(exported.manifest.versions)
    assert "4 images from the given images, at 48x64" in exported.manifest.notes["verification"]
