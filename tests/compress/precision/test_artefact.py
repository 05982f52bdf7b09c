import shutil
from dataclasses import replace

import numpy as np
import onnx
import paddle
import pytest

from mobileseg.compress.fold import fold_norms
from mobileseg.compress.precision import artefact
from mobileseg.compress.precision.artefact import write_int8
from mobileseg.compress.precision.prepare import calibrate, trace
from mobileseg.compress.precision.simulate import simulated
from mobileseg.errors import CompressionError
from mobileseg.export.from_config import synthetic_images
from mobileseg.export.verify import verify
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.segmenter import Segmenter
from tests.compress.precision.small import SIZE, SUBJECT, EndsEarly, images, options, small, streams


def write(prepared, ranges, folder, **changes):
    settings = {"agreement": 0.9, "targets": ["onnx"], **changes}
    return write_int8(
        prepared, ranges, ranges.layers, folder, synthetic_images((40, 60), 5), "drawn scenes", **settings
    )


def test_a_folder_that_is_not_accepted_is_not_there(prepared, ranges, tmp_path):
    seen = []

    def refuse(stage):
        seen.append(Manifest.read(stage))
        raise CompressionError("too much is lost")

    with pytest.raises(CompressionError, match="too much is lost"):
        write(prepared, ranges, tmp_path / "int8", accept=refuse)
    assert list(tmp_path.iterdir()) == []
    assert seen[0].verification[0].status == "ok"
    assert "PaddleSlim (avg, 3 images)" in seen[0].notes["precision"]


def test_an_engine_that_disagrees_is_an_error_and_the_folder_is_kept_aside(prepared, ranges, tmp_path, monkeypatch):
    def other_ranges(graph, program, known, layers, out):
        small = {name: limit / 50 for name, limit in known.limits.items()}
        return original(graph, program, replace(known, limits=small, largest=small), layers, out)

    original = artefact.write_qdq
    monkeypatch.setattr(artefact, "write_qdq", other_ranges)
    with pytest.raises(CompressionError, match=r"onnx \(onnxruntime\): .* of the results are equal, at least 90"):
        write(prepared, ranges, tmp_path / "int8")
    assert [path.name for path in tmp_path.iterdir()] == ["int8.failed"]


def test_other_targets_are_refused(prepared, ranges, tmp_path):
    with pytest.raises(CompressionError, match="ncnn cannot be written in int8"):
        write(prepared, ranges, tmp_path / "int8", targets=["ncnn"])


@pytest.fixture(scope="module")
def early(tmp_path_factory):
    network = small(EndsEarly)
    fold_norms(network, SIZE)
    found = trace(network, options(), SUBJECT, tmp_path_factory.mktemp("early"))
    return found, calibrate(found, streams(), "avg")


def test_graphs_end_at_the_decoder_and_answer_as_paddle_s_which_does_not(early, tmp_path):
    prepared, ranges = early
    write(prepared, ranges, tmp_path / "int8", targets=["paddle", "onnx", "lite_arm"])
    manifest = Manifest.read(tmp_path / "int8")
    assert {row.engine: row.status for row in manifest.verification} == {
        "paddle": "ok",
        "onnx": "ok",
        "lite_arm": "converted-not-run",
    }
    whole, *coarse = (manifest.outputs_of(target)[0] for target in ("paddle", "onnx", "lite_arm"))
    assert (whole.kind, whole.shape, whole.upsample) == ("labels", (1, *SIZE), None)
    assert [(spec.kind, spec.shape, spec.upsample) for spec in coarse] == [("logits", (1, 3, 16, 24), SIZE)] * 2
    graph = onnx.load(str(tmp_path / "int8" / "model.onnx")).graph
    weights = [tensor for tensor in graph.initializer if tensor.name.endswith(".int8")]
    assert len(weights) == len(ranges.layers)
    assert not {"ArgMax", "Resize"} & {node.op_type for node in graph.node}
    assert {row.status for row in verify(tmp_path / "int8")} == {"ok", "converted-not-run"}
    for image in synthetic_images((50, 70), 2):
        one, other = (Segmenter(tmp_path / "int8", engine=name)(image).labels for name in ("paddle", "onnxruntime"))
        assert one.shape == other.shape == (50, 70)
        assert (one == other).mean() > 0.95


def test_paddle_lite_reads_a_graph_that_answers_as_simulated_int8(early, tmp_path, monkeypatch):
    """Its x86 runtime cannot run int8 graphs, so Paddle runs what the optimiser is given: it ends in a kernel."""
    prepared, ranges = early

    def keep(model, params, *rest):
        shutil.copy(model, tmp_path / "read.pdmodel")
        shutil.copy(params, tmp_path / "read.pdiparams")
        return original(model, params, *rest)

    original = artefact.lite.convert
    monkeypatch.setattr(artefact.lite, "convert", keep)
    write(prepared, ranges, tmp_path / "int8", targets=["lite_arm"])
    read = paddle.jit.load(str(tmp_path / "read"))
    read.eval()
    limits = {layer: ranges.inputs_of(layer) for layer in ranges.layers}
    batch = paddle.to_tensor(images())
    with paddle.no_grad(), simulated(prepared.network, limits, dict.fromkeys(ranges.layers, "int8")):
        expected = prepared.network.coarse_logits(batch).numpy()
    found = np.concatenate([read(batch[i : i + 1]).numpy() for i in range(len(expected))])
    assert found.shape == expected.shape == (3, 3, 16, 24)
    assert np.abs(found - expected).mean() < 0.02 * expected.std()
