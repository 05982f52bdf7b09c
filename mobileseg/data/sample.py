"""One image with its label or its objects on the way through the transforms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from mobileseg.data.instances import Instances, Size
from mobileseg.pixels import resize_bilinear


@dataclass
class Sample:
    """What a transform receives and returns; transforms may change it in place.

    Attributes:
        image: float32 [H, W, 3], RGB, 0..255 until Normalize has run.
        label: uint8 [H, W], or None when there is none or when it must not be touched (evaluation).
        instances: the objects, or None when there are none to know of or when they must not be touched (evaluation).
        meta: 'ignore_index', 'image_path' and 'geometry': a list of ('resize' | 'padding' | 'centred', (height, width))
            with the size *before* each step, so that scores can be taken back to the original pixels.
    """

    image: np.ndarray
    label: np.ndarray | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    instances: Instances | None = None

    @property
    def size(self) -> Size:
        """Height and width of the image in pixels."""
        return int(self.image.shape[0]), int(self.image.shape[1])

    @property
    def ignore_index(self) -> int:
        """Label value of pixels that count nowhere."""
        return int(self.meta.get("ignore_index", 255))

    def note(self, step: str) -> None:
        """Record that ``step`` is about to change the current size: 'resize', 'padding' (bottom right) or 'centred'."""
        self.meta.setdefault("geometry", []).append((step, self.size))


class Transform(Protocol):
    """A step of the pipeline; all its randomness comes from ``rng``.

    A transform that moves pixels in a way which cannot be undone (crop, flip, rotation) sets
    ``train_only = True``: such a step is refused in an evaluation pipeline, where labels stay as they are. A transform
    that mixes other samples in has a method ``attach(dataset)``, called once by the dataset that it belongs to; it
    takes them from ``dataset.load(dataset.drawn(number, rng))``.
    """

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample: ...


def undo_geometry(scores: np.ndarray, geometry: list[tuple[str, Size]]) -> np.ndarray:
    """Take scores of the network's input back to the pixels of the original image.

    Args:
        scores: float32 [K, h, w] at the size of the transformed image.
        geometry: ``sample.meta['geometry']`` of that image.

    Returns:
        float32 [K, H, W] at the size of the original image: padding cut off, resizes undone bilinearly.
    """
    for step, (height, width) in reversed(geometry):
        if step == "padding":
            scores = scores[:, :height, :width]
        elif step == "centred":
            top, left = (scores.shape[1] - height) // 2, (scores.shape[2] - width) // 2
            scores = scores[:, top : top + height, left : left + width]
        elif scores.shape[1:] != (height, width):
            scores = np.stack([resize_bilinear(np.ascontiguousarray(plane), (height, width)) for plane in scores])
    return np.ascontiguousarray(scores)
