"""Folders that PaddleSeg's export wrote, made here as PaddleSeg makes them."""

import numpy as np
import paddle
import pytest
import yaml
from paddle import nn

from mobileseg.cli import main
from mobileseg.data.io import write_png
from mobileseg.errors import RuntimeEngineError
from mobileseg.pixels import resize_bilinear
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.segmenter import Segmenter

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
RESIZE = {"type": "Resize", "target_size": [48, 32]}
NORMALIZE = {"type": "Normalize", "mean": MEAN, "std": STD}
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)


class Network(nn.Layer):
    def __init__(self, operator="argmax"):
        super().__init__()
        self.conv = nn.Conv2D(3, 5, 3, padding=1)
        self.operator = operator

    def forward(self, x):
        logits = self.conv(x)
        if self.operator == "argmax":
            return paddle.argmax(logits, axis=1, dtype="int32")
        return nn.functional.softmax(logits, axis=1) if self.operator == "softmax" else logits


def export(folder, operator="argmax", shape=(None, 3, None, None), transforms=(NORMALIZE,), **block):
    paddle.seed(3)
    network = Network(operator)
    network.eval()
    spec = paddle.static.InputSpec(list(shape), "float32")
    paddle.jit.save(paddle.jit.to_static(network, input_spec=[spec]), str(folder / "model"))
    deploy = {
        "model": "model.pdmodel",
        "params": "model.pdiparams",
        "transforms": transforms if isinstance(transforms, int) else list(transforms),
        "input_shape": [-1 if side is None else side for side in shape],
        "output_op": operator,
        "output_dtype": "int32" if operator == "argmax" else "float32",
    }
    (folder / "deploy.yaml").write_text(yaml.safe_dump({"Deploy": deploy | block}))
    return network


def expected(network, size):
    """Labels of the network itself, at its own size."""
    image = resize_bilinear(IMAGE, size) if size != IMAGE.shape[:2] else IMAGE.astype(np.float32)
    fed = ((image / 255.0 - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
    return network.conv(paddle.to_tensor(fed)).numpy()[0].argmax(0)


@pytest.mark.parametrize("operator", ["argmax", "softmax", "none"])
def test_any_size_gives_the_networks_labels(tmp_path, operator):
    network = export(tmp_path, operator)
    segmenter = Segmenter(tmp_path, engine="paddle")
    assert segmenter.classes == tuple(f"class {index}" for index in range(5))
    found = segmenter(IMAGE).labels
    assert found.shape == IMAGE.shape[:2]
    assert (found == expected(network, IMAGE.shape[:2])).mean() > 0.999


def test_a_resize_is_repeated_and_labels_come_back_to_the_image(tmp_path):
    network = export(tmp_path, shape=(1, 3, 32, 48), transforms=[RESIZE, NORMALIZE])
    found = Segmenter(tmp_path, engine="auto")(IMAGE).labels
    rows = (2 * np.arange(40) + 1) * 32 // 80
    columns = (2 * np.arange(56) + 1) * 48 // 112
    assert (found == expected(network, (32, 48))[rows][:, columns]).mean() > 0.999


def test_older_folders_say_only_the_type_of_the_output(tmp_path):
    export(tmp_path)
    path = tmp_path / "deploy.yaml"
    block = yaml.safe_load(path.read_text())
    del block["Deploy"]["output_op"], block["Deploy"]["input_shape"]
    path.write_text(yaml.safe_dump(block))
    assert Manifest.read(tmp_path).outputs_of()[0].kind == "labels"


def test_predict_and_doctor_model(tmp_path, capsys):
    folder = tmp_path / "exported"
    folder.mkdir()
    export(folder)
    write_png(tmp_path / "image.png", IMAGE[..., 0])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    words = ["predict", "--model", str(folder), str(tmp_path / "image.png"), "--output", str(tmp_path / "out")]
    assert main([*words, "--paddleseg_folders"]) == 0
    assert (tmp_path / "out" / "added_prediction" / "image.jpg").is_file()
    assert (tmp_path / "out" / "pseudo_color_prediction" / "image.png").is_file()
    assert main(["doctor", "model", str(folder)]) != 0
    assert "golden" in "".join(capsys.readouterr())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"model": "inference.json"}, "the JSON form of Paddle 3"),
        ({"model": "other.pdmodel"}, "has no file 'other.pdmodel'"),
        ({"model": "../model.pdmodel"}, "has no file"),
        ({"output_op": "sigmoid"}, "output_op is 'sigmoid'"),
        ({"transforms": [{"type": "ResizeByLong", "long_size": 5}]}, "the step ResizeByLong"),
        ({"transforms": [RESIZE | {"keep_ratio": True}]}, "the step Resize"),
        ({"transforms": [NORMALIZE, RESIZE]}, "the step Resize"),
        ({"transforms": 5}, "cannot be used"),
        ({"transforms": [{"type": "Normalize", "std": [0.0]}]}, "std has a value that is not positive"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, block, part):
    export(tmp_path, **block)
    with pytest.raises(RuntimeEngineError) as caught:
        Manifest.read(tmp_path)
    assert part in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x0a", b"\x0a\xff\xff\xff\xff\x0f", b"not a graph at all", bytes(100)])
def test_a_graph_that_is_none(tmp_path, content):
    export(tmp_path)
    (tmp_path / "model.pdmodel").write_bytes(content)
    with pytest.raises(RuntimeEngineError, match=r"no graph of Paddle 2|expected one image"):
        Manifest.read(tmp_path)
