"""The five published MobileSeg networks and those on other backbones, with weights by the rule of names."""

from __future__ import annotations

from typing import Any

import paddle

from mobileseg.config.build import build_network
from mobileseg.export.from_config import synthetic_images
from mobileseg.export.manifest import Subject
from mobileseg.registry import BACKBONES
from mobileseg.semantic.model import MobileSeg
from mobileseg.semantic.pp_mobileseg import VIM_CLASSES
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

OTHERS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "topformer": ("TopFormer", CLASSES, {"type": "TopTransformer_Tiny"}),
    "ppmobileseg_tiny": ("PPMobileSeg", CLASSES, {"type": "MobileSeg_Tiny", "inj_type": "AAM"}),
    "ppmobileseg_tiny_x8": ("PPMobileSeg", CLASSES, {"type": "MobileSeg_Tiny", "inj_type": "AAMSx8"}),
    "ppmobileseg_vim": ("PPMobileSeg", VIM_CLASSES, {"type": "MobileSeg_Tiny"}),
}
"""Name -> registered network, classes, section of its backbone: networks with a decoder of their own."""


def build(family: str) -> paddle.nn.Layer:
    """MobileSeg with the decoder as published, or another network, in evaluation mode."""
    if family in OTHERS:
        kind, classes, section = OTHERS[family]
        form = {"upsample": "vim"} if classes == VIM_CLASSES else {}
        return settle(fill(build_network({"type": kind, "num_classes": classes, "backbone": section, **form})))
    return assemble(*FAMILIES[family])


def assemble(backbone: str, arguments: dict[str, Any], head: dict[str, Any]) -> paddle.nn.Layer:
    """MobileSeg on a backbone, in evaluation mode."""
    return settle(fill(MobileSeg(CLASSES, BACKBONES.get(backbone)(**arguments), **PUBLISHED, **head)))


def settle(network: paddle.nn.Layer) -> paddle.nn.Layer:
    """The network in evaluation mode, balanced."""
    network.eval()
    _balance(network)
    return network


def _balance(network: paddle.nn.Layer) -> None:
    """Let all classes win somewhere, which untrained networks do not: no class prefers the mean feature."""
    head = network.seg_heads[0] if isinstance(network, MobileSeg) else network.decode_head
    last = [layer for layer in head.sublayers() if isinstance(layer, paddle.nn.Conv2D)][-1]
    means = []
    handle = last.register_forward_pre_hook(lambda _layer, inputs: means.append(inputs[0].mean(axis=[0, 2, 3])))
    image = synthetic_images((96, 160), 1)[0].transpose(2, 0, 1)[None].astype("float32") / 127.5 - 1
    with paddle.no_grad():
        network(paddle.to_tensor(image))
        handle.remove()
        mean = means[0].reshape([1, -1, 1, 1])
        preference = (last.weight * mean).sum(axis=1, keepdim=True)
        last.weight.set_value(last.weight - preference * mean / (mean * mean).sum())
        if last.bias is not None:
            last.bias.set_value(paddle.zeros_like(last.bias))


def subject(name: str, network: paddle.nn.Layer) -> Subject:
    """Numbered classes in shades of grey."""
    return Subject(
        name,
        tuple(f"class {index}" for index in range(network.num_classes)),
        tuple((8 * index, 8 * index, 8 * index) for index in range(network.num_classes)),
        multiple=int(getattr(network, "size_multiple", 1)),
    )
