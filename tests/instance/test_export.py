"""Instance graphs: every engine, the rule for detections, and every damage that the replay must see."""

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import paddle
import pytest
from onnx import helper

from mobileseg.backbones.shufflenetv2 import ShuffleNetV2_x1_0
from mobileseg.errors import ExportError, RuntimeEngineError
from mobileseg.export.exporter import export_network
from mobileseg.export.from_config import synthetic_images
from mobileseg.export.options import TARGETS, ExportOptions
from mobileseg.export.tasks import refuse_foreign_flags, task_for
from mobileseg.export.verify import replay
from mobileseg.files import sha256_of
from mobileseg.instance.model import MobileYolact
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.postprocess import instances_from_outputs
from mobileseg.instance.settings import InstanceSettings
from mobileseg.runtime.manifest import Manifest
from tests.export.detectors import CLASSES, SMALL, detector, settle, subject
from tests.manifests import rewritten
from tests.model_tester import fill

SIZE = (96, 128)
FAST = ["onnxruntime"]


@pytest.fixture(scope="module")
def network():
    return detector(size=SIZE)


@pytest.fixture(scope="module")
def images():
    return synthetic_images((120, 150), 6)


@pytest.fixture(scope="module")
def exported(network, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("instance") / "artefact"
    described = subject(settings={"category_ids": (1, 3, 9, 27, 90)})
    return export_network(network, folder, ExportOptions(*SIZE), described, images)


@pytest.fixture
def folder(exported, tmp_path):
    """A copy of what a damage needs: the manifest, the reference, the anchors and the ONNX graph."""
    copy = tmp_path / "artefact"
    copy.mkdir()
    for name in ("deploy.yaml", "golden.npz", "anchors.npy", "model.onnx"):
        (copy / name).write_bytes((exported.folder / name).read_bytes())
    manifest = Manifest.read(copy)
    engines = {"onnx": manifest.graphs["main"].files["onnx"]}
    files = {name: value for name, value in manifest.files.items() if (copy / name).is_file()}
    rewritten(copy, manifest, engines=engines, files=files, verification=())
    return copy


def edit(folder: Path, pattern: str, replacement: str) -> None:
    path = folder / "deploy.yaml"
    text, hits = re.subn(pattern, replacement, path.read_text())
    assert hits, f"{pattern} is not in deploy.yaml"
    path.write_text(text)
    (folder / "deploy.json").unlink(missing_ok=True)  # it would be the first to differ


def rehash(folder: Path, name: str) -> None:
    manifest = Manifest.read(folder)
    dataclasses.replace(manifest, files=manifest.files | {name: sha256_of(folder / name)}).write(folder)


def change_graph(folder: Path, change) -> None:
    model = onnx.load(folder / "model.onnx")
    change(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "model.onnx")
    rehash(folder, "model.onnx")


def writer_of(graph, name):
    return next(node for node in graph.node if name in node.output)


def found_in(folder: Path) -> list[str]:
    return replay(folder, FAST)[1]


def test_every_target_is_written_run_and_compared(exported):
    rows = {row.target: row for row in exported.rows}
    assert list(rows) == list(TARGETS)
    assert rows.pop("lite_arm").status == "converted-not-run"
    for row in rows.values():
        assert row.status == "ok", row
        assert row.max_diff < 1e-3
        assert row.equal > 0.98
    assert not exported.warnings


def test_detail_and_leaky_relu_on_every_engine(images, tmp_path):
    """Prototypes of an odd side, which the map of stride 8 does not have when it is doubled."""
    size = (100, 132)
    network = fill(MobileYolact(CLASSES, ShuffleNetV2_x1_0(act="leaky_relu"), proto_detail=True, **SMALL))
    settle(network, size)
    result = export_network(network, tmp_path / "artefact", ExportOptions(*size), subject(), images)
    assert {row.target: row.status for row in result.rows} == {
        target: "converted-not-run" if target == "lite_arm" else "ok" for target in TARGETS
    }


def test_folder(exported, network):
    manifest = Manifest.read(exported.folder)
    assert manifest.task == "instance"
    assert [(spec.name, spec.kind) for spec in manifest.outputs_of()] == [
        ("loc", "boxes"),
        ("conf", "scores"),
        ("mask", "coefficients"),
        ("proto", "prototypes"),
    ]
    anchors = np.load(exported.folder / "anchors.npy", allow_pickle=False)
    assert np.array_equal(anchors, network.anchors(*SIZE))
    assert manifest.settings["detection"]["anchors"] == "anchors.npy"
    assert InstanceSettings.of(manifest.settings).detection.options == DetectionOptions()
    assert InstanceSettings.of(manifest.settings).category_ids == (1, 3, 9, 27, 90)
    assert manifest.deploy is None  # PaddleSeg's script labels pixels
    assert {"anchors.npy", "golden.npz"} <= set(manifest.files)
    assert (exported.folder / "golden.npz").stat().st_size < 3_000_000


def test_ncnn_outputs_are_named_in_the_graph_s_order(exported):
    """pnnx writes the prototypes first."""
    entry = exported.manifest.graph_files("main", "ncnn")
    assert entry.outputs == {"loc": "out0", "conf": "out1", "mask": "out2", "proto": "out3"}


def test_golden_holds_the_network_s_detections(exported, network):
    with np.load(exported.folder / "golden.npz") as golden:
        arrays = dict(golden)
    answer = network(paddle.to_tensor(arrays["input.0"]))
    outputs = {name: answer[name].numpy() for name in ("loc", "conf", "mask", "proto")}
    for name in ("loc", "conf", "mask"):
        np.testing.assert_allclose(arrays[f"output.0.{name}"], outputs[name][:, arrays["rows.0"]], atol=1e-5)
        assert arrays[f"scale.0.{name}"] == pytest.approx(outputs[name].std(), rel=1e-4)
    size = arrays["image.0"].shape[:2]
    result = instances_from_outputs(outputs, network.anchors(*SIZE), size)
    np.testing.assert_allclose(arrays["result.0.boxes"], result.boxes, atol=1e-2)
    assert np.array_equal(arrays["result.0.classes"], result.classes)
    bits = np.unpackbits(arrays["result.0.masks"], axis=1, count=size[0] * size[1])
    assert np.mean(bits.reshape(-1, *size) == result.masks.to_array()) > 0.9999
    shown = np.concatenate([arrays[f"result.{index}.classes"] for index in range(4)])
    assert len(np.unique(shown)) >= 3


def test_untouched_folder_replays(exported):
    rows, problems = replay(exported.folder)
    assert problems == []
    assert {row.status for row in rows} == {"ok", "converted-not-run"}


def test_damaged_mean(folder):
    edit(folder, r"(mean:\n\s+- )0\.5", r"\g<1>0.45")
    problems = found_in(folder)
    assert problems[0].startswith("preprocess: mean is [0.44999")
    assert any(problem.startswith("preprocess: image 0: input differs") for problem in problems)


def test_damaged_std(folder):
    edit(folder, r"(std:\n\s+- )0\.5", r"\g<1>0.25")
    assert found_in(folder)[0].startswith("preprocess: std is [0.25")


def test_exchanged_colours(folder):
    edit(folder, "color: RGB", "color: BGR")
    assert "colour order BGR" in found_in(folder)[0]


def test_anchors_of_other_scales(folder):
    anchors = np.load(folder / "anchors.npy")
    anchors[:, 2:] *= 1.25
    np.save(folder / "anchors.npy", anchors)
    with pytest.raises(RuntimeEngineError, match=r"anchors\.npy has sha256"):
        found_in(folder)
    rehash(folder, "anchors.npy")
    problems = found_in(folder)
    assert any("compared rows of anchors.npy are not the network's; row 0 is" in problem for problem in problems)
    assert any(re.search(r"postprocess: image 0: \d+ of \d+ detections are missing", text) for text in problems)
    assert any(re.search(r"onnx: image 0: \d+ of \d+ detections are missing", text) for text in problems)
    assert not any("differs by" in problem for problem in problems)  # the graph itself is right


def test_anchors_of_another_number(folder):
    np.save(folder / "anchors.npy", np.load(folder / "anchors.npy")[:-3])
    rehash(folder, "anchors.npy")
    assert any("anchors.npy has 768 rows" in problem for problem in found_in(folder))


def test_anchors_that_are_none(folder):
    (folder / "anchors.npy").write_bytes(b"anchors")
    rehash(folder, "anchors.npy")
    with pytest.raises(RuntimeEngineError, match="holds no anchors"):
        replay(folder, FAST)


def test_exchanged_variances(folder):
    edit(folder, r"variances:\n\s+- 0\.1\n\s+- 0\.2", "variances: [0.2, 0.1]")
    assert any(problem.startswith("postprocess: image 0:") for problem in found_in(folder))


def test_transposed_prototypes(network, images, tmp_path):
    """A square input: no shape tells."""
    square = (96, 96)
    options, targets = ExportOptions(*square), ["onnx"]
    result = export_network(network, tmp_path / "square", options, subject(), images, targets=targets)

    def turn(graph):
        node = writer_of(graph, "proto")
        node.output[list(node.output).index("proto")] = "upright"
        graph.node.append(helper.make_node("Transpose", ["upright"], ["proto"], perm=[0, 1, 3, 2]))

    change_graph(result.folder, turn)
    problems = found_in(result.folder)
    assert "onnx: image 0: 'proto' differs by" in problems[0]
    assert "height and width are exchanged" in problems[0]
    assert any("masks differ" in problem for problem in problems)


def test_dropped_softmax(folder):
    def drop(graph):
        node = writer_of(graph, "conf")
        assert node.op_type == "Softmax"
        node.op_type = "Identity"
        del node.attribute[:]

    change_graph(folder, drop)
    problems = found_in(folder)
    assert "onnx: image 0: 'conf' differs by" in problems[0]
    assert "the softmax is missing" in problems[0]


def test_exchanged_outputs(folder):
    """Names of boxes and coefficients change places: the shapes tell."""

    def exchange(graph):
        names = {"loc": "mask", "mask": "loc"}
        for node in graph.node:
            node.output[:] = [names.get(name, name) for name in node.output]
        shapes = {value.name: value.type.tensor_type.shape.dim for value in graph.output}
        shapes["loc"][2].dim_value, shapes["mask"][2].dim_value = 8, 4

    change_graph(folder, exchange)
    assert any(
        "output 'loc' is float32 [1, 1023, 8]" in text or "'loc' is float32" in text for text in found_in(folder)
    )


def test_damaged_detections(folder):
    with np.load(folder / "golden.npz") as archive:
        arrays = dict(archive)
    arrays["result.1.classes"] = (arrays["result.1.classes"] + 1) % 5
    np.savez_compressed(folder / "golden.npz", **arrays)
    rehash(folder, "golden.npz")
    assert any(problem.startswith("postprocess: image 1:") for problem in found_in(folder))


def test_a_network_that_detects_nothing_proves_nothing(images, tmp_path):
    network = detector(size=SIZE)
    bias = network.prediction_layers[0].conf_layer.last.bias
    values = bias.numpy().reshape(-1, 6)
    values[:, 0] += 50
    bias.set_value(values.reshape(-1))
    with pytest.raises(ExportError, match="finds 0 objects of 0 of its 5 classes"):
        export_network(network, tmp_path / "a", ExportOptions(*SIZE), subject(), images, targets=["onnx"])
    result = export_network(
        network, tmp_path / "a", ExportOptions(*SIZE), subject(), images, targets=["onnx"], accept_weak=True
    )
    assert "weak verification" in result.manifest.notes["warning"]
    assert replay(result.folder)[1] == []


def test_one_class_is_enough_for_a_network_of_one(images, tmp_path):
    network = detector(size=SIZE, num_classes=1)
    options = ExportOptions(*SIZE, normalize_in_graph=True, input_dtype="uint8", layout="NHWC")
    targets = ["paddle", "onnx", "lite_x86"]
    result = export_network(network, tmp_path / "a", options, subject(num_classes=1), images, targets=targets)
    assert [row.status for row in result.rows] == ["ok"] * 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dynamic": True}, "anchors are constants"),
        ({"output_op": "softmax"}, "ends at its raw predictions"),
        ({"output_size": (8, 8)}, "ends at its raw predictions"),
    ],
)
def test_options_that_make_no_sense(network, changes, message):
    with pytest.raises(ExportError, match=message):
        task_for(network, ExportOptions(*SIZE, **changes))


def test_flags_of_the_other_task(network):
    with pytest.raises(ExportError, match="--output_op: not for a network of the task 'instance'"):
        refuse_foreign_flags(network, {"output_op": "argmax", "dynamic": None})
    refuse_foreign_flags(network, {"output_op": None, "layout": "NHWC"})
    with pytest.raises(ExportError, match="task 'semantic'"):
        refuse_foreign_flags(SimpleNamespace(task="semantic"), {"nms_in_graph": True})
