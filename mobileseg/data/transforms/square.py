"""Padding to a square around the image, as PaddleSeg's portrait networks are evaluated."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mobileseg.data.geometry import place_sample, resize_sample
from mobileseg.data.sample import Sample
from mobileseg.data.transforms.ranges import PIXELS
from mobileseg.data.transforms.resize import pair
from mobileseg.registry import TRANSFORMS


@TRANSFORMS.add_component
class ScalePadding:
    """Pad on both sides up to a square with the image in its middle, then resize (bicubic, labels nearest).

    Args:
        target_size: (width, height), or one number for a square.
        im_padding_value: 0..255 of the new image pixels, a grey value or one per channel.
        label_padding_value: label of the new pixels; None: the dataset's ignore_index.

    Attributes:
        takes, gives: 0..255, because what the bicubic resize overshoots is cut off there.
    """

    takes = gives = PIXELS

    def __init__(
        self,
        target_size: Sequence[int] | int = (512, 512),
        im_padding_value: float | Sequence[float] = 127.5,
        label_padding_value: int | None = 255,
    ) -> None:
        self.target_size = pair("ScalePadding.target_size", target_size)
        self.im_padding_value = im_padding_value
        self.label_padding_value = label_padding_value

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        height, width = sample.size
        side = max(height, width)
        sample.note("centred")
        top, left = (side - height) // 2, (side - width) // 2
        sample = place_sample(sample, top, left, side, side, self.im_padding_value, self.label_padding_value)
        sample = resize_sample(sample, *self.target_size, cv2.INTER_CUBIC)
        sample.image = np.clip(np.round(sample.image), 0, 255).astype(np.float32)  # bicubic overshoots
        return sample
