"""The semantic segmentation models on every engine, at sizes whose coarsest map bins and pools do not divide."""

import numpy as np
import pytest

from mobileseg.export.exporter import export_network
from mobileseg.export.from_config import synthetic_images
from mobileseg.export.options import TARGETS, ExportOptions
from mobileseg.runtime.segmenter import Segmenter
from tests.export.families import FAMILIES, OTHERS, assemble, build, subject


def check(family, size, folder, targets=tuple(TARGETS)):
    network = build(family)
    options = ExportOptions(*size, output_op="none")
    images = synthetic_images(size, 4)
    result = export_network(network, folder, options, subject(family, network), images, targets=targets)
    assert [row.target for row in result.rows] == list(targets)
    assert {row.target for row in result.rows if row.status != "ok"} <= {"lite_arm"}
    for row in result.rows:
        assert row.max_diff is None or row.max_diff < 1e-3


AWKWARD = [
    *FAMILIES,
    *(name if name == "ppmobileseg_tiny" else pytest.param(name, marks=pytest.mark.long) for name in OTHERS),
]


@pytest.mark.parametrize("family", AWKWARD)
def test_family_at_an_awkward_size(family, tmp_path):
    """A 3x5 map of stride 32, 4 bins; on two engines here, on all of them in the long tests."""
    check(family, (96, 160), tmp_path / family, ("onnx", "lite_x86"))


def test_open_size(tmp_path):
    """Verified at two sizes; then an image that fits no multiple, padded, is answered alike by all engines."""
    network = assemble("ShuffleNetV2_x0_25", {}, {})
    options = ExportOptions(128, 128, dynamic=True, output_op="none")
    images = synthetic_images((150, 100), 4)
    targets = ["paddle", "onnx", "lite_x86"]
    result = export_network(network, tmp_path / "a", options, subject("open", network), images, targets=targets)
    assert [row.status for row in result.rows] == ["ok"] * 3
    assert result.manifest.image.multiple == 128  # stride 32, 4 bins
    engines = [Segmenter(result.folder, engine=name) for name in ("onnxruntime", "paddle")]
    for picture in (images[0], images[1][:70], images[2][:, :90]):
        one, other = (segmenter(picture).labels for segmenter in engines)
        assert one.shape == picture.shape[:2]
        assert np.mean(one == other) > 0.999


@pytest.mark.long
@pytest.mark.parametrize(
    "size", [(96, 160), (256, 256), (256, 320), (360, 480)], ids=lambda size: f"{size[0]}x{size[1]}"
)
@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_family(family, size, tmp_path):
    check(family, size, tmp_path / family)
