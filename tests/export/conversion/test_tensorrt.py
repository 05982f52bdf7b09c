"""Shapes and component graphs for TensorRT: what is written, and that the parts answer as the whole."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from mobileseg.errors import ExportError, RuntimeEngineError
from mobileseg.export.conversion.pdmodel import OperatorOrigin, Program
from mobileseg.export.conversion.tensorrt import divide
from mobileseg.export.exporter import export_network
from mobileseg.export.options import ExportOptions
from mobileseg.export.verify import replay
from mobileseg.runtime.engines.registry import load
from mobileseg.runtime.manifest import Manifest
from tests.export.conftest import SUBJECT, Toy, options, seeded
from tests.export.detectors import detector, subject


class Parts(Toy):
    """The toy network with names for its parts; the swish between them belongs to none."""

    def components(self):
        return {"stem": self.stem, "body": self.body, "head": self.head}


@pytest.fixture(scope="module")
def parts(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server") / "toy"
    return export_network(
        seeded(Parts()), folder, options(output_op="none"), SUBJECT, images, targets=["paddle"], tensorrt=True
    )


def test_component_graphs_are_written_listed_and_verified(parts):
    manifest = Manifest.read(parts.folder)
    assert manifest.pipelines["components"] == ("stem", "body", "head")
    parts_of = [manifest.graphs[name] for name in manifest.pipelines["components"]]
    assert [spec.name for spec in parts_of[0].inputs] == ["x"]
    assert [(spec.name, spec.kind) for spec in parts_of[-1].outputs] == [("logits", "logits")]
    for before, after in pairwise(parts_of):
        assert [spec.name for spec in after.inputs] == [spec.name for spec in before.outputs]
        assert [spec.shape for spec in after.inputs] == [spec.shape for spec in before.outputs]
    names = {path.name for path in parts.folder.iterdir()} - {"deploy.yaml", "deploy.json"}
    assert names == set(manifest.files)
    assert {"model.shapes.pbtxt", "component.body.shapes.pbtxt"} <= names
    rows = {row.target: row for row in parts.rows}
    assert rows["components"].status == "ok"
    assert rows["components"].max_diff < 1e-3
    assert [row.engine for row in manifest.verification] == ["paddle", "components"]


def test_weights_are_divided_and_not_copied(parts):
    whole = (parts.folder / "model.pdiparams").stat().st_size
    files = [parts.manifest.graphs[name].files["paddle"] for name in parts.manifest.pipelines["components"]]
    sizes = [(parts.folder / part.params).stat().st_size for part in files]
    assert all(sizes)
    assert abs(sum(sizes) - whole) < 0.02 * whole


def test_shapes_are_those_of_a_fixed_graph(parts):
    text = (parts.folder / "model.shapes.pbtxt").read_text()
    block = next(part for part in text.split("shape_range_info {") if 'name: "x"' in part)
    sides = [int(line.split(":")[1]) for line in block.splitlines() if "_shape:" in line]
    assert sides == [1, 3, 48, 64] * 3  # least, most, usual


def test_a_changed_component_is_noticed(parts, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(parts.folder, folder)
    (folder / "component.body.pdiparams").write_bytes(b"other weights")
    with pytest.raises(RuntimeEngineError, match=r"component\.body\.pdiparams has sha256"):
        load(folder, "paddle", components=True)
    _rows, problems = replay(folder, ["paddle"])
    assert any("component.body.pdiparams" in problem for problem in problems)


@pytest.mark.long
def test_open_sizes_give_a_range_of_shapes(images, tmp_path):
    result = export_network(
        seeded(Toy()), tmp_path / "open", options(dynamic=True), SUBJECT, images, targets=["paddle"], tensorrt=True
    )
    text = (result.folder / "model.shapes.pbtxt").read_text()
    block = next(part for part in text.split("shape_range_info {") if 'name: "x"' in part)
    found = {key: [int(line.split(":")[1]) for line in block.splitlines() if key in line] for key in ("min_", "max_")}
    assert found["min_"][2] < found["max_"][2]
    assert set(result.manifest.pipelines) == {"main"}  # the plain toy names no components


@pytest.mark.long
def test_components_of_a_detector(images, tmp_path):
    """A pyramid hands on several tensors, and the head runs once per level."""
    network = detector()
    result = export_network(
        network, tmp_path / "detector", ExportOptions(96, 128), subject(), images, targets=["paddle"], tensorrt=True
    )
    assert result.manifest.pipelines["components"] == ("backbone", "fpn", "head", "protonet")
    assert {row.target: row.status for row in result.rows} == {"paddle": "ok", "components": "ok"}
    assert len(result.manifest.graphs["fpn"].inputs) > 1


def test_the_paddle_graph_is_needed(images, tmp_path):
    with pytest.raises(ExportError, match="not among the targets"):
        export_network(seeded(Toy()), tmp_path / "x", options(), SUBJECT, images, targets=["onnx"], tensorrt=True)


def test_components_that_take_turns_are_refused(parts):
    program = Program.read(parts.folder / "model.pdmodel")
    operators = [op for op in program.operators() if op.type not in ("feed", "fetch")]
    layers = ["a", "b", "a", *["b"] * len(operators)]
    for op, layer in zip(operators, layers, strict=False):
        program.origins.update(dict.fromkeys(op.results(), OperatorOrigin(layer)))
    with pytest.raises(ExportError, match="a, b do not run one after the other"):
        divide(program, {"a": ("a",), "b": ("b",)})


def test_operators_before_the_first_component_belong_to_it(parts):
    program = Program.read(parts.folder / "model.pdmodel")
    operators = [op for op in program.operators() if op.type not in ("feed", "fetch")]
    program.origins = {name: OperatorOrigin("") for op in operators[:2] for name in op.results()}
    program.origins |= {name: OperatorOrigin("a.0") for op in operators[2:] for name in op.results()}
    (piece,) = divide(program, {"a": ("a",)})
    assert (piece.name, piece.inputs, piece.outputs) == ("a", ("x",), ("logits",))


def test_a_folder_without_components_says_so(parts, images, tmp_path):
    graphs = {"main": parts.manifest.graphs["main"]}
    bare = replace(parts.manifest, graphs=graphs, pipelines={"main": ("main",)})
    folder = tmp_path / "bare"
    folder.mkdir()
    for name in bare.files:
        (folder / name).write_bytes((parts.folder / name).read_bytes())
    bare.write(folder)
    with pytest.raises(RuntimeEngineError, match="has no component graphs"):
        load(folder, "paddle", components=True)
    engine = load(folder, "paddle", onednn=False)
    answer = engine.run("main", {"x": np.zeros((1, 3, 48, 64), np.float32)})
    assert answer["logits"].shape == (1, 4, 48, 64)
