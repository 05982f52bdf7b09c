"""Batches of several sizes: a whole batch is resized to one of a list of sizes after its samples were stacked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mobileseg.errors import ConfigError
from mobileseg.pixels import nearest_indices, resize_bilinear
from mobileseg.tasks import stage, task_of

Size = tuple[int, int]


def sizes_of(section: Mapping[str, Any] | None, dataset: Any) -> list[Size]:
    """The sizes (height, width) that the section ``multi_scale`` names, none without one.

    Args:
        section: ``sizes``, pairs of [width, height], or None.
        dataset: that the batches are of.

    Raises:
        ConfigError: the samples of the dataset are not single images, so there is more to resize than is known here.
    """
    if section is None:
        return []
    if not getattr(stage(dataset, "training"), "RESIZABLE", False):
        raise ConfigError(
            f"multi_scale resizes images with labels or objects; the dataset {type(dataset).__name__} is for "
            f"{task_of(dataset)} segmentation",
            remedy="set multi_scale: null; transforms such as RandomExpand change the scale of clips",
        )
    return [(height, width) for width, height in section["sizes"]]


def resize_batch(batch: dict[str, np.ndarray], size: Size) -> dict[str, np.ndarray]:
    """A batch whose images have another size.

    Args:
        batch: ``image`` float32 [N, C, H, W], resized bilinearly; ``label`` int64 [N, H, W], nearest; ``masks`` uint8
            [N, n, H, W], bilinear and set where at least one half, all with half-pixel centres. The row of an object
            that keeps no pixel becomes padding (``classes`` -1). Boxes are shares of the image and stay.
        size: (height, width).

    Returns:
        A new mapping; arrays that stay are those of ``batch``.
    """
    height, width = batch["image"].shape[2:]
    if (height, width) == size:
        return batch
    result = batch | {"image": _planes(batch["image"], size)}
    if "label" in batch:
        rows, columns = nearest_indices(size[0], height), nearest_indices(size[1], width)
        result["label"] = batch["label"][:, rows][:, :, columns]
    if "masks" in batch:
        result["masks"] = (_planes(batch["masks"], size) >= 0.5).astype(np.uint8)
        gone = ~result["masks"].any(axis=(2, 3))
        result["classes"] = np.where(gone, -1, batch["classes"])
    return result


def _planes(stack: np.ndarray, size: Size) -> np.ndarray:
    """Every plane of [N, C, H, W] resized, float32."""
    planes = stack.reshape(-1, *stack.shape[2:])
    resized = np.empty((len(planes), *size), np.float32)
    for target, plane in zip(resized, planes, strict=True):
        target[:] = resize_bilinear(plane, size)
    return resized.reshape(*stack.shape[:2], *size)
