"""Smoothing of label video: class probabilities are averaged with those of earlier frames, which move with the image.

Errors of a network that change from frame to frame cancel out, and labels flicker less. Every block of the frame takes
the probabilities from where it was in the frame before (`motion.block_motion`); blocks that look different there begin
anew (a cut, something that was hidden).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mobileseg.errors import ConfigError
from mobileseg.tracking.motion import BLOCK, block_motion, grey_cells

_UNLIKE = 24
"""Mean difference of a block's grey values, 0..255, from which on it shows something else."""


@dataclass(frozen=True)
class FilterState:
    """What is known after a frame: a plain value, which nothing changes in place.

    Attributes:
        grey: int32 [h, w], the frame (:func:`mobileseg.tracking.motion.grey_cells`).
        scores: float32 [K, h, w], filtered probabilities; None when the frame has none yet.
        motion: int32 [rows, columns, 2], where its blocks were in the frame before; None for the first.
        unlike: bool [rows, columns], blocks that look different there.
    """

    grey: np.ndarray
    scores: np.ndarray | None = None
    motion: np.ndarray | None = None
    unlike: np.ndarray | None = None


def checked_weight(weight: float) -> float:
    """The weight of the frames before.

    Raises:
        ConfigError: not from 0 up to, but without, 1.
    """
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < 1:
        raise ConfigError(f"smooth is {weight!r}, expected from 0 to below 1", remedy="0.5 is a good start")
    return float(weight)


def seen(state: FilterState | None, image: np.ndarray) -> FilterState:
    """The state with the next frame in it, uint8 [H, W, 3]; the scores are still those of the frame before."""
    grey = grey_cells(image)
    if state is None or state.grey.shape != grey.shape:
        return FilterState(grey)
    motion = block_motion(grey, state.grey)
    return FilterState(grey, state.scores, motion, _differences(grey, state.grey, motion) > _UNLIKE)


def _differences(first: np.ndarray, second: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Mean difference of every block from where it has moved to, rounded down, int64 [rows, columns]."""
    height, width = first.shape
    spread = motion.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[:height, :width]
    y, x = np.indices(first.shape)
    moved = second[np.clip(y + spread[..., 1], 0, height - 1), np.clip(x + spread[..., 0], 0, width - 1)]
    starts = np.arange(0, height, BLOCK), np.arange(0, width, BLOCK)
    sums = np.add.reduceat(np.add.reduceat(np.abs(first - moved).astype(np.int64), starts[0], 0), starts[1], 1)
    sizes = np.diff(starts[0], append=height)[:, None] * np.diff(starts[1], append=width)
    found: np.ndarray = sums // sizes
    return found


def smoothed(
    state: FilterState,
    scores: np.ndarray,
    weight: float,
    *,
    content: tuple[int, int] = (1, 1),
    covered: tuple[int, int] = (1, 1),
) -> tuple[np.ndarray, FilterState]:
    """Probabilities of a frame averaged with those of the frames before.

    Args:
        state: from :func:`seen`, of this frame.
        scores: float32 [K, h, w], its probabilities.
        weight: of the frames before, 0..1; what is older counts weight times as much with every frame.
        content: (height, width) of the part of the network's input that the image fills, ...
        covered: ... and of all of it, which the scores cover.

    Returns:
        float32 [K, h, w], and the state after the frame.
    """
    found = scores
    if state.scores is not None and state.motion is not None and state.scores.shape == scores.shape:
        assert state.unlike is not None
        size = scores.shape[1], scores.shape[2]
        cells = [_cells(size[axis], state.grey.shape[axis], content[axis], covered[axis]) for axis in (0, 1)]
        block = np.ix_(cells[0] // BLOCK, cells[1] // BLOCK)
        moved = [
            _scaled(
                state.motion[..., 1 - axis][block], size[axis] * content[axis], state.grey.shape[axis] * covered[axis]
            )
            for axis in (0, 1)
        ]
        rows = np.arange(size[0])[:, None] + moved[0]
        columns = np.arange(size[1]) + moved[1]
        known = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1]) & ~state.unlike[block]
        before = state.scores[:, np.clip(rows, 0, size[0] - 1), np.clip(columns, 0, size[1] - 1)]
        share = np.float32(weight)
        found = np.where(known, share * before + (np.float32(1) - share) * scores, scores)
    return found, FilterState(state.grey, found, state.motion, state.unlike)


def _cells(length: int, cells: int, content: int, covered: int) -> np.ndarray:
    """The cell of the frame in which the middle of every place of the scores lies, int64 [length]; last: padding."""
    return np.minimum((2 * np.arange(length) + 1) * covered * cells // (2 * length * content), cells - 1)


def _scaled(motion: np.ndarray, places: int, cells: int) -> np.ndarray:
    """Displacements in places of the scores, rounded to the nearest, int64."""
    found: np.ndarray = (2 * motion.astype(np.int64) * places + cells) // (2 * cells)
    return found
