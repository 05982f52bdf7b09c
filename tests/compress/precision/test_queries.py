"""A network of queries: backbone and mask decoder in int8, everything that attends in float."""

import onnx
import pytest

from mobileseg.backbones.topformer import TopTransformer_Tiny
from mobileseg.compress.fold import fold_norms
from mobileseg.compress.precision.artefact import write_int8
from mobileseg.compress.precision.prepare import calibrate, trace, wanted_layers
from mobileseg.export.from_config import synthetic_images
from mobileseg.export.options import ExportOptions
from mobileseg.runtime.manifest import Manifest
from mobileseg.video.mobileinst.model import MobileInst
from tests.export.detectors import subject
from tests.model_tester import fill

SIZE = (64, 128)


def traced(work, **options):
    sizes = {"num_queries": 12, "heads": 4, "hidden": 48, "token_stride": 32}
    network = fill(MobileInst(5, TopTransformer_Tiny(), 32, 16, **sizes, **options))
    network.instance_decoder.classes.weight.set_value(4 * network.instance_decoder.classes.weight)
    fold_norms(network, SIZE)
    described = subject(settings={"queries": {"score_threshold": 0.1}})
    return trace(network, ExportOptions(*SIZE), described, work)


@pytest.fixture(scope="module")
def queries(tmp_path_factory):
    return traced(tmp_path_factory.mktemp("queries"))


def test_backbone_and_mask_decoder_run_in_int8(queries, tmp_path):
    streams = [queries.task.frames(image) for image in synthetic_images(SIZE, 2)]
    ranges = calibrate(queries, streams, "avg")
    layers = wanted_layers(queries, ["backbone", "mask_decoder"], [])
    images, options = synthetic_images(SIZE, 4), {"agreement": 0.1, "targets": ["paddle", "onnx"]}
    found = write_int8(queries, ranges, layers, tmp_path / "out", images, "drawn scenes", **options)
    assert [(row.target, row.status) for row in found.rows] == [("paddle", "ok"), ("onnx", "ok")]
    manifest = Manifest.read(tmp_path / "out")
    assert {name: graph.files["onnx"].precision for name, graph in manifest.graphs.items()} == {
        "features": "int8",
        "instances": None,
    }
    graph = onnx.load(str(tmp_path / "out" / "features.onnx")).graph
    rounded = {node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    scores = {name for node in graph.node if node.op_type in ("MatMul", "Softmax") for name in node.output}
    assert scores  # the backbone attends
    assert not rounded & scores


def test_a_layer_in_both_graphs_stays_in_float(queries, tmp_path):
    """Means under masks need the projection of the mask features in `instances` too, where it reads other ranges."""
    pooled = traced(tmp_path, mask_pooling=True)
    shared = "mask_decoder.project"
    assert pooled.shared == (shared,)
    assert set(pooled.layers) == set(queries.layers) - {shared}
    assert set(pooled.in_float(pooled.layers[1:])) == {pooled.layers[0], shared}
    streams = [pooled.task.frames(image) for image in synthetic_images(SIZE, 2)]
    layers = wanted_layers(pooled, ["backbone", "mask_decoder"], [])
    images, options = synthetic_images(SIZE, 4), {"agreement": 0.1, "targets": ["onnx"]}
    write_int8(pooled, calibrate(pooled, streams, "avg"), layers, tmp_path / "out", images, "drawn scenes", **options)
    assert shared in Manifest.read(tmp_path / "out").notes["float_layers"].split()
    weights = onnx.load(str(tmp_path / "out" / "features.onnx")).graph.initializer
    kernels = [list(tensor.dims) for tensor in weights if tensor.data_type == onnx.TensorProto.FLOAT]
    assert [16, 32, 1, 1] in kernels
