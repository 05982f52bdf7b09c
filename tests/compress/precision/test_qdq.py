import numpy as np
import onnx
import onnxruntime
import pytest

from mobileseg.compress.precision.qdq import write_qdq
from mobileseg.compress.precision.simulate import simulated
from mobileseg.errors import CompressionError
from mobileseg.export.conversion.onnx import convert
from tests.compress.precision.small import images, run


@pytest.fixture(scope="module")
def float_graph(prepared, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "float.onnx"
    (graph,) = prepared.graphs
    convert(graph.model, graph.params, path, 13)
    return path


def write(graph, prepared, ranges, layers, out):
    return write_qdq(graph, prepared.graphs[0].program, ranges.graphs["main"], layers, out)


def answers(path, optimised=None):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": image[None]})[0] for image in images()])


def test_all_kernels_but_the_last_run_in_int8(prepared, ranges, float_graph, tmp_path):
    count = write(float_graph, prepared, ranges, ranges.layers, tmp_path / "int8.onnx")
    assert count == 8  # six layers, two of them used twice
    labels = answers(tmp_path / "int8.onnx", tmp_path / "optimised.onnx")
    kinds = [node.op_type for node in onnx.load(str(tmp_path / "optimised.onnx")).graph.node]
    assert kinds.count("QLinearConv") == 6
    assert kinds.count("Conv") == 2  # the answers of the head are not rounded
    limits = {layer: ranges.inputs_of(layer) for layer in ranges.layers}
    with simulated(prepared.network, limits, dict.fromkeys(limits, "int8")):
        expected = np.stack([run(prepared.network, image).argmax(axis=0) for image in images()])
    assert (labels == expected).mean() > 0.95
    assert (answers(float_graph) == expected).mean() < 1.0  # int8 is not float32


def test_layers_that_stay_float_keep_their_weights(prepared, ranges, float_graph, tmp_path):
    write(float_graph, prepared, ranges, ["backbone.stem.0"], tmp_path / "one.onnx")
    graph = onnx.load(str(tmp_path / "one.onnx")).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    stem, inner = (
        prepared.graphs[0].calls["backbone.stem.0"][0].weight,
        prepared.graphs[0].calls["heads.0.inner"][0].weight,
    )
    assert types[f"{stem}.int8"] == onnx.TensorProto.INT8
    assert stem not in types
    assert types[inner] == onnx.TensorProto.FLOAT
    assert (answers(tmp_path / "one.onnx") == answers(float_graph)).mean() > 0.95


def test_kernels_of_another_graph_are_refused(prepared, ranges, float_graph, tmp_path):
    graph = onnx.load(str(float_graph))
    for node in graph.graph.node:
        if node.op_type == "Conv":
            for tensor in graph.graph.initializer:
                if tensor.name == node.input[1]:
                    tensor.name = "foreign"
            node.input[1] = "foreign"
            break
    onnx.save(graph, str(tmp_path / "foreign.onnx"))
    with pytest.raises(CompressionError, match="'foreign'"):
        write(tmp_path / "foreign.onnx", prepared, ranges, ranges.layers, tmp_path / "out.onnx")


def test_a_bias_that_is_large_beside_its_weights_survives(prepared, ranges, float_graph, tmp_path):
    model = onnx.load(str(float_graph))
    name = prepared.graphs[0].calls["backbone.stem.0"][0].weight
    node = next(node for node in model.graph.node if len(node.input) > 1 and node.input[1] == name)
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor).copy() for tensor in model.graph.initializer}
    arrays[name][3] = 1e-12
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(onnx.numpy_helper.from_array(arrays[name], name))
    onnx.save(model, str(tmp_path / "tiny.onnx"))
    write(tmp_path / "tiny.onnx", prepared, ranges, ["backbone.stem.0"], tmp_path / "int8.onnx")
    graph = onnx.load(str(tmp_path / "int8.onnx")).graph
    found = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    own = node.output[0]
    restored = found[f"{own}.bias.int32"][3] * np.float64(found[f"{own}.bias.step"][3])
    assert restored == pytest.approx(float(arrays[node.input[2]][3]), rel=1e-4)
