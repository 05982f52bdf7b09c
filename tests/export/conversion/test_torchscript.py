"""TorchScript from the ONNX graph; needs PyTorch and onnx2torch, which nothing else does."""

import pytest

from mobileseg.errors import ExportError
from mobileseg.export.exporter import export_network
from mobileseg.export.from_config import synthetic_images
from mobileseg.export.options import ExportOptions
from mobileseg.export.verify import replay
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.segmenter import Segmenter
from tests.export import detectors, families
from tests.export.conftest import SUBJECT, options

pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'mobileseg[torchscript]')")
pytest.importorskip("onnx2torch", reason="onnx2torch is not installed (pip install 'mobileseg[torchscript]')")

TARGETS = ["onnx", "torchscript"]


def check(result):
    row = next(row for row in result.rows if row.target == "torchscript")
    assert (row.engine, row.status) == ("torchscript", "ok"), row
    assert row.max_diff is None or row.max_diff < 1e-3
    assert row.equal > 0.98
    rows, problems = replay(result.folder, ["torchscript"])
    assert ([row.status for row in rows], problems) == (["ok"], [])


@pytest.mark.parametrize("family", families.FAMILIES)
def test_labels_per_pixel(family, tmp_path):
    network = families.build(family)
    form = ExportOptions(96, 160)
    images = synthetic_images((96, 160), 4)
    check(export_network(network, tmp_path / "a", form, families.subject(family, network), images, targets=TARGETS))


@pytest.mark.parametrize("changes", [{}, {"input_dtype": "uint8", "normalize_in_graph": True, "layout": "NHWC"}])
def test_detections(changes, tmp_path):
    network = detectors.detector(size=(96, 128))
    form = ExportOptions(96, 128, **changes)
    images = synthetic_images((120, 150), 5)
    result = export_network(network, tmp_path / "a", form, detectors.subject(), images, targets=TARGETS)
    check(result)
    manifest = Manifest.read(result.folder)
    assert manifest.graphs["main"].files["torchscript"].names() == ["model.pt"]
    ours, theirs = (Segmenter(result.folder, engine)(images[0]) for engine in ("torchscript", "onnxruntime"))
    assert abs(len(ours) - len(theirs)) <= 1


def test_softmax_in_the_graph(toy, images, tmp_path):
    check(export_network(toy, tmp_path / "a", options(output_op="softmax"), SUBJECT, images, targets=TARGETS))


@pytest.mark.parametrize("changes", [{"dynamic": True}])
def test_an_open_size_is_refused(toy, images, tmp_path, changes):
    with pytest.raises(ExportError, match="keeps the sizes that it was traced with"):
        export_network(toy, tmp_path / "a", options(**changes), SUBJECT, images, targets=TARGETS)


@pytest.mark.long
@pytest.mark.parametrize("backbone", ["MobileNetV3_large_x1_0", "ShuffleNetV2_x1_0", "GhostNet_x1_0", "Lite_HRNet_18"])
@pytest.mark.parametrize("network", ["MobileYolact", "Yolact"])
def test_backbones(network, backbone, tmp_path):
    made = detectors.detector(backbone, network, (128, 128))
    form = ExportOptions(128, 128)
    check(
        export_network(made, tmp_path / "a", form, detectors.subject(), synthetic_images((90, 120), 5), targets=TARGETS)
    )
