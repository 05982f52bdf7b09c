"""The reference that every graph is compared with: the network in memory, run on real images.

What is kept of it in an artefact folder is ``golden.npz``; for the item ``i``:

- ``image.i`` uint8 [h,w,3] RGB; ``input.i`` what the graph is fed; ``output.i.<name>`` what it must answer;
- ``logits.i`` float32 [1,K,H,W] raw logits; ``argmax.i`` uint8 [H,W]; ``close.i`` bool [H,W], pixels whose two
  best logits differ by less than the limit; ``labels.i`` uint8 [h,w] the final result;
- ``stride.i`` int: inputs and scores are kept at every stride-th pixel, so that the file stays small;
- ``scale.i.<name>`` standard deviation of the whole output (and of the logits);
- ``normalize`` float32 [2,3]: mean and standard deviation that the network was trained with.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mobileseg.data.io import resize_bilinear
from mobileseg.errors import ExportError
from mobileseg.export.options import ExportOptions
from mobileseg.semantic.postprocess import labels_from_labels, labels_from_logits

LIMIT = 1e-3
"""Largest allowed difference of raw outputs, in standard deviations of the reference (docs/export.md)."""

ITEMS = 4
CANDIDATES = 12
_LONGEST_SIDE = 320  # of a stored image
_FIRST_BYTES = 2_000_000  # of one stored array of the first item; the others are for labels and spot checks
_OTHER_BYTES = 200_000


@dataclass(frozen=True)
class ReferenceItem:
    """One image on its way through the network; arrays as in the module's list, whole unless ``stride`` > 1."""

    image: np.ndarray
    input: np.ndarray
    outputs: dict[str, np.ndarray]
    logits: np.ndarray
    argmax: np.ndarray
    close: np.ndarray
    labels: np.ndarray
    scales: dict[str, float]
    stride: int = 1


@dataclass(frozen=True)
class Reference:
    """Several items of one network.

    Attributes:
        items: the images.
        normalize: float32 [2,3], mean and std.
        source: where the images are from, for people.
    """

    items: tuple[ReferenceItem, ...]
    normalize: np.ndarray
    source: str = ""
    classes_present: tuple[int, ...] = field(default=())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``golden.npz``."""
        arrays: dict[str, np.ndarray] = {"normalize": self.normalize}
        for index, item in enumerate(self.items):
            budget = _FIRST_BYTES if index == 0 else _OTHER_BYTES
            stride = _stride_for(max(item.logits.nbytes, item.input.nbytes), budget)
            arrays[f"stride.{index}"] = np.array(stride)
            arrays[f"image.{index}"] = item.image
            arrays[f"input.{index}"] = subsample(item.input, stride)
            arrays[f"logits.{index}"] = subsample(item.logits, stride)
            arrays[f"argmax.{index}"] = item.argmax
            arrays[f"close.{index}"] = item.close
            arrays[f"labels.{index}"] = item.labels
            for name, value in item.outputs.items():
                arrays[f"output.{index}.{name}"] = subsample(value, stride) if value.ndim == 4 else value
            for name, scale in item.scales.items():
                arrays[f"scale.{index}.{name}"] = np.array(scale)
        np.savez_compressed(path, **arrays)


def load_reference(path: str | os.PathLike[str]) -> Reference:
    """Read ``golden.npz``.

    Raises:
        ExportError: the file is missing, damaged, or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        count = sum(key.startswith("image.") for key in arrays)
        items = tuple(_item_from(arrays, index) for index in range(count))
        return Reference(items, arrays["normalize"], "golden.npz", _present(items))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ExportError(
            f"{path} cannot be read as the reference of an artefact: {error}", remedy="export the folder again"
        ) from error


