"""Instance networks on every backbone and engine, at a size whose maps are odd."""

import pytest

import mobileseg.instance.model  # noqa: F401  # registers the networks and, through them, the backbones
from mobileseg.export.exporter import export_network
from mobileseg.export.from_config import synthetic_images
from mobileseg.export.options import TARGETS, ExportOptions
from mobileseg.registry import BACKBONES
from tests.export.detectors import detector, subject

CASES = [*(("MobileYolact", name) for name in BACKBONES), ("Yolact", "ResNet50"), ("Yolact", "MobileNetV2_x1_0")]


@pytest.mark.long
@pytest.mark.timeout(1800)  # Lite-HRNet has two thousand operators
@pytest.mark.parametrize(("network", "backbone"), CASES)
def test_backbone(network, backbone, tmp_path):
    size = (100, 140)
    made = detector(backbone, network, size)
    result = export_network(made, tmp_path / "a", ExportOptions(*size), subject(), synthetic_images((90, 120), 5))
    assert [row.target for row in result.rows] == list(TARGETS)
    assert {row.target for row in result.rows if row.status != "ok"} == {"lite_arm"}
    for row in result.rows:
        assert row.max_diff is None or row.max_diff < 1e-3
        assert row.equal is None or row.equal > 0.95
