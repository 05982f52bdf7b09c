"""NMS inside the graph: the numbers of greedy NMS in NumPy, or the target is refused."""

from dataclasses import asdict

import numpy as np
import onnx
import pytest

from mobileseg.errors import ExportError
from mobileseg.export.conversion import converters
from mobileseg.export.conversion.pdmodel import Program
from mobileseg.export.conversion.tracing import save_paddle_graph
from mobileseg.export.exporter import export_network
from mobileseg.export.from_config import synthetic_images
from mobileseg.export.options import ExportOptions
from mobileseg.export.tasks import task_for
from mobileseg.export.verify import replay
from mobileseg.files import sha256_of
from mobileseg.instance.export_nms import greedy
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.settings import InstanceSettings
from mobileseg.runtime.engines.registry import load
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.segmenter import Segmenter
from tests.export.detectors import detector, subject
from tests.manifests import rewritten

SIZE = (96, 128)
OPTIONS = ExportOptions(*SIZE, nms_in_graph=True)


@pytest.fixture(scope="module")
def network():
    return detector(size=SIZE)


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("suppression") / "artefact"
    detection = DetectionOptions(iou_threshold=0.4, max_detections=30)
    return export_network(
        network, folder, OPTIONS, subject(settings={"detection": asdict(detection)}), synthetic_images((120, 150), 5)
    )


def test_engines_that_can_agree_and_the_others_say_why(exported):
    rows = {row.target: row for row in exported.rows}
    for target in ("paddle", "onnx"):
        assert (rows[target].status, rows[target].equal) == ("ok", 1.0), rows[target]
        assert rows[target].max_diff < 1e-3
    assert {row.status for target, row in rows.items() if target not in ("paddle", "onnx")} == {"skipped"}
    assert "without objects" in rows["lite_x86"].problems[0]
    assert "NCNN" in rows["ncnn"].problems[0]


def test_folder(exported):
    manifest = Manifest.read(exported.folder)
    assert [(spec.name, spec.shape) for spec in manifest.outputs_of()] == [
        ("detections", (-1, 6)),
        ("coefficients", (-1, 8)),
        ("proto", (1, 8, 24, 32)),
    ]
    detection = InstanceSettings.of(manifest.settings).detection
    assert detection.anchors is None
    assert detection.options == DetectionOptions(nms="traditional", iou_threshold=0.4, max_detections=30)
    assert not (exported.folder / "anchors.npy").exists()


def test_segmenter_gives_what_nms_outside_gives(exported, network, tmp_path):
    outside = ExportOptions(*SIZE)
    detection = greedy(DetectionOptions(iou_threshold=0.4, max_detections=30))
    described = subject(settings={"detection": asdict(detection)})
    images = synthetic_images((120, 150), 5)
    plain = export_network(network, tmp_path / "a", outside, described, images, targets=["onnx"])
    ours, theirs = (Segmenter(folder, "onnxruntime")(images[4]) for folder in (exported.folder, plain.folder))
    assert len(ours) == 30
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.05)
    assert np.array_equal(ours.classes, theirs.classes)


@pytest.mark.parametrize("engine", ["paddle", "onnxruntime"])
def test_image_without_objects(network, tmp_path, engine):
    """No reference image is without objects, so it is tried here."""
    blind = detector(size=SIZE)
    bias = blind.prediction_layers[0].conf_layer.last.bias
    values = bias.numpy().reshape(-1, 6)
    values[:, 0] += 50
    bias.set_value(values.reshape(-1))
    target = {"paddle": "paddle", "onnxruntime": "onnx"}[engine]
    images = synthetic_images((120, 150), 4)
    result = export_network(blind, tmp_path / "a", OPTIONS, subject(), images, targets=[target], accept_weak=True)
    outputs = load(result.folder, engine).run("main", {"x": np.zeros((1, 3, *SIZE), np.float32)})
    assert (outputs["detections"].shape, outputs["coefficients"].shape) == ((0, 6), (0, 8))
    assert len(Segmenter(result.folder, engine)(images[0])) == 0


def test_replay(exported):
    rows, problems = replay(exported.folder)
    assert problems == []
    assert [row.status for row in rows] == ["ok", "ok"]


def test_another_threshold_in_the_graph_is_seen(exported, tmp_path):
    """The suppression of the graph leaves less than the network's."""
    folder = tmp_path / "artefact"
    folder.mkdir()
    for name in ("deploy.yaml", "golden.npz", "model.onnx"):
        (folder / name).write_bytes((exported.folder / name).read_bytes())
    model = onnx.load(folder / "model.onnx")
    (node,) = [node for node in model.graph.node if node.op_type == "NonMaxSuppression"]
    for tensor in model.graph.initializer:
        if tensor.name == node.input[3]:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([0.01], np.float32), tensor.name))
    onnx.save(model, folder / "model.onnx")
    manifest = Manifest.read(folder)
    engines = {"onnx": manifest.graphs["main"].files["onnx"]}
    files = {name: sha256_of(folder / name) for name in ("golden.npz", "model.onnx")}
    rewritten(folder, manifest, engines=engines, files=files, verification=())
    problems = replay(folder, ["onnxruntime"])[1]
    assert any("detections are missing" in problem for problem in problems)


def test_refused_targets(network, tmp_path):
    with pytest.raises(ExportError, match="lite_arm cannot be written: Paddle Lite's NMS aborts"):
        export_network(network, tmp_path / "a", OPTIONS, subject(), synthetic_images((90, 90), 4), targets=["lite_arm"])


@pytest.mark.long
def test_paddle_lite_still_dies_without_objects(network, tmp_path):
    """The reason why the target is refused; when this fails, the target can be written."""
    from tests.export.lite_process import run_lite

    task = task_for(network, OPTIONS)
    save_paddle_graph(network, OPTIONS, tmp_path / "graph", task)
    graph = converters.Graph(tmp_path / "graph.pdmodel", tmp_path / "graph.pdiparams", (((1, 3, *SIZE),),), 13)
    converters.convert("lite_x86", graph, tmp_path, tmp_path)
    assert Program.read(graph.model).outputs() == ["detections", "coefficients", "proto"]
    image = np.asarray(synthetic_images(SIZE, 1)[0], np.float32).transpose(2, 0, 1)[None] / 127.5 - 1
    assert run_lite(tmp_path / "model.x86.nb", image) == 0
    blind = detector(size=SIZE)
    blind.prediction_layers[0].conf_layer.last.bias.set_value(np.tile([60, 0, 0, 0, 0, 0], 3).astype(np.float32))
    save_paddle_graph(blind, OPTIONS, tmp_path / "blind", task)
    graph = converters.Graph(tmp_path / "blind.pdmodel", tmp_path / "blind.pdiparams", (((1, 3, *SIZE),),), 13)
    converters.convert("lite_x86", graph, tmp_path, tmp_path)
    assert run_lite(tmp_path / "model.x86.nb", image) < 0
