"""Write the PyTorch files of tests/reference/torch: small networks under the names of YOLACT and of yolact_edge.

Run it with PyTorch installed, which the suite itself never needs (the committed files: torch 1.11.0):

    python tools/make_torch_files.py tests/reference/torch

``yolact_legacy.pth`` is in the layout before PyTorch 1.6, with what old files of YOLACT hold twice or never used;
``yolact_edge_zip.pth`` is in the layout since. Every value follows from its name (tests/reference_fill.py).
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.reference_fill import INSTANCE_GAIN, fill_value

BACKBONE, PYRAMID, PROTOTYPES, CLASSES, ANCHORS = 2, 4, 2, 2, 3


class State(OrderedDict[str, Any]):
    """Tensors by name, as ``module.state_dict()`` gives them."""

    def tensor(self, name: str, *shape: int) -> None:
        self[name] = torch.from_numpy(fill_value(name, shape, INSTANCE_GAIN).copy())

    def norm(self, name: str) -> None:
        for entry in ("weight", "bias", "running_mean", "running_var"):
            self.tensor(f"{name}.{entry}", BACKBONE)
        self[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def conv(self, name: str, outputs: int, inputs: int, kernel: int = 3) -> None:
        self.tensor(f"{name}.weight", outputs, inputs, kernel, kernel)
        self.tensor(f"{name}.bias", outputs)


def network(lateral: str, rest: str, downsamples: int) -> State:
    """A YOLACT on a ResNet of one basic unit per stage; the pyramid's parts are named as told."""
    state = State()
    for stage in range(4):
        unit = f"backbone.layers.{stage}.0"
        for number in (1, 2):
            state.tensor(f"{unit}.conv{number}.weight", BACKBONE, BACKBONE, 3, 3)
            state.norm(f"{unit}.bn{number}")
        if stage:
            state.tensor(f"{unit}.downsample.0.weight", BACKBONE, BACKBONE, 1, 1)
            state.norm(f"{unit}.downsample.1")
    state.tensor("backbone.conv1.weight", BACKBONE, 3, 7, 7)
    state.norm("backbone.bn1")
    for index in (0, 2, 4, 8):
        state.conv(f"proto_net.{index}", PYRAMID, PYRAMID)
    state.conv("proto_net.10", PROTOTYPES, PYRAMID, 1)
    for index in range(3):
        state.conv(f"{lateral}.lat_layers.{index}", PYRAMID, BACKBONE, 1)
    for index in range(3):
        state.conv(f"{rest}.pred_layers.{index}", PYRAMID, PYRAMID)
    for index in range(downsamples):
        state.conv(f"{rest}.downsample_layers.{index}", PYRAMID, PYRAMID)
    head = "prediction_layers.0"
    state.conv(f"{head}.upfeature.0", PYRAMID, PYRAMID)
    for layer, length in (("bbox", 4), ("conf", CLASSES + 1), ("mask", PROTOTYPES)):
        state.conv(f"{head}.{layer}_layer", ANCHORS * length, PYRAMID)
    state.conv("semantic_seg_conv", CLASSES, PYRAMID, 1)
    return state


def main(folder: Path) -> None:
    old = network("fpn", "fpn", downsamples=4)
    for name in [name for name in old if name.startswith("backbone.layers.3.")]:
        old[name.replace("layers.3", "layer4")] = old[name]
    torch.save(OrderedDict(old), folder / "yolact_legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(OrderedDict(network("fpn_phase_1", "fpn_phase_2", downsamples=2)), folder / "yolact_edge_zip.pth")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
