"""Multiply-adds of key and non-key frames, for the table in docs/video.md::

python tools/video_costs.py
"""

from __future__ import annotations

import zlib  # noqa: F401  # before Paddle 2.6, which brings a zlib that breaks Python's
from collections.abc import Sequence
from typing import Any, NamedTuple

import paddle
from paddle import nn

from mobileseg.registry import BACKBONES, NETWORKS
from mobileseg.video.names import KEY, NONKEY

CLASSES = 40
EVERY = 5


class Setting(NamedTuple):
    """A network of the table."""

    network: str
    backbone: str
    size: int
    options: dict[str, Any] = {}  # noqa: RUF012  # read only
    taps: str = ""


SETTINGS = (
    Setting("YolactEdge", "ResNet101", 550),
    Setting("YolactEdge", "ResNet50", 550),
    Setting("YolactEdge", "MobileNetV2_x1_0", 550, taps="yolact_edge"),
    Setting("MobileYolactEdge", "MobileNetV2_x1_0", 320),
    Setting("MobileYolactEdge", "MobileNetV2_x1_0", 320, {"flow_channels": 64, "flow_widths": [96, 128]}),
    Setting("MobileYolactEdge", "MobileNetV2_x1_0", 320, {"flow_channels": 16, "flow_widths": [24, 32]}),
    Setting("MobileYolactEdge", "MobileNetV2_x1_0", 320, {"refine": False}),
    Setting("MobileYolactEdge", "MobileNetV2_x1_0", 320, {"fpn_channels": 64}),
    Setting("MobileYolactEdge", "MobileNetV3_large_x1_0", 320),
    Setting("MobileYolactEdge", "EfficientNetLite0", 320),
    Setting("MobileYolactEdge", "ResNet18", 320),
)


def multiply_adds(network: Any, size: int) -> dict[str, float]:
    """Millions per graph, for one image of size x size; also of both kinds of frame."""
    network.eval()
    deployed = network.graphs((size, size))
    found: dict[str, float] = {}
    for graph in deployed.graphs:
        counts: list[int] = []

        def count(layer: nn.Conv2D, _inputs: Any, output: paddle.Tensor, counts: list[int] = counts) -> None:
            counts.append(int(layer.weight.size) * int(output.shape[2]) * int(output.shape[3]))

        layers = [layer for layer in graph.layer.sublayers() if isinstance(layer, nn.Conv2D)]
        handles = [layer.register_forward_post_hook(count) for layer in layers]
        with paddle.no_grad():
            graph.layer(*(paddle.zeros(list(spec.shape)) for spec in graph.inputs))
        for handle in handles:
            handle.remove()
        found[graph.name] = sum(counts) / 1e6
    sums = {name: sum(found[graph] for graph in graphs) for name, graphs in deployed.pipelines.items()}
    return found | sums


def row(setting: Setting) -> str:
    """A line of the Markdown table."""
    taps = {"taps": setting.taps} if setting.taps else {}
    backbone = BACKBONES.get(setting.backbone)(**taps)
    network = NETWORKS.get(setting.network)(CLASSES, backbone, input_size=setting.size, **setting.options)
    costs = multiply_adds(network, setting.size)
    key, other = costs[KEY], costs[NONKEY]
    options = ", ".join(f"{name} {value}" for name, value in setting.options.items()) or "-"
    values: Sequence[float] = [costs[name] for name in ("stem", "deep", "flow", "heads")]
    cells = [f"{value:,.0f}" for value in (*values, key, other)]
    stream = EVERY * key / (key + (EVERY - 1) * other)
    return (
        f"| {setting.network} | {setting.backbone} | {setting.size} | {options} | {' | '.join(cells)} | "
        f"{key / other:.2f} | {stream:.2f} |"
    )


def main() -> None:
    """Print the table."""
    print(
        "| network | backbone | size | options | stem | deep | flow | heads | key | non-key | key / non-key | stream |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for setting in SETTINGS:
        print(row(setting), flush=True)


if __name__ == "__main__":
    main()
