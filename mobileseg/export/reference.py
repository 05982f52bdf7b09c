"""The reference that every graph is compared with: the network in memory, run on real images.

What is kept of it in an artefact folder is ``golden.npz``; for the item ``i`` of every task:

- ``image.i`` uint8 [h,w,3] RGB; ``input.i`` what the graph is fed; ``output.i.<name>`` what it must answer;
- ``stride.i`` int: inputs are kept at every stride-th pixel, so that the file stays small;
- ``scale.i.<name>`` standard deviation of the whole output;
- ``normalize`` float32 [2,3]: mean and standard deviation that the network was trained with;

and what the task adds (:mod:`mobileseg.export.semantic`, :mod:`mobileseg.export.instance_item`).
"""

from __future__ import annotations

import abc
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mobileseg.data.io import resize_bilinear
from mobileseg.errors import ExportError
from mobileseg.export.options import ExportOptions
from mobileseg.resize import resize

if TYPE_CHECKING:
    from mobileseg.export.task import Task

ITEMS = 4
CANDIDATES = 12
_LONGEST_SIDE = 320  # of a stored image


@dataclass(frozen=True, kw_only=True)
class Item(abc.ABC):
    """One image on its way through the network.

    Attributes:
        image: uint8 [h,w,3] RGB.
        input: what the graph is fed, at every ``stride``-th pixel.
        outputs: what the graph must answer, by name.
        scales: standard deviation of outputs.
        stride: 1 unless this was read from golden.npz.
    """

    image: np.ndarray
    input: np.ndarray
    outputs: dict[str, np.ndarray]
    scales: dict[str, float]
    stride: int = 1

    @abc.abstractmethod
    def shown(self) -> set[int]:
        """Classes in the result."""

    def richness(self) -> int:
        """Decides between images that show equally many new classes."""
        return 0

    @abc.abstractmethod
    def stored(self, first: bool) -> dict[str, np.ndarray]:
        """Arrays for golden.npz, ``<key>`` or ``<key>.<name>``; the first item may take more space."""


@dataclass(frozen=True)
class Reference:
    """Several items of one network.

    Attributes:
        items: the images.
        normalize: float32 [2,3], mean and std.
        source: where the images are from, for people.
        common: arrays that the task keeps beside the items.
    """

    items: tuple[Any, ...]
    normalize: np.ndarray
    source: str = ""
    common: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def classes_present(self) -> tuple[int, ...]:
        """Classes that some item shows."""
        return tuple(sorted(set().union(*(item.shown() for item in self.items))))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``golden.npz``."""
        arrays: dict[str, np.ndarray] = {"normalize": self.normalize, **self.common}
        for index, item in enumerate(self.items):
            for key, value in item.stored(first=index == 0).items():
                head, _, name = key.partition(".")
                arrays[f"{head}.{index}.{name}" if name else f"{head}.{index}"] = value
        np.savez_compressed(path, **arrays)


def load_reference(path: str | os.PathLike[str], task: Task) -> Reference:
    """Read ``golden.npz``.

    Raises:
        ExportError: the file is missing, damaged, or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        items: list[dict[str, np.ndarray]] = [{} for key in arrays if key.startswith("image.")]
        common = {}
        for key, value in arrays.items():
            head, _, rest = key.partition(".")
            index, _, name = rest.partition(".")
            if rest:
                items[int(index)][f"{head}.{name}" if name else head] = value
            else:
                common[key] = value
        normalize = common.pop("normalize")
        return Reference(tuple(task.load_item(item) for item in items), normalize, "golden.npz", common)
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise ExportError(
            f"{path} cannot be read as the reference of an artefact: {error}", remedy="export the folder again"
        ) from error


def build_reference(
    task: Task,
    network: Any,
    options: ExportOptions,
    images: Sequence[np.ndarray],
    sizes: Sequence[tuple[int, int]],
    source: str,
) -> Reference:
    """Run a network on images and keep what a graph must reproduce.

    Of the images those are taken that together show the most classes.

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
    was_training = network.training
    network.eval()
    try:
        candidates = [
            _run(task, network, options, image, sizes[index % len(sizes)])
            for index, image in enumerate(images[:CANDIDATES])
        ]
    finally:
        if was_training:
            network.train()
    items = tuple(task.settle(item) for item in _most_classes(candidates, len(sizes)))
    normalize = np.array([options.mean, options.std], np.float32)
    return Reference(items, normalize, source, task.common_arrays())


def subsample(array: np.ndarray, stride: int) -> np.ndarray:
    """Every stride-th pixel of [1,C,H,W] or [1,H,W,3]."""
    if stride == 1:
        return array
    if array.ndim == 4 and array.shape[3] == 3 and array.shape[1] != 3:
        return array[:, ::stride, ::stride]
    return array[:, :, ::stride, ::stride]


def stride_for(size: int, budget: int) -> int:
    """The smallest stride that brings an array of ``size`` bytes below a budget."""
    stride = 1
    while size / stride**2 > budget:
        stride += 1
    return stride


def to_input(pixels: np.ndarray, options: ExportOptions) -> np.ndarray:
    """The graph's input from float32 [H,W,3] RGB pixels (0..255) of the input's size."""
    if options.input_dtype == "uint8":
        value = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    elif options.normalize_in_graph:
        value = pixels.astype(np.float32)
    else:
        value = normalised(pixels, options)
    return np.ascontiguousarray(value[None] if options.layout == "NHWC" else value.transpose(2, 0, 1)[None])


def normalised(pixels: np.ndarray, options: ExportOptions) -> np.ndarray:
    """float32 [H,W,3]: the training's formula, in its order."""
    mean, std = np.array(options.mean, np.float32), np.array(options.std, np.float32)
    return ((pixels.astype(np.float32) / 255.0 - mean) / std).astype(np.float32)


def named(arrays: Mapping[str, np.ndarray], head: str) -> dict[str, np.ndarray]:
    """Arrays ``<head>.<name>`` by name."""
    return {key[len(head) + 1 :]: value for key, value in arrays.items() if key.startswith(f"{head}.")}


def _run(task: Task, network: Any, options: ExportOptions, image: np.ndarray, size: tuple[int, int]) -> Item:
    import paddle

    image = _shrunk(image)
    pixels = resize_bilinear(image.astype(np.float32), size)
    if options.dynamic:  # the graph takes the image as it is, so the stored image has the size itself
        image = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        pixels = image.astype(np.float32)
    seen = np.clip(np.rint(pixels), 0, 255) if options.input_dtype == "uint8" else pixels
    with paddle.no_grad():
        batch = paddle.to_tensor(normalised(seen, options).transpose(2, 0, 1)[None])
        return task.item(network, options, image, to_input(pixels, options), batch)


def _most_classes(candidates: Sequence[Item], sizes: int) -> tuple[Item, ...]:
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
    return resize(image, (max(1, round(height * factor)), max(1, round(width * factor))), cv2.INTER_AREA)
