"""Costs against published and hand-counted numbers."""

from __future__ import annotations

import paddle
import pytest
from paddle import nn

from mobileseg.backbones.mobilenetv2 import MobileNetV2_x1_0
from mobileseg.instance.model import MobileYolact, Yolact
from mobileseg.nn.cost import REST, Cost, measure, total
from mobileseg.semantic.model import MobileSeg
from tests.model_tester import PUBLISHED

pytestmark = pytest.mark.both


class Small(nn.Layer):
    """One of each kind of layer, and one that only training uses."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2D(3, 4, 3, stride=2, padding=1), nn.BatchNorm2D(4), nn.Conv2D(4, 4, 3, groups=4)
        )
        self.up = nn.Conv2DTranspose(4, 2, 2, stride=2)
        self.last = nn.Linear(2, 5)
        self.aside = nn.Conv2D(4, 7, 1)

    def components(self) -> dict[str, nn.Layer]:
        return {"body": self.body, "tail": nn.LayerList([self.up, self.last])}

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = self.up(self.body(x))
        return self.last(x.mean(axis=[2, 3]))


def test_counted_by_hand() -> None:
    network = Small()
    costs = measure(network, 8, 12)
    # 8x12 -> 4x6 -> 2x4 -> 4x8
    assert costs["body"] == Cost(3 * 4 * 9 + 4 + 8 + 4 * 9 + 4, 24 * 4 * 27 + 8 * 4 * 9)
    assert costs["tail"] == Cost(4 * 2 * 4 + 2 + 2 * 5 + 5, 8 * 4 * 2 * 4 + 10)
    assert costs[REST] == Cost(4 * 7 + 7, 0)
    assert total(costs) == Cost(
        costs["body"].parameters + costs["tail"].parameters, costs["body"].macs + costs["tail"].macs
    )


def test_leaves_the_network_as_it_was() -> None:
    network = Small()
    network.body[1].eval()
    first = measure(network, 8, 12)
    assert (network.training, network.body[1].training, network.body[0].training) == (True, False, True)
    assert measure(network, 8, 12) == first, "the counters must be gone after each run"


def test_published_multiply_adds_of_mobileseg() -> None:
    network = MobileSeg(19, MobileNetV2_x1_0(), **PUBLISHED)
    costs = measure(network, 256, 256)
    assert total(costs).macs / 1e6 == pytest.approx(400.5, abs=0.1)
    assert total(costs).parameters + costs[REST].parameters == 2_058_752


@pytest.mark.parametrize(
    ("network", "arguments", "size", "parameters", "macs"),
    [
        (Yolact, {}, 550, 6.834e6, 32.67e9),
        (MobileYolact, {"fpn_channels": 256, "proto_convs": [3, 1]}, 550, 0.908e6, 4.00e9),
        (MobileYolact, {"proto_convs": [1, 1]}, 550, 0.255e6, 1.08e9),
        (MobileYolact, {"proto_convs": [1, 1]}, 416, 0.255e6, 0.61e9),
        (MobileYolact, {"proto_convs": [1, 1]}, 320, 0.255e6, 0.36e9),
    ],
    ids=["yolact", "separable", "half", "half-416", "half-320"],
)
def test_estimates_made_before_the_networks_existed(network, arguments, size, parameters, macs) -> None:
    """Everything behind MobileNetV2, counted on paper from the layers' shapes, norms left out."""
    costs = measure(network(80, MobileNetV2_x1_0(), **arguments), size, size)
    behind = [cost for name, cost in costs.items() if name not in ("backbone", REST)]
    assert sum(cost.macs for cost in behind) == pytest.approx(macs, rel=0.01)
    norms = 0.03 if network is MobileYolact else 0
    assert sum(cost.parameters for cost in behind) == pytest.approx(parameters, rel=0.002 + norms)


def test_a_network_without_components_is_one() -> None:
    costs = measure(paddle.nn.Conv2D(3, 4, 3), 8, 8)
    assert costs["network"] == Cost(3 * 4 * 9 + 4, 3 * 4 * 9 * 6 * 6)
    assert total(costs) == costs["network"]
