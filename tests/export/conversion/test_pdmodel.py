import json

import paddle
import pytest
from paddle import nn

from mobileseg.errors import ExportError
from mobileseg.export.conversion.lite_compat import add_implied_attributes
from mobileseg.export.conversion.pdmodel import Program, origins_path, refuse_open_shapes
from mobileseg.export.conversion.tracing import save_paddle_graph
from tests.export.conftest import SIZE, Toy, options, seeded


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    stem = tmp_path_factory.mktemp("graph") / "model"
    save_paddle_graph(seeded(Toy()), options(), stem)
    return stem.with_suffix(".pdmodel")


def test_operators_carry_layer_and_line(saved):
    found = {op.type: op for op in Program.read(saved).operators()}
    assert found["relu6"].origin.layer == "stem.2"
    assert found["relu6"].origin.line.startswith("tests/export/conftest.py:") or "conftest.py:" in str(found["relu6"])
    assert str(found["batch_norm"]).startswith("operator 'batch_norm' of layer 'stem.1' (")
    assert "deploy.py:" in found["arg_max"].origin.line


def test_output_has_the_name_of_the_artefact(saved):
    program = Program.read(saved)
    assert program.outputs() == ["labels"]
    assert program.shapes()["labels"] == [1, *SIZE]
    assert [op.type for op in program.operators()][-2:] == ["arg_max", "fetch"]  # no identity in between


def test_parameters_are_the_network_s(saved):
    shapes = Program.read(saved).shapes()
    kernels = sorted(shapes[name] for name in Program.read(saved).parameters() if len(shapes[name]) == 4)
    assert kernels == [[4, 16, 1, 1], [16, 3, 3, 3], [16, 16, 3, 3]]


@pytest.mark.parametrize("count", [2, 5, 9])
def test_prefix_ends_at_what_nobody_has_read(saved, count):
    program = Program.read(saved)
    part = program.prefix(count)
    operators = part.operators()
    assert [op.type for op in operators if op.type != "fetch"] == [op.type for op in program.operators()[:count]]
    read = {name for op in operators if op.type != "fetch" for names in op.inputs.values() for name in names}
    assert part.outputs()
    assert not set(part.outputs()) & read
    assert operators[count - 1].results()[-1] in part.outputs()


def test_implied_attributes_are_added_once(saved, tmp_path):
    program = Program.read(saved)
    before = {op.type: op.attrs for op in program.operators()}
    assert "threshold" not in before["relu6"]
    assert add_implied_attributes(program) == 2
    assert add_implied_attributes(program) == 0
    program.write(tmp_path / "patched.pdmodel")
    after = {op.type: op.attrs for op in Program.read(tmp_path / "patched.pdmodel").operators()}
    assert after["relu6"]["threshold"] == 6.0
    assert after["swish"]["beta"] == 1.0
    assert {key: value for key, value in after["relu6"].items() if key != "threshold"} == before["relu6"]


def test_origins_are_beside_the_work_file_only(saved):
    assert "labels" in json.loads(origins_path(saved).read_text())
    assert not saved.with_suffix(".pdiparams.info").exists()


def test_not_a_program(tmp_path):
    (tmp_path / "model.pdmodel").write_text('{"base_code": {"magic": "pir"}}')
    with pytest.raises(ExportError, match="is not a Paddle program") as caught:
        Program.read(tmp_path / "model.pdmodel")
    assert "FLAGS_enable_pir_api=0" in caught.value.remedy


class ReadsItsShape(Toy):
    """Asks the graph for a size that is known."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = Rescale()

    def forward(self, x):
        return {"logits": self.scale(self.logits(x))}


class Rescale(nn.Layer):
    def forward(self, x):
        height = paddle.shape(x)[2]
        return nn.functional.interpolate(x, size=[height, height], mode="bilinear")


def test_open_dimension_in_a_static_export_names_the_layer(tmp_path):
    with pytest.raises(ExportError) as caught:
        save_paddle_graph(seeded(ReadsItsShape()), options(), tmp_path / "model")
    assert "exported for a fixed size" in caught.value.message
    assert "of layer 'scale'" in caught.value.message
    assert "paddle.shape" in caught.value.remedy


def test_dynamic_graph_may_have_open_dimensions(tmp_path):
    program = save_paddle_graph(seeded(Toy()), options(dynamic=True), tmp_path / "model")
    assert program.shapes()["labels"] == [1, -1, -1]
    with pytest.raises(ExportError, match="gives shape"):
        refuse_open_shapes(program)


class Untraceable(Toy):
    def forward(self, x):
        raise RuntimeError("no graph from me")


def test_network_that_cannot_be_traced(tmp_path):
    with pytest.raises(ExportError, match="cannot trace the network at 48x64"):
        save_paddle_graph(seeded(Untraceable()), options(), tmp_path / "model")
