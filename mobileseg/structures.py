"""What the suite returns for an image, whatever network and engine produced it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class SemanticResult:
    """A label for every pixel.

    Attributes:
        labels: uint8 [H, W], class index of every pixel of the image as it was given.
        scores: float32 [K, H, W] class probabilities, or None when the graph gives labels only.
        times: milliseconds per stage ('preprocess', 'inference', 'postprocess').
    """

    labels: np.ndarray
    scores: np.ndarray | None = None
    times: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.labels.ndim != 2 or self.labels.dtype != np.uint8:
            raise ValueError(f"labels must be uint8 [H, W], got {self.labels.dtype} {list(self.labels.shape)}")
