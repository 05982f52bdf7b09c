"""When a frame of a video is computed whole: the one rule of every runtime, in integers where it compares images."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

Count = Annotated[int, Field(gt=0, strict=True)]
Share = Annotated[float, Field(gt=0, le=1)]

GRID = (12, 16)
"""Rows and columns of the thumbnail that stands for a frame when frames are compared."""

_SAMPLES = 8  # per cell and axis
_LEVELS = 1020  # largest value of R + 2G + B


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class KeyframeOptions:
    """When a frame becomes a key frame; the first one of a stream always is.

    The paper (Liu et al. 2021, arXiv:2012.12259) has ``every: 5`` alone.

    Raises:
        ValueError: a value outside its range (also pydantic's ValidationError), or a delay that is no shorter than the
            distance of two key frames.
    """

    every: Annotated[Count, Field(description="frames from one key frame to the next; 1: every frame is one")] = 5
    scene_cut: Annotated[
        Share | None,
        Field(
            description="a frame whose grey thumbnail differs from the key frame's by this mean share of the "
            "range is a key frame; 0.12 finds cuts; null: thumbnails are not compared"
        ),
    ] = None
    lost_objects: Annotated[
        Share | None,
        Field(
            description="the frame after one in which this share of the key frame's objects is no longer where it was "
            "(box IoU below 0.5) is a key frame; null: objects are not compared"
        ),
    ] = None
    delay: Annotated[
        int,
        Field(
            ge=0,
            strict=True,
            description="frames after which a key frame that is due comes into use; its coarse features are computed "
            "in the background meanwhile, so that no frame takes longer than the others; 0: at once",
        ),
    ] = 0

    def to_dict(self) -> dict[str, Any]:
        """The options that differ from none, for a manifest."""
        return {key: value for key, value in asdict(self).items() if value}

    @model_validator(mode="after")
    def _in_time(self) -> KeyframeOptions:
        if self.delay >= self.every and self.delay:
            raise ValueError(
                f"delay is {self.delay} and every is {self.every}: a key frame must be used before the next"
            )
        return self


def is_key(age: int | None, options: KeyframeOptions, difference: float = 0.0, lost: float = 0.0) -> bool:
    """Whether the next frame is a key frame.

    Args:
        age: frames since the latest key frame, 1 for the one after it; None when there was none.
        options: the rule.
        difference: of the frame's thumbnail from the key frame's, 0..1 (:func:`thumbnail_difference`).
        lost: share of the key frame's objects that the frame before lost (:func:`lost_share`).
    """
    return age is None or age >= options.every or is_broken(options, difference, lost)


def is_broken(options: KeyframeOptions, difference: float, lost: float) -> bool:
    """Whether the key frame no longer says anything of the next frame; for the arguments see :func:`is_key`."""
    if options.scene_cut is not None and difference >= options.scene_cut:
        return True
    return options.lost_objects is not None and lost > 0 and lost >= options.lost_objects


def thumbnail(image: np.ndarray) -> np.ndarray:
    """A frame as a grey thumbnail: sums of R + 2G + B over pixels on a regular grid in each of the cells.

    Args:
        image: uint8 [H, W, 3].

    Returns:
        int64 [12, 16], each 0..64 * 1020.
    """
    height, width = image.shape[:2]
    rows = np.arange(GRID[0] * _SAMPLES) * height // (GRID[0] * _SAMPLES)
    columns = np.arange(GRID[1] * _SAMPLES) * width // (GRID[1] * _SAMPLES)
    grey = image[rows][:, columns].astype(np.int64) @ np.array([1, 2, 1])
    cells: np.ndarray = grey.reshape(GRID[0], _SAMPLES, GRID[1], _SAMPLES).sum(axis=(1, 3))
    return cells


def thumbnail_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Mean distance of two thumbnails as a share of the range, 0..1: a quotient of integers."""
    return int(np.abs(first - second).sum()) / (first.size * _SAMPLES * _SAMPLES * _LEVELS)


def lost_share(key_boxes: np.ndarray, key_classes: np.ndarray, boxes: np.ndarray, classes: np.ndarray) -> float:
    """Share of a key frame's objects of whose class no box has an IoU of at least 0.5 with theirs.

    Args:
        key_boxes: float32 [n, 4], x1, y1, x2, y2 in pixels.
        key_classes: int64 [n].
        boxes: float32 [m, 4], of a later frame.
        classes: int64 [m].
    """
    if not len(key_boxes):
        return 0.0
    lost = 0
    for box, kind in zip(key_boxes.astype(np.float64), key_classes, strict=True):
        others = boxes[classes == kind].astype(np.float64)
        low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        areas = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1)
        lost += not bool((3 * shared >= areas).any())  # shared / (areas - shared) >= 1/2, without dividing by 0
    return lost / len(key_boxes)
