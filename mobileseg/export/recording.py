"""Recording the reference: the network in memory, run on real images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from mobileseg.errors import ExportError
from mobileseg.export.golden import GoldenItem, Reference
from mobileseg.export.options import ExportOptions
from mobileseg.export.task import ExportTask
from mobileseg.nn.modes import evaluating
from mobileseg.pixels import resize, resize_bilinear

ITEMS = 4
CANDIDATES = 12
_LONGEST_SIDE = 320  # of a stored image


def build_reference(
    task: ExportTask,
    network: Any,
    options: ExportOptions,
    images: Sequence[np.ndarray],
    sizes: Sequence[tuple[int, int]],
    source: str,
) -> Reference:
    """Run a network on images and keep what its graphs must reproduce.

    Args:
        task: of the network.
        network: Paddle layer.
        options: form of the export.
        images: uint8 [h,w,3] RGB, at least four.
        sizes: (height, width) to run at; the images are dealt out to them in turn.
        source: where the images are from.

    Raises:
        ExportError: fewer images than needed, or outputs that are not finite.
    """
    if len(images) < ITEMS:
        raise ExportError(
            f"verification needs at least {ITEMS} images, {source} gives {len(images)}",
            remedy="name more with --images",
        )
    with evaluating(network):
        items = task.record(network, options, images, sizes)
    normalize = np.array([options.mean, options.std], np.float32)
    return Reference(items, normalize, source, task.common_arrays())


def record_images(
    task: ExportTask,
    network: Any,
    options: ExportOptions,
    images: Sequence[np.ndarray],
    sizes: Sequence[tuple[int, int]],
) -> tuple[GoldenItem, ...]:
    """Frames that are streams by themselves; of the images those are taken that together show the most classes."""
    candidates = []
    for index, image in enumerate(images[:CANDIDATES]):
        taken, fed, batch = prepared(image, options, sizes[index % len(sizes)])
        candidates.append(task.item(network, options, taken, fed, batch))
    return tuple(task.settle(item) for item in _most_classes(candidates, len(sizes)))


def prepared(image: np.ndarray, options: ExportOptions, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, Any]:
    """The image as it is stored, what graphs are fed for it, and a Paddle tensor of what the network is fed."""
    import paddle

    image = _shrunk(image)
    pixels = resize_bilinear(image.astype(np.float32), size)
    if options.dynamic:  # the graph takes the image as it is, so the stored image has the size itself
        image = np.clip(np.rint(pixels), *options.pixel_range).astype(image.dtype)
        pixels = image.astype(np.float32)
    return image, to_input(pixels, options), paddle.to_tensor(to_network(pixels, options))


def to_input(pixels: np.ndarray, options: ExportOptions) -> np.ndarray:
    """The graph's input from float32 [H,W,C] pixels (RGB, 0..255, or as the options say) of the input's size."""
    if options.input_dtype == "uint8":
        value = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    elif options.normalize_in_graph:
        value = pixels.astype(np.float32)
    else:
        value = normalised(pixels, options)
    return np.ascontiguousarray(value[None] if options.layout == "NHWC" else value.transpose(2, 0, 1)[None])


def to_network(pixels: np.ndarray, options: ExportOptions) -> np.ndarray:
    """The network's input, float32 [1,3,H,W], that belongs to the graph's input for the same pixels."""
    seen = np.clip(np.rint(pixels), 0, 255) if options.input_dtype == "uint8" else pixels
    return np.ascontiguousarray(normalised(seen, options).transpose(2, 0, 1)[None])


def normalised(pixels: np.ndarray, options: ExportOptions) -> np.ndarray:
    """float32 [H,W,C]: the training's formula, in its order."""
    mean, std = np.array(options.mean, np.float32), np.array(options.std, np.float32)
    length = np.float32(options.pixel_range[1] - options.pixel_range[0])
    return ((pixels.astype(np.float32) / length - mean) / std).astype(np.float32)


def _most_classes(candidates: Sequence[GoldenItem], sizes: int) -> tuple[GoldenItem, ...]:
    """Four candidates that show the most classes, each size represented."""
    left = list(range(len(candidates)))
    shown: set[int] = set()
    chosen: list[int] = []
    for turn in range(ITEMS):
        pool = [index for index in left if index % sizes == turn % sizes] or left
        best = max(pool, key=lambda index: (len(candidates[index].shown() - shown), candidates[index].richness()))
        chosen.append(best)
        left.remove(best)
        shown |= candidates[best].shown()
    return tuple(candidates[index] for index in chosen)


def _shrunk(image: np.ndarray) -> np.ndarray:

    height, width = image.shape[:2]
    factor = _LONGEST_SIDE / max(height, width)
    if factor >= 1:
        return np.ascontiguousarray(image)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    return resize(image, size, cv2.INTER_AREA)
