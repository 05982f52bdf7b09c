"""What the originals of MobileInst's parts compute: the public reproduction, SparseInst, MinVIS."""

from __future__ import annotations

from functools import cache

import numpy as np

from mobileseg.video.mobileinst.losses import Objects
from mobileseg.video.mobileinst.targets import soft_masks
from tests.model_tester import REFERENCE


@cache
def parts() -> dict[str, np.ndarray]:
    """The arrays of mobileinst_parts.npz by name."""
    with np.load(REFERENCE / "golden" / "mobileinst_parts.npz") as archive:
        return {name: archive[name] for name in archive.files}


def unpacked(name: str) -> np.ndarray:
    """Bitmaps that are stored as bits, bool."""
    shape = parts()[f"{name}_shape"]
    return np.unpackbits(parts()[f"{name}_packed"])[: np.prod(shape)].reshape(shape).astype(bool)


def original_objects(case: str, images: int, size: tuple[int, int], grid: tuple[int, int]) -> list[Objects]:
    """Objects of the case ``crit`` or ``hard``, masks on canvases of ``size``, sampled at ``grid``."""
    found = []
    for image in range(images):
        masks = parts()[f"{case}.masks{image}"].astype(np.uint8)
        canvas = np.zeros((len(masks), *size), np.uint8)
        canvas[:, : masks.shape[1], : masks.shape[2]] = masks
        small = soft_masks(canvas, grid, size[0] // grid[0], 1)
        found.append(Objects(parts()[f"{case}.labels{image}"], small, np.arange(len(masks))))
    return found
