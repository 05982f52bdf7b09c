"""The counted costs of graphs against those that the suite counts of whole networks."""

import importlib.util
from pathlib import Path

import pytest

from mobileseg.backbones.mobilenetv2 import MobileNetV2_x0_25
from mobileseg.nn.cost import measure, total
from mobileseg.video.yolact_edge import MobileYolactEdge

SCRIPT = Path(__file__).parents[2] / "tools" / "video_costs.py"


def test_graphs_and_kinds_of_frames() -> None:
    spec = importlib.util.spec_from_file_location("video_costs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    network = MobileYolactEdge(3, MobileNetV2_x0_25(), input_size=64, fpn_channels=16)
    costs = script.multiply_adds(network, 64)
    whole = sum(costs[name] for name in ("stem", "deep", "flow", "heads"))
    assert whole == pytest.approx(total(measure(network, 64, 64)).macs / 1e6)
    assert costs["key"] == pytest.approx(whole - costs["flow"])
    assert costs["nonkey"] == pytest.approx(whole - costs["deep"])