def build_reference(
    network: Any, options: ExportOptions, images: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]], source: str
) -> Reference:
    """Run a network on images and keep what a graph must reproduce.

    Of the images those are taken that together show the most classes.

    Args:
        network: Paddle layer, returns a dict with 'logits'.
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
            _run(network, options, image, sizes[index % len(sizes)]) for index, image in enumerate(images[:CANDIDATES])
        ]
    finally:
        if was_training:
            network.train()
    items = _most_classes(candidates, len(sizes))
    normalize = np.array([options.mean, options.std], np.float32)
    return Reference(items, normalize, source, _present(items))


def subsample(array: np.ndarray, stride: int) -> np.ndarray:
    """Every stride-th pixel of [1,C,H,W] or [1,H,W,3]."""
    if stride == 1:
        return array
    if array.ndim == 4 and array.shape[3] == 3 and array.shape[1] != 3:
        return array[:, ::stride, ::stride]
    return array[:, :, ::stride, ::stride]


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


def _run(network: Any, options: ExportOptions, image: np.ndarray, size: tuple[int, int]) -> ReferenceItem:
    import paddle
    import paddle.nn.functional as F

    image = _shrunk(image)
    pixels = resize_bilinear(image.astype(np.float32), size)
    if options.dynamic:  # the graph takes the image as it is, so the stored image has the size itself
        image = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        pixels = image.astype(np.float32)
    seen = np.clip(np.rint(pixels), 0, 255) if options.input_dtype == "uint8" else pixels
    with paddle.no_grad():
        batch = paddle.to_tensor(normalised(seen, options).transpose(2, 0, 1)[None])
        answer = network(batch)["logits"]
        if options.output_size is not None:
            answer = F.interpolate(answer, size=list(options.output_size), mode="bilinear", align_corners=False)
        logits = answer.astype("float32").numpy()
        probabilities = F.softmax(answer, axis=1).numpy() if options.output_op == "softmax" else None
    if not np.isfinite(logits).all():
        raise ExportError("the network's logits are not finite (NaN or infinity)", remedy="check the trained weights")
    argmax = logits[0].argmax(axis=0)
    scales = {"logits": float(logits.std())}
    if probabilities is not None:
        outputs = {"probabilities": probabilities}
        scales["probabilities"] = float(probabilities.std())
    elif options.output_op == "argmax":
        outputs = {"labels": argmax[None].astype(np.int32)}
    else:
        outputs = {"logits": logits}
    labels = _final_labels(outputs, argmax, (image.shape[0], image.shape[1]))
    close = _margin(logits[0]) < LIMIT * scales["logits"]
    return ReferenceItem(
        image, to_input(pixels, options), outputs, logits, argmax.astype(np.uint8), close, labels, scales
    )


def _final_labels(outputs: Mapping[str, np.ndarray], argmax: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if "labels" in outputs:
        return labels_from_labels(argmax.astype(np.uint8), size)
    return labels_from_logits(next(iter(outputs.values()))[0], size)


def _margin(logits: np.ndarray) -> np.ndarray:
    """[H,W]: difference of the two best of [K,H,W]."""
    if logits.shape[0] == 1:
        return np.full(logits.shape[1:], np.inf, np.float32)
    best = np.partition(logits, logits.shape[0] - 2, axis=0)[-2:]
    return np.abs(best[1] - best[0])


def _most_classes(candidates: Sequence[ReferenceItem], sizes: int) -> tuple[ReferenceItem, ...]:
    """Four candidates that show the most classes, each size represented."""
    left = list(range(len(candidates)))
    shown: set[int] = set()
    chosen: list[int] = []
    for turn in range(ITEMS):
        pool = [index for index in left if index % sizes == turn % sizes] or left
        best = max(pool, key=lambda index: len(set(np.unique(candidates[index].argmax).tolist()) - shown))
        chosen.append(best)
        left.remove(best)
        shown.update(np.unique(candidates[best].argmax).tolist())
    return tuple(candidates[index] for index in chosen)


def _present(items: Sequence[ReferenceItem]) -> tuple[int, ...]:
    return tuple(sorted({int(value) for item in items for value in np.unique(item.argmax)}))


def _shrunk(image: np.ndarray) -> np.ndarray:
    import cv2

    height, width = image.shape[:2]
    factor = _LONGEST_SIDE / max(height, width)
    if factor >= 1:
        return np.ascontiguousarray(image)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _stride_for(size: int, budget: int) -> int:
    stride = 1
    while size / stride**2 > budget:
        stride += 1
    return stride


def _item_from(arrays: Mapping[str, np.ndarray], index: int) -> ReferenceItem:
    head = f"output.{index}."
    scale_head = f"scale.{index}."
    return ReferenceItem(
        image=arrays[f"image.{index}"],
        input=arrays[f"input.{index}"],
        outputs={key[len(head) :]: value for key, value in arrays.items() if key.startswith(head)},
        logits=arrays[f"logits.{index}"],
        argmax=arrays[f"argmax.{index}"],
        close=arrays[f"close.{index}"],
        labels=arrays[f"labels.{index}"],
        scales={key[len(scale_head) :]: float(v) for key, v in arrays.items() if key.startswith(scale_head)},
        stride=int(arrays[f"stride.{index}"]),
    )
