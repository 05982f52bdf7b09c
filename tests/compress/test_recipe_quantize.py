import json
from dataclasses import replace
from types import SimpleNamespace

import onnx
import pytest

from mobileseg.cli import main
from mobileseg.compress import recipe_quantize
from mobileseg.compress.gate import read_gate
from mobileseg.compress.recipe_quantize import QuantizeRecipe
from mobileseg.compress.steps import save_network
from mobileseg.config.build import build_network
from mobileseg.data.io import read_image
from mobileseg.data.items import Item
from mobileseg.errors import CompressionError
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.training.weights import load_checkpoint_weights
from tests.compress.parts import config_of

PLAN = {
    "stem.conv.weight": [4, 3, 3, 3],
    **{f"stem.norm.{name}": [4] for name in ("weight", "bias", "_mean", "_variance")},
    "stem.depthwise.weight": [4, 1, 3, 3],
    "stem.depthwise.bias": [4],
    "head.weight": [3, 4, 3, 3],
    "aux.weight": [3, 4, 1, 1],
}


class ListOfImages:
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)


@pytest.fixture(scope="module")
def pruned(parts_run, tmp_path_factory):
    """The trained network with half of its channels, as pruning leaves it."""
    place = tmp_path_factory.mktemp("pruned") / "pruned"
    config = config_of(parts_run)
    whole = build_network(config, load_pretrained=False)
    load_checkpoint_weights(parts_run, whole)
    network = build_network(config, PLAN, load_pretrained=False)
    state = whole.state_dict()
    for name, tensor in network.state_dict().items():
        kept = tuple(slice(0, side) for side in tensor.shape)
        tensor.set_value(state[name].numpy()[kept])
    save_network(place, network, config, PLAN)
    return place


@pytest.fixture(scope="module")
def quantised(pruned, tmp_path_factory):
    """What the command makes of it, and what it prints."""
    folder = tmp_path_factory.mktemp("quantised") / "out"
    words = ["compress", "quantize", "--model", str(pruned), "--save_dir", str(folder), "--skip", "head"]
    assert main([*words, "-o", "export.targets=[paddle,onnx,lite_arm]", "compress.max_drop=0.5"]) == 0
    return folder


def test_images_that_calibrated_or_chose_do_not_judge(tmp_path):
    """As the CamVid network scored better in int8 than in float32, on the images that had chosen its ranges."""
    paths = [tmp_path / f"{number}.png" for number in range(10)]
    dataset = ListOfImages([Item(path, None) for path in paths])
    said = []
    recipe = SimpleNamespace(_dataset=dataset, say=said.append)
    recipe.settings = SimpleNamespace(analysis_images=2, score_images=None)
    recipe._analysis_images = lambda: QuantizeRecipe._analysis_images(recipe)
    assert recipe._analysis_images().indices == [0, 5]
    assert QuantizeRecipe._held_out(recipe, {paths[1], paths[9]}).indices == [2, 3, 4, 6, 7, 8]
    recipe.settings.score_images = 3
    assert QuantizeRecipe._held_out(recipe, set()).indices == [1, 3, 7]
    assert not said
    recipe.settings.analysis_images = 16
    assert QuantizeRecipe._held_out(recipe, set()).indices == [0, 3, 6]
    assert "no validation image is left" in said[0]


def test_a_pruned_network_becomes_an_int8_folder(quantised, toy_data):
    manifest = Manifest.read(quantised / "int8")
    assert {name: files.precision for name, files in manifest.graphs["main"].files.items()} == {
        "paddle": "int8",
        "onnx": "int8",
        "lite_arm": "int8",
    }
    assert manifest.least_equal == 0.8
    assert manifest.notes["float_layers"] == "head"
    status = {row.engine: row.status for row in manifest.verification}
    assert status == {"paddle": "ok", "onnx": "ok", "lite_arm": "converted-not-run"}
    graph = onnx.load(str(quantised / "int8" / "model.onnx")).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    assert sorted(list(tensor.dims) for name, tensor in weights.items() if name.endswith(".int8")) == [
        [4, 1, 3, 3],
        [4, 3, 3, 3],
    ]
    image = read_image(toy_data / "val0.jpg.png")
    labels = [Segmenter(quantised / "int8", engine=engine)(image).labels for engine in ("paddle", "onnxruntime")]
    assert (labels[0] == labels[1]).mean() > 0.9


def test_report_analysis_and_gate_are_written(quantised):
    report = json.loads((quantised / "report.json").read_text())
    rows = {row["name"]: row for row in report["variants"]}
    assert set(rows) == {"fp32", "int8"}
    assert rows["int8"]["sizes"]["lite_arm"] != rows["fp32"]["sizes"]["lite_arm"]
    assert rows["int8"]["latency_ms"]["onnxruntime"] > 0
    assert set(report["facts"]["int8_scores"]) == {"paddle", "onnxruntime"}
    analysis = json.loads((quantised / "analysis.json").read_text())
    assert {row["layer"] for row in analysis["layers"]} == {"stem.conv", "stem.depthwise"}
    assert read_gate(quantised).max_drop == 0.5
    ranges = json.loads((quantised / "ranges.json").read_text())["main"]
    assert ranges["largest"]["x"] >= ranges["limits"]["x"] > 0
    assert "int8" in (quantised / "report.md").read_text()


