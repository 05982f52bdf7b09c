"""Flicker: the share of pixels whose label changes although what they show does not (NumPy).

Every pixel of a frame is looked for where the optical flow takes it in the next. Pixels that leave the image or are
hidden there are left out, so a perfect labelling of a moving scene has no flicker (temporal consistency, Varghese et
al. 2020, as a share of changes instead of an IoU).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from mobileseg.structures import InstanceResult
from mobileseg.tracking.motion import block_motion, consistent, flow_of, grey_cells, targets


def label_map(result: InstanceResult, by: Literal["class", "track"] = "class") -> np.ndarray:
    """A label for every pixel of an instance result: 1 + class or 1 + track id, 0 where nothing is; the better on top.

    Returns:
        int64 [H, W].

    Raises:
        ValueError: tracks are wanted of a result that has none.
    """
    if by == "track" and result.track_ids is None:
        raise ValueError("the result has no track ids")
    values = result.classes if by == "class" or result.track_ids is None else result.track_ids
    found = np.zeros(result.masks.size, np.int64)
    for index in range(len(result) - 1, -1, -1):
        top, left, bitmap = result.masks.regions[index]
        found[top : top + bitmap.shape[0], left : left + bitmap.shape[1]][bitmap] = values[index] + 1
    return found


def changes(
    labels: np.ndarray, next_labels: np.ndarray, flow: np.ndarray, left_out: np.ndarray | None = None
) -> tuple[int, int]:
    """Pixels whose label changes, and pixels that were compared.

    Args:
        labels: integers [H, W] of a frame.
        next_labels: integers [H, W] of the next.
        flow: float32 [H, W, 2], columns and rows in pixels from the first to the second.
        left_out: bool [H, W], pixels that are hidden in the next frame, or of which the flow is not known.

    Raises:
        ValueError: arrays of different sizes, or a flow that is not finite.
    """
    shapes = {labels.shape, next_labels.shape, flow.shape[:2], labels.shape if left_out is None else left_out.shape}
    if len(shapes) > 1:
        raise ValueError(f"labels, flow and what is left out must have one size, got {sorted(map(list, shapes))}")
    rows, columns, counted = targets(flow)
    if left_out is not None:
        counted &= ~left_out
    return int(((labels != next_labels[rows, columns]) & counted).sum()), int(counted.sum())


class FlickerMeter:
    """The flicker of a video, frame by frame, with a flow that is estimated from the images (`motion.block_motion`).

    Pixels are left out where the motion there and the motion back do not agree.
    """

    def __init__(self) -> None:
        self._before: tuple[np.ndarray, np.ndarray] | None = None  # grey cells, labels
        self.changed = 0
        self.compared = 0

    def add(self, image: np.ndarray, labels: np.ndarray) -> None:
        """Take in the next frame: uint8 [H, W, 3] and integers [H, W]."""
        grey = grey_cells(image)
        if self._before is not None:
            size = (int(image.shape[0]), int(image.shape[1]))
            flow = flow_of(block_motion(self._before[0], grey), size)
            back = flow_of(block_motion(grey, self._before[0]), size)
            changed, compared = changes(self._before[1], labels, flow, ~consistent(flow, back))
            self.changed += changed
            self.compared += compared
        self._before = grey, labels

    @property
    def share(self) -> float:
        """Pixels whose label changed, of those that were compared; 0 before the second frame."""
        return self.changed / self.compared if self.compared else 0.0
