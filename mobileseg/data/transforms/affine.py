"""Transforms for training that warp: rotation and affine maps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from mobileseg.data.geometry import warp_sample
from mobileseg.data.sample import Sample
from mobileseg.data.transforms.resize import pair
from mobileseg.registry import TRANSFORMS


@TRANSFORMS.add_component
class RandomRotation:
    """Rotate by an angle drawn from [-max_rotation, max_rotation] degrees; the canvas grows to hold everything.

    Args:
        max_rotation: degrees.
        im_padding_value: grey value of the corners, 0..255.
        label_padding_value: label of the corners; None: the dataset's ignore_index.
    """

    train_only = True

    def __init__(
        self, max_rotation: float = 15, im_padding_value: float = 127.5, label_padding_value: int | None = None
    ) -> None:
        self.max_rotation = max_rotation
        self.im_padding_value = im_padding_value
        self.label_padding_value = label_padding_value

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if self.max_rotation <= 0:
            return sample
        height, width = sample.size
        angle = rng.uniform(-self.max_rotation, self.max_rotation)
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
        cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
        # Rounded up a little less than fully: cos(0) must not add a column.
        new_width = math.ceil(height * sin + width * cos - 1e-6)
        new_height = math.ceil(height * cos + width * sin - 1e-6)
        matrix[:, 2] += (new_width - width) / 2, (new_height - height) / 2
        return warp_sample(sample, matrix, (new_width, new_height), self.im_padding_value, self.label_padding_value)


@TRANSFORMS.add_component
class RandomAffine:
    """Scale, rotate and shift at once into a canvas of a given size.

    The image is first scaled so that it fits the canvas on average over both sides, then by a factor drawn
    from [min_scale_factor, max_scale_factor].

    Args:
        size: (width, height) of the canvas.
        translation_offset: largest shift in pixels of the canvas, drawn for each axis.
        max_rotation: degrees.
        min_scale_factor: smallest factor.
        max_scale_factor: largest factor.
        im_padding_value: grey value outside the image, 0..255.
        label_padding_value: label outside the image; None: the dataset's ignore_index.
    """

    train_only = True

    def __init__(
        self,
        size: Sequence[int] = (224, 224),
        translation_offset: float = 0,
        max_rotation: float = 15,
        min_scale_factor: float = 0.75,
        max_scale_factor: float = 1.25,
        im_padding_value: float = 128,
        label_padding_value: int | None = None,
    ) -> None:
        self.size = pair("RandomAffine.size", size)
        self.translation_offset = translation_offset
        self.max_rotation = max_rotation
        self.min_scale_factor = min_scale_factor
        self.max_scale_factor = max_scale_factor
        self.im_padding_value = im_padding_value
        self.label_padding_value = label_padding_value

    def matrix(self, height: int, width: int, angle: float, factor: float, shift: np.ndarray) -> np.ndarray:
        """float64 [2, 3]: from pixel centres of an image of that size to pixel centres of the canvas.

        Args:
            height: pixels.
            width: pixels.
            angle: degrees, counter-clockwise as seen.
            factor: scale relative to the fitting one.
            shift: float64 [2], (x, y) in pixels of the canvas.
        """
        scale = factor * (self.size[0] / width + self.size[1] / height) / 2
        alpha = scale * math.cos(math.radians(angle))
        beta = scale * math.sin(math.radians(angle))
        linear = np.array([[alpha, beta], [-beta, alpha]])
        source = np.array([(width - 1) / 2, (height - 1) / 2])
        target = np.array([(self.size[0] - 1) / 2, (self.size[1] - 1) / 2]) + shift
        return np.concatenate([linear, (target - linear @ source)[:, None]], axis=1)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        shift = rng.uniform(-1, 1, size=2) * self.translation_offset
        angle = rng.uniform(-1, 1) * self.max_rotation
        factor = rng.uniform(self.min_scale_factor, self.max_scale_factor)
        matrix = self.matrix(*sample.size, angle, factor, shift)
        return warp_sample(sample, matrix, self.size, self.im_padding_value, self.label_padding_value)
