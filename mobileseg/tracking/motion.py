"""Motion of blocks from one frame to another, by search on small grey images (NumPy, integers only).

A pyramid of three levels: all displacements are tried on the smallest, and one cell around the best on the others
(hierarchical block matching, Bierling 1988). Cheap, and made for labels: it is a whole number of cells and wrong in
places; where it matters which, compare it with the motion back (:func:`consistent`).
"""

from __future__ import annotations

from functools import cache

import numpy as np

SIDE = 320
"""Cells along the longer side of the grey image, at most."""

BLOCK = 16
"""Cells along the sides of a block."""

_LEVELS = 3
_REACH = 6  # cells of the smallest level, in each direction
_PENALTY = 2  # grey values per block and cell of displacement: where nothing can be seen, nothing moves


def cell_of(size: tuple[int, int]) -> int:
    """Pixels along the sides of a cell, of frames of ``size`` = (height, width)."""
    return -(-max(size) // SIDE)


def grey_cells(image: np.ndarray) -> np.ndarray:
    """Means of (R + 2 G + B) / 4 over square cells, rounded down; rows and columns that fill none are left out.

    Args:
        image: uint8 [H, W, 3].

    Returns:
        int32 [h, w], 0..255, at least one cell.
    """
    cell = min(cell_of((image.shape[0], image.shape[1])), *image.shape[:2])
    height, width = image.shape[0] // cell, image.shape[1] // cell
    cut = image[: height * cell, : width * cell].astype(np.int32)
    grey = cut[..., 0] + 2 * cut[..., 1] + cut[..., 2]
    found: np.ndarray = grey.reshape(height, cell, width, cell).sum(axis=(1, 3), dtype=np.int32) // (4 * cell * cell)
    return found


def block_motion(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Where the blocks of one grey image are in another.

    Args:
        first: int32 [h, w], from :func:`grey_cells`.
        second: int32 [h, w].

    Returns:
        int32 [rows, columns, 2] of blocks of `BLOCK` cells: displacement in columns and rows, in cells. Of equally good
        ones it is the shortest, then the first by rows, then by columns.

    Raises:
        ValueError: images of different sizes.
    """
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"grey images must have one size, got {list(first.shape)} and {list(second.shape)}")
    ones, others = _pyramid(first), _pyramid(second)
    rows, columns = (-(-side // BLOCK) for side in first.shape)
    motion = np.zeros((rows, columns, 2), np.int32)
    for level in range(_LEVELS - 1, -1, -1):
        reach = _REACH if level == _LEVELS - 1 else 1
        motion = _refined(ones[level], others[level], 2 * motion, BLOCK >> level, reach, _PENALTY << level)
    return motion


def _pyramid(image: np.ndarray) -> list[np.ndarray]:
    """The image with its last rows and columns repeated to whole blocks; then halves of it, rounded down."""
    below, right = (-side % BLOCK for side in image.shape)
    levels = [np.pad(image, ((0, below), (0, right)), mode="edge").astype(np.int32)]
    for _ in range(_LEVELS - 1):
        height, width = (side // 2 for side in levels[-1].shape)
        levels.append(levels[-1].reshape(height, 2, width, 2).sum(axis=(1, 3), dtype=np.int32) // 4)
    return levels


def _refined(
    first: np.ndarray, second: np.ndarray, start: np.ndarray, block: int, reach: int, penalty: int
) -> np.ndarray:
    """The best displacements within ``reach`` of ``start``, by the sum of absolute differences and the length."""
    height, width = first.shape
    rows, columns = height // block, width // block
    y, x = np.indices(first.shape, np.int32)
    margin = _MARGIN
    flat = np.pad(second, margin, mode="edge")
    spread = start.repeat(block, axis=0).repeat(block, axis=1)
    place = (y + spread[..., 1] + margin) * flat.shape[1] + x + spread[..., 0] + margin
    best = np.full((rows, columns), np.iinfo(np.int32).max, np.int32)
    found = start.copy()
    for dy, dx in _steps(reach):
        moved = flat.ravel().take(place + (dy * flat.shape[1] + dx))
        cost = np.abs(first - moved).reshape(rows, block, columns, block).sum(axis=(1, 3), dtype=np.int32)
        cost += penalty * (np.abs(start[..., 0] + dx) + np.abs(start[..., 1] + dy))
        better = cost < best
        best[better] = cost[better]
        found[better] = (start + np.array([dx, dy], np.int32))[better]
    return found


_MARGIN = 4 * _REACH + 4
"""Cells, no less than any displacement: 6 of the smallest level, then 1 of each of the others."""


@cache
def _steps(reach: int) -> list[tuple[int, int]]:
    """Rows and columns, the shortest first."""
    every = [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    return sorted(every, key=lambda step: (abs(step[0]) + abs(step[1]), *step))


def flow_of(motion: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The motion of blocks for every pixel, float32 [H, W, 2]: columns and rows in pixels."""
    cell = cell_of(size)
    rows = np.minimum(np.arange(size[0]) // (cell * BLOCK), motion.shape[0] - 1)
    columns = np.minimum(np.arange(size[1]) // (cell * BLOCK), motion.shape[1] - 1)
    return (motion[rows][:, columns] * cell).astype(np.float32)


def estimated_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How the pixels of one image move until another, float32 [H, W, 2], from the motion of blocks.

    Args:
        first: uint8 [H, W, 3].
        second: uint8 [H, W, 3].
    """
    return flow_of(block_motion(grey_cells(first), grey_cells(second)), (first.shape[0], first.shape[1]))


def consistent(flow: np.ndarray, back: np.ndarray, tolerance: float = 2.0) -> np.ndarray:
    """Where going and coming back ends within ``tolerance`` pixels of the start, bool [H, W]: the flow can be believed.

    Args:
        flow: float32 [H, W, 2] from the first frame to the second.
        back: float32 [H, W, 2] from the second to the first.
        tolerance: pixels.
    """
    rows, columns, inside = targets(flow)
    error = np.hypot(*np.moveaxis(flow + back[rows, columns], -1, 0))
    found: np.ndarray = inside & (error <= tolerance)
    return found


def targets(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest pixel to which every pixel moves: its rows, columns (int64 [H, W], cut at the borders), and whether
    it is inside of the image (bool [H, W]).

    Raises:
        ValueError: not [H, W, 2], or a flow that is not finite.
    """
    if flow.ndim != 3 or flow.shape[2] != 2:
        raise ValueError(f"a flow must be [H, W, 2], got {list(flow.shape)}")
    if not np.isfinite(flow).all():
        raise ValueError("a flow is not finite")
    height, width = flow.shape[:2]
    y, x = np.indices((height, width))
    limit = float(max(height, width)) + 1
    rows = np.rint(y + np.clip(flow[..., 1], -limit, limit)).astype(np.int64)
    columns = np.rint(x + np.clip(flow[..., 0], -limit, limit)).astype(np.int64)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1), inside
