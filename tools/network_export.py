"""What the tools that compare exports of one network share: the network, its export, and an image to show to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from mobileseg.config.load import Config
    from mobileseg.export.options import ExportOptions


def network_of(config_file: str, overrides: Sequence[str], model_path: str | None) -> tuple[Config, Any]:
    """A configuration and its network for evaluation: the same random weights every time, or those of a file."""
    import paddle

    from mobileseg.config.build import build_network
    from mobileseg.config.load import load_config
    from mobileseg.training.weights import load_checkpoint_weights

    config = load_config(config_file, overrides)
    paddle.seed(0)
    network = build_network(config, load_pretrained=False)
    if model_path:
        load_checkpoint_weights(model_path, network)
    network.eval()
    return config, network


def export_to(
    config: Config,
    network: Any,
    folder: Path,
    *,
    size: Sequence[int],
    targets: Sequence[str],
    untrained: bool,
    **more: Any,
) -> ExportOptions:
    """Write an exported model, as `mobileseg export` does.

    Args:
        config: see `network_of`.
        network: see `network_of`.
        folder: to make.
        size: height and width of the input.
        targets: engines to export for.
        untrained: the weights are random ones.
        more: keys of the section ``export``, such as ``output_op``.
    """
    from mobileseg.export.exporter import export
    from mobileseg.export.from_config import options_from

    options = options_from(config, {"height": size[0], "width": size[1], **more})
    export(network, config, folder, options=options, targets=targets, accept_weak=True, untrained=untrained)
    return options


def image_of(path: str | None, size: tuple[int, int]) -> np.ndarray:
    """uint8 [H, W, 3] in RGB: a photograph at this size, or an image of the suite's generator."""
    import cv2

    from mobileseg.data.io import read_image
    from mobileseg.export.from_config import synthetic_images
    from mobileseg.pixels import resize

    if path is None:
        return synthetic_images(size, 1)[0]
    return resize(read_image(path), size, cv2.INTER_AREA)
