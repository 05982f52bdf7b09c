"""Lite, ONNX and NCNN converters on one graph, and the search for what fails in it."""

import numpy as np
import onnx
import onnxruntime
import paddle
import pytest

from mobileseg.errors import DependencyError, ExportError
from mobileseg.export.conversion import converters, lite, ncnn
from mobileseg.export.conversion import onnx as to_onnx
from mobileseg.export.conversion.converters import Graph
from mobileseg.export.conversion.pdmodel import Program
from mobileseg.export.conversion.process import Failure
from mobileseg.export.conversion.tracing import save_paddle_graph
from mobileseg.export.diagnosis.bisect import locate_difference, locate_failure, run_natively
from mobileseg.export.recording import build_reference
from mobileseg.semantic.export import SemanticExport
from tests.export.conftest import SIZE, options


@pytest.fixture(scope="module")
def graph(toy, tmp_path_factory):
    stem = tmp_path_factory.mktemp("graph") / "model"
    save_paddle_graph(toy, options(output_op="none"), stem)
    return Graph(stem.with_suffix(".pdmodel"), stem.with_suffix(".pdiparams"), (((1, 3, *SIZE),),), 13)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).normal(size=(1, 3, *SIZE)).astype(np.float32)


def test_onnx_is_static_simplified_and_of_the_asked_opset(graph, image, toy, tmp_path):
    out = tmp_path / "model.onnx"
    facts = to_onnx.convert(graph.model, graph.params, out, 11)
    model = onnx.load(out)
    assert facts == {"opset": 11, "nodes": len(model.graph.node)}
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["x", "logits"]
    sizes = [side.dim_value for side in model.graph.output[0].type.tensor_type.shape.dim]
    assert sizes == [1, 4, *SIZE]
    assert not {"Shape", "Identity", "BatchNormalization"} & {node.op_type for node in model.graph.node}
    answer = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"]).run(None, {"x": image})[0]
    np.testing.assert_allclose(answer, toy(paddle.to_tensor(image))["logits"].numpy(), atol=1e-5)


def test_parts_of_a_split_that_nothing_reads_are_no_outputs(tmp_path):
    param = tmp_path / "m.param"
    layers = ["Input in0 0 1 in0", "Slice cut 1 2 in0 left right", "ReLU b 1 1 left out1", "ReLU a 1 1 left out0"]
    param.write_text("\n".join(["7767517", "4 5", *layers]) + "\n")
    assert ncnn.blob_names(param) == (["in0"], ["out0", "out1"])
    param.write_text(param.read_text().replace("out0", "scores").replace("out1", "boxes"))
    assert ncnn.blob_names(param) == (["in0"], ["right", "boxes", "scores"]), "names of the graph's own: all of them"


def test_stride_zero_is_refused():
    node = onnx.helper.make_node("AveragePool", ["x"], ["y"], name="pool7", kernel_shape=[2, 2], strides=[0, 0])
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 1, 4, 4])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [value], [value]))
    with pytest.raises(ExportError, match=r"AveragePool 'pool7' with strides \[0, 0\]"):
        to_onnx._refuse_zero_strides(model)


def test_lite_needs_the_compat_pass(graph, tmp_path):
    """What the pass is for: without it the optimiser aborts, and says which attribute it misses."""
    from mobileseg.export.conversion.process import run_task

    request = {"model": str(graph.model), "params": str(graph.params), "out": str(tmp_path / "m.nb"), "place": "x86"}
    with pytest.raises(Failure) as caught:
        run_task("lite", request)
    assert caught.value.died
    assert "No attributes called threshold found for relu6" in caught.value.log
    assert lite.convert(graph.model, graph.params, tmp_path / "m.nb", "lite_x86") == "v2.13-rc"
    assert [path.name for path in tmp_path.iterdir()] == ["m.nb"]


def test_ncnn_blobs(graph, tmp_path):
    converters.convert("ncnn", graph, tmp_path, tmp_path)
    assert ncnn.blob_names(tmp_path / "model.ncnn.param") == (["in0"], ["out0"])
    assert ncnn.foreign_layers((tmp_path / "model.ncnn.param").read_text()) == []


def test_foreign_layers_of_ncnn():
    text = "7767517\n3 3\nInput in0 0 1 in0\nArgMax a 1 1 in0 1\nTensor.to t 1 1 1 out0\n"
    assert ncnn.foreign_layers(text) == ["ArgMax", "Tensor.to"]


def test_pnnx_is_missing(monkeypatch):
    monkeypatch.setattr(ncnn.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="pnnx is not installed"):
        ncnn.executable()


def test_native_run_is_the_network(graph, image, toy, tmp_path):
    answer = run_natively(graph, image, tmp_path)
    np.testing.assert_allclose(answer["logits"], toy(paddle.to_tensor(image))["logits"].numpy(), atol=1e-5)


def test_nothing_to_locate_in_a_sound_graph(graph, toy, images, tmp_path):
    reference = build_reference(SemanticExport(), toy, options(output_op="none"), images, [SIZE], "drawn")
    assert locate_failure("lite_arm", graph) is None
    assert locate_difference("onnx", graph, reference, tmp_path) is None


def test_bisection_finds_the_first_bad_operator(graph, monkeypatch):
    """Whatever a converter dislikes: here it refuses every program with a swish in it."""
    tried = []

    def refuse(_target, part, _folder, _work):
        kinds = [op.type for op in Program.read(part.model).operators()]
        tried.append(len(kinds))
        if "swish" in kinds:
            raise Failure("convert", "no swish", died=True)

    monkeypatch.setattr(converters, "convert", refuse)
    culprit = locate_failure("onnx", graph)
    assert culprit.type == "swish"
    assert len(tried) <= 6
