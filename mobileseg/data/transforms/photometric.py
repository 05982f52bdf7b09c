"""The photometric distortion of SSD (Liu et al., ECCV 2016) in floating point, as YOLACT publishes it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mobileseg.data.sample import Sample
from mobileseg.data.transforms.ranges import PIXELS
from mobileseg.errors import ConfigError
from mobileseg.registry import TRANSFORMS


@TRANSFORMS.add_component
class PhotometricDistort:
    """Change brightness, contrast, saturation and hue, each with probability ``prob``.

    Brightness comes first; contrast then comes before or after saturation and hue, with equal probability. Values
    are neither rounded nor clipped: they may leave 0..255. Saturation and hue are those of HSV, where the value is
    the largest of R, G and B.

    Args:
        brightness: largest number added to all channels, 0..255.
        contrast: (lowest, highest) factor of all channels.
        saturation: (lowest, highest) factor of the saturation.
        hue: largest turn of the hue in degrees.
        prob: probability of each of the four.
    """

    takes = gives = PIXELS
    rgb_only = True

    def __init__(
        self,
        brightness: float = 32,
        contrast: Sequence[float] = (0.5, 1.5),
        saturation: Sequence[float] = (0.5, 1.5),
        hue: float = 18,
        prob: float = 0.5,
    ) -> None:
        for name, value in (("contrast", contrast), ("saturation", saturation)):
            if len(value) != 2 or not 0 <= value[0] <= value[1]:
                raise ConfigError(
                    f"PhotometricDistort.{name} is {list(value)}", remedy="write [lowest, highest] factor"
                )
        if brightness < 0 or not 0 <= hue <= 180 or not 0 <= prob <= 1:
            raise ConfigError(
                f"PhotometricDistort: brightness {brightness}, hue {hue}, prob {prob}",
                remedy="use brightness >= 0, hue in 0..180 degrees and prob in 0..1",
            )
        self.brightness = brightness
        self.contrast = (contrast[0], contrast[1])
        self.saturation = (saturation[0], saturation[1])
        self.hue = hue
        self.prob = prob

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        # All numbers are drawn whether they are used or not: a draw does not depend on another one's outcome.
        used = rng.random(4) < self.prob
        contrast_first = rng.random() < 0.5
        shift = rng.uniform(-self.brightness, self.brightness) if used[0] else 0.0
        factor = rng.uniform(*self.contrast) if used[1] else 1.0
        saturation = rng.uniform(*self.saturation) if used[2] else 1.0
        hue = rng.uniform(-self.hue, self.hue) if used[3] else 0.0
        image = np.ascontiguousarray(sample.image)  # OpenCV rounds the ends of rows otherwise in views, since 4.10
        if contrast_first or not (used[2] or used[3]):
            image = _scaled(image, factor, shift * factor)
            image = _coloured(image, saturation, hue)
        else:
            image = _scaled(image, 1.0, shift)
            image = _scaled(_coloured(image, saturation, hue), factor, 0.0)
        sample.image = image
        return sample


def _scaled(image: np.ndarray, factor: float, shift: float) -> np.ndarray:
    """``image * factor + shift``, float32."""
    if factor == 1.0 and shift == 0.0:
        return image
    return cv2.addWeighted(image, factor, image, 0.0, shift)


def _coloured(image: np.ndarray, saturation: float, hue: float) -> np.ndarray:
    """Multiply the saturation (not limited to 1, as published) and turn the hue by degrees."""
    if saturation == 1.0 and hue == 0.0:
        return image
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    if hue:
        turned = hsv[..., 0]
        turned += np.float32(hue)
        turned[turned >= 360] -= 360
        turned[turned < 0] += 360
    if saturation != 1.0:
        hsv[..., 1] *= np.float32(saturation)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