def test_commands_take_the_folder(quantised, pruned, capsys):
    assert main(["doctor", "model", str(quantised / "int8")]) == 0
    words = ["val", "--config", str(pruned / "config.yml"), "--model", str(quantised / "int8"), "--no_boundary"]
    assert main([*words, "--engine", "onnxruntime"]) == 0
    assert "mIoU" in capsys.readouterr().out


def test_what_was_quantised_is_not_trained_on(quantised, pruned, tmp_path, capsys):
    words = ["train", "--config", str(pruned / "config.yml"), "--save_dir", str(tmp_path / "run"), "--iters", "4"]
    assert main([*words, "-o", f"model.pretrained={quantised / 'int8' / 'model.pdiparams'}"]) != 0
    assert main([*words, "--resume", str(quantised / "int8")]) != 0
    assert capsys.readouterr().err.count("quantised (int8)") == 2


def test_too_much_loss_writes_no_folder_and_names_layers(parts_run, tmp_path, monkeypatch):
    config = config_of(parts_run, "compress.max_drop=0.01", "compress.measure.accuracy=false")

    def load():
        network = build_network(config, load_pretrained=False)
        load_checkpoint_weights(parts_run, network)
        return network

    recipe = QuantizeRecipe(config, load, parts_run, tmp_path / "out", lambda _line: None)
    (tmp_path / "out").mkdir()
    scores = {"fp32": 0.9, "int8": 0.5}
    monkeypatch.setattr(recipe, "_engine_scores", lambda name, *_: {"mIoU": scores[name]})
    measured = recipe_quantize.analyse

    def one_layer_gains(*args, **options):
        found = measured(*args, **options)
        layers = [replace(row, gain=0.1 if row.layer.startswith("stem.") else 0.0) for row in found.layers]
        return replace(found, layers=tuple(layers), keep=())

    monkeypatch.setattr(recipe_quantize, "analyse", one_layer_gains)
    with pytest.raises(CompressionError, match=r"the int8 network lost 0\.4000 mIoU") as caught:
        recipe.run()
    assert "--skip stem." in str(caught.value)
    assert "head" not in str(caught.value.remedy)  # leaving it in float gains nothing
    assert not (tmp_path / "out" / "int8").exists()
    assert recipe.variants.get("int8").scores == {"mIoU": 0.5}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("compress.quantize.images=0", "0 images"),
        ("compress.quantize.components=[neck]", "no component 'neck'"),
        ("compress.quantize.skip=[nothing*]", r"no layer matches 'nothing\*'"),
        ("compress.quantize.skip=['*']", "no layer is left"),
        ("export.dynamic=true", "calibrated for one size"),
        ("export.targets=[ncnn]", "none of the targets ncnn"),
    ],
)
def test_bad_settings(parts_run, tmp_path, override, message, monkeypatch):
    config = config_of(parts_run, override)
    recipe = QuantizeRecipe(
        config, lambda: build_network(config, load_pretrained=False), parts_run, tmp_path, lambda _line: None
    )
    monkeypatch.setattr(recipe, "_export_float", lambda *_: None)
    monkeypatch.setattr("mobileseg.compress.precision.slim.calibrate", lambda model, *_: (_Large(), _Large()))
    with pytest.raises(CompressionError, match=message):
        recipe.run()


class _Large(dict):
    """A range for everything."""

    def __init__(self):
        super().__init__({"x": 1.0})

    def get(self, name, default=None):
        return 1.0


@pytest.mark.parametrize("target", ["lite_arm", "onnx"])
def test_one_target_alone_is_measured_on_what_runs_it(pruned, tmp_path, target):
    out = tmp_path / "out"
    words = ["compress", "quantize", "--model", str(pruned), "--save_dir", str(out)]
    assert main([*words, "-o", f"export.targets=[{target}]", "compress.max_drop=0.9", "compress.measure.runs=5"]) == 0
    rows = {row["name"]: row for row in json.loads((out / "report.json").read_text())["variants"]}
    assert list(rows["int8"]["latency_ms"]) == ([] if target == "lite_arm" else ["onnxruntime"])
    assert 0 <= rows["int8"]["scores"]["mIoU"] <= 1
    gate = read_gate(out)
    assert (gate.metric, gate.score) == ("mIoU", rows["int8"]["scores"]["mIoU"])
    assert gate.baseline_score == rows["fp32"]["scores"]["mIoU"]
