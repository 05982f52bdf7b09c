"""The five published MobileSeg networks and those on other backbones, with weights by the rule of names."""

from __future__ import annotations

from typing import Any

import paddle

from mobileseg.export.from_config import drawn_images
from mobileseg.export.manifest import Subject
from mobileseg.registry import BACKBONES
from mobileseg.semantic.model import MobileSeg
from tests.model_tester import PUBLISHED, fill

CLASSES = 5

FAMILIES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "mobilenetv2": ("MobileNetV2_x1_0", {}, {}),
    "mobilenetv3": ("MobileNetV3_large_x1_0", {}, {}),
    "litehrnet18": ("Lite_HRNet_18", {"use_head": True}, {"backbone_indices": (0, 1, 2)}),
    "shufflenetv2": ("ShuffleNetV2_x1_0", {}, {}),
    "ghostnet": ("GhostNet_x1_0", {}, {}),
    "efficientnet_lite0": ("EfficientNetLite0", {}, {}),
    "topformer_tiny": ("TopTransformer_Tiny", {}, {}),
}
"""Name -> registered backbone, its arguments, further arguments of MobileSeg."""


def build(family: str) -> paddle.nn.Layer:
    """MobileSeg with the decoder as published, in evaluation mode."""
    return assemble(*FAMILIES[family])


def assemble(backbone: str, arguments: dict[str, Any], head: dict[str, Any]) -> paddle.nn.Layer:
    """MobileSeg on a backbone, in evaluation mode."""
    network = fill(MobileSeg(CLASSES, BACKBONES.get(backbone)(**arguments), **PUBLISHED, **head))
    network.eval()
    _balance(network)
    return network


def _balance(network: paddle.nn.Layer) -> None:
    """Let all classes win somewhere, which untrained networks do not: no class prefers the mean feature."""
    last = next(
        layer
        for layer in network.seg_heads[0].sublayers()
        if isinstance(layer, paddle.nn.Conv2D) and layer.weight.shape[0] == CLASSES
    )
    means = []
    handle = last.register_forward_pre_hook(lambda _layer, inputs: means.append(inputs[0].mean(axis=[0, 2, 3])))
    image = drawn_images((96, 160), 1)[0].transpose(2, 0, 1)[None].astype("float32") / 127.5 - 1
    with paddle.no_grad():
        network(paddle.to_tensor(image))
        handle.remove()
        mean = means[0].reshape([1, -1, 1, 1])
        preference = (last.weight * mean).sum(axis=1, keepdim=True)
        last.weight.set_value(last.weight - preference * mean / (mean * mean).sum())


def subject(name: str, network: paddle.nn.Layer) -> Subject:
    """Numbered classes in shades of grey."""
    return Subject(
        name,
        tuple(f"class {index}" for index in range(CLASSES)),
        tuple((40 * index, 40 * index, 40 * index) for index in range(CLASSES)),
        multiple=int(getattr(network, "size_multiple", 1)),
    )
