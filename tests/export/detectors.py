"""Instance networks whose random weights detect something: all classes, at a few anchors."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from mobileseg.export.from_config import synthetic_images
from mobileseg.export.manifest import Subject
from mobileseg.instance.layers import last_convolution
from mobileseg.registry import BACKBONES, NETWORKS
from tests.model_tester import fill

CLASSES = 5
SMALL = {"input_size": 96, "fpn_channels": 16, "num_prototypes": 8}


def detector(
    backbone: str = "MobileNetV2_x0_25",
    network: str = "MobileYolact",
    size: tuple[int, int] = (96, 128),
    num_classes: int = CLASSES,
    **arguments: Any,
) -> paddle.nn.Layer:
    """A filled network in evaluation mode, whose predictions spread as a trained one's do."""
    made = fill(NETWORKS.get(network)(num_classes, BACKBONES.get(backbone)(), **{**SMALL, **arguments}))
    settle(made, size)
    return made


def settle(network: paddle.nn.Layer, size: tuple[int, int]) -> None:
    """Statistics and last layers such that it detects something in synthetic images of the size."""
    images = np.stack(synthetic_images(size, 4)).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    _calibrate(network, images)
    for layer, spread in (("conf_layer", 3.0), ("bbox_layer", 1.0), ("mask_layer", 1.0)):
        _spread(network, layer, images, spread)
    _prefer_background(network, images)


def _calibrate(network: paddle.nn.Layer, images: np.ndarray) -> None:
    """Statistics of the norms from images, so that what the network says depends on what it sees."""
    norms = [layer for layer in network.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]
    kept = [layer._momentum for layer in norms]
    for layer in norms:
        layer._momentum = 0.0
    network.train()
    with paddle.no_grad():
        network(paddle.to_tensor(images))
    network.eval()
    for layer, momentum in zip(norms, kept, strict=True):
        layer._momentum = momentum
        # A channel that hardly varies would be blown up, and the rounding of an engine with it.
        layer._variance.set_value(layer._variance + 0.2 * layer._variance.mean())


def _raw(network: paddle.nn.Layer, layer: str, images: np.ndarray) -> np.ndarray:
    """Outputs of a layer of the head at all levels, [cells, channels]."""
    found: list[np.ndarray] = []
    head = getattr(network.prediction_layers[0], layer)
    last = last_convolution(head)
    hook = last.register_forward_post_hook(
        lambda _layer, _inputs, output: found.append(output.numpy().transpose(0, 2, 3, 1).reshape(-1, output.shape[1]))
    )
    with paddle.no_grad():
        network(paddle.to_tensor(images))
    hook.remove()
    return np.concatenate(found)


def _spread(network: paddle.nn.Layer, layer: str, images: np.ndarray, spread: float) -> None:
    """Give every channel mean 0 and the wanted standard deviation."""
    values = _raw(network, layer, images)
    last = last_convolution(getattr(network.prediction_layers[0], layer))
    factor = (spread / values.std(axis=0)).astype(np.float32)
    last.weight.set_value(last.weight.numpy() * factor[:, None, None, None])
    last.bias.set_value((last.bias.numpy() - values.mean(axis=0)) * factor)


def _prefer_background(network: paddle.nn.Layer, images: np.ndarray) -> None:
    """Background wins at all but a few hundredths of the anchors."""
    values = _raw(network, "conf_layer", images).reshape(-1, network.num_classes + 1)
    last = last_convolution(network.prediction_layers[0].conf_layer)
    bias = last.bias.numpy().reshape(-1, network.num_classes + 1)
    bias[:, 0] += np.quantile(values[:, 1:].max(axis=1) - values[:, 0], 0.97)
    last.bias.set_value(bias.reshape(-1))


def subject(name: str = "detector", num_classes: int = CLASSES, **fields: Any) -> Subject:
    """Numbered classes in shades of grey."""
    return Subject(
        name,
        tuple(f"thing {index}" for index in range(num_classes)),
        tuple((40 * index, 40 * index, 40 * index) for index in range(num_classes)),
        **fields,
    )
