"""Transforms of the pixel values: colour, noise, blur, normalisation. Labels are never touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from PIL import Image, ImageEnhance

from mobileseg.data.sample import Sample
from mobileseg.data.transforms.ranges import PIXELS, PixelRange
from mobileseg.errors import ConfigError
from mobileseg.pixels import to_uint8
from mobileseg.registry import TRANSFORMS

_RAMP = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
"""Every value of 8 bits once."""


def shift_hue(image: np.ndarray, delta: float) -> np.ndarray:
    """Turn the hue of uint8 [H, W, 3] RGB by ``delta`` steps of an 8-bit hue circle (256 = once around).

    The circle is the one of Pillow's mode HSV; OpenCV converts nine times as fast as Pillow and stays closer to
    the formula (0.15 against 0.2 to 0.4 grey levels of mean error on a photograph).
    """
    table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    table[:, 0] = np.trunc(np.arange(256) + delta).astype(np.int64) % 256
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), table[None])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def _brightness(image: np.ndarray, factor: float) -> np.ndarray:
    return _blended_with_grey(image, 0, factor)


def _contrast(image: np.ndarray, factor: float) -> np.ndarray:
    luma = np.asarray(Image.fromarray(image).convert("L"))
    return _blended_with_grey(image, int(cv2.sumElems(luma)[0] / luma.size + 0.5), factor)


def _blended_with_grey(image: np.ndarray, grey: int, factor: float) -> np.ndarray:
    """What Pillow's enhancers do with one grey for all pixels: they do it here to every value, not to every pixel."""
    return cv2.LUT(image, np.asarray(Image.blend(Image.new("L", _RAMP.size, grey), _RAMP, factor)))


def _saturation(image: np.ndarray, factor: float) -> np.ndarray:
    return np.asarray(ImageEnhance.Color(Image.fromarray(image)).enhance(factor))


def _sharpness(image: np.ndarray, factor: float) -> np.ndarray:
    return np.asarray(ImageEnhance.Sharpness(Image.fromarray(image)).enhance(factor))


_ENHANCERS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "sharpness": _sharpness,
    "hue": shift_hue,
}


@TRANSFORMS.add_component
class RandomDistort:
    """Change brightness, contrast, saturation, sharpness and hue, in random order, each with its probability.

    The first four give what Pillow's enhancers give with a factor drawn from [1 - range, 1 + range]; the hue is shifted
    by a number drawn from [-range, range] on an 8-bit circle, see :func:`shift_hue`. They work on 8 bits, so an image
    for which any of them is drawn is rounded to 8 bits first; all others pass unchanged.
    """

    takes = gives = PIXELS
    rgb_only = True

    def __init__(
        self,
        brightness_range: float = 0.5,
        brightness_prob: float = 0.5,
        contrast_range: float = 0.5,
        contrast_prob: float = 0.5,
        saturation_range: float = 0.5,
        saturation_prob: float = 0.5,
        hue_range: float = 18,
        hue_prob: float = 0.5,
        sharpness_range: float = 0.5,
        sharpness_prob: float = 0,
    ) -> None:
        self.ranges = {
            "brightness": (1 - brightness_range, 1 + brightness_range),
            "contrast": (1 - contrast_range, 1 + contrast_range),
            "saturation": (1 - saturation_range, 1 + saturation_range),
            "sharpness": (1 - sharpness_range, 1 + sharpness_range),
            "hue": (-hue_range, hue_range),
        }
        self.probabilities = {
            "brightness": brightness_prob,
            "contrast": contrast_prob,
            "saturation": saturation_prob,
            "sharpness": sharpness_prob,
            "hue": hue_prob,
        }

    def draw(self, rng: np.random.Generator) -> list[tuple[str, float]]:
        """The (name, amount) steps for one image, in the order in which they are applied."""
        names = list(self.ranges)
        steps = []
        for position in rng.permutation(len(names)):
            name = names[position]
            if rng.random() < self.probabilities[name]:
                steps.append((name, float(rng.uniform(*self.ranges[name]))))
        return steps

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        steps = self.draw(rng)
        if steps:
            image = to_uint8(sample.image)
            for name, amount in steps:
                image = _ENHANCERS[name](image, amount)
            sample.image = image.astype(np.float32)
        return sample


@TRANSFORMS.add_component
class RandomNoise:
    """Add Gaussian noise with probability ``prob``.

    Args:
        prob: probability.
        max_sigma: upper end of the uniformly drawn standard deviation, in grey values (0..255).
    """

    takes = gives = PIXELS

    def __init__(self, prob: float = 0.5, max_sigma: float = 10.0) -> None:
        self.prob = prob
        self.max_sigma = max_sigma

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() < self.prob:
            noise = rng.standard_normal(sample.image.shape, dtype=np.float32)
            noise *= np.float32(rng.uniform(0, self.max_sigma))
            sample.image = np.clip(sample.image + noise, 0, 255)
        return sample


@TRANSFORMS.add_component
class RandomBlur:
    """Blur with a window of 3, 5, 7 or 9 pixels with probability ``prob``.

    Args:
        prob: probability.
        blur_type: 'gaussian', 'median', 'blur' (box) or 'random' for one of them.
    """

    takes = gives = PIXELS

    _KINDS = ("gaussian", "median", "blur")

    def __init__(self, prob: float = 0.1, blur_type: str = "gaussian") -> None:
        if blur_type not in (*self._KINDS, "random"):
            raise ConfigError(
                f"RandomBlur.blur_type is {blur_type!r}", remedy=f"use one of {', '.join([*self._KINDS, 'random'])}"
            )
        self.prob = prob
        self.blur_type = blur_type

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() < self.prob:
            window = 2 * int(rng.integers(1, 5)) + 1
            kind = self._KINDS[rng.integers(3)] if self.blur_type == "random" else self.blur_type
            if kind == "gaussian":
                sample.image = cv2.GaussianBlur(sample.image, (window, window), 0)
            elif kind == "blur":
                sample.image = cv2.blur(sample.image, (window, window))
            else:  # OpenCV's median takes windows above 5 for 8 bits only
                sample.image = cv2.medianBlur(to_uint8(sample.image), window).astype(np.float32)
        return sample


@TRANSFORMS.add_component
class RandomGrayscale:
    """Replace the colours by their luma (0.299 R + 0.587 G + 0.114 B) with probability ``prob``."""

    takes = gives = PIXELS
    rgb_only = True

    def __init__(self, prob: float = 0.1) -> None:
        self.prob = prob

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() < self.prob:
            luma = cv2.cvtColor(np.ascontiguousarray(sample.image), cv2.COLOR_RGB2GRAY)
            sample.image = np.repeat(luma[..., None], 3, axis=2)
        return sample


@TRANSFORMS.add_component
class Normalize:
    """(image / 255 - mean) / std; ``mean`` and ``std`` have one value or one per channel (R, G, B), in shares of white.

    Images of another range are 0..255 when they come here (:meth:`mobileseg.data.pixel_format.PixelFormat.levels`).

    Attributes:
        takes: 0..255.
        gives: from black to white of the channels that reach furthest.
    """

    takes = PIXELS

    def __init__(self, mean: Sequence[float] | float = (0.5,), std: Sequence[float] | float = (0.5,)) -> None:
        self.mean = self._channels("mean", mean)
        self.std = self._channels("std", std)
        if (self.std <= 0).any():
            raise ConfigError(f"Normalize.std is {std}", remedy="use positive numbers")
        for key, value in (("mean", self.mean), ("std", self.std)):
            if (value < 0).any() or (value > 1).any():
                grey = f"if it is in 0..255, write {key}: {np.round(value / 255, 4).tolist()}"
                raise ConfigError(
                    f"Normalize.{key} is {value.tolist()}, not a share of white (0..1): pixels are divided by 255",
                    remedy=grey if (value >= 0).all() and (value <= 255).all() else "use numbers in 0..1",
                )
        self.gives = PixelRange(float((-self.mean / self.std).min()), float(((1 - self.mean) / self.std).max()))

    @staticmethod
    def _channels(name: str, value: Sequence[float] | float) -> np.ndarray:
        numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
        if numbers.ndim != 1 or not 1 <= numbers.size <= 4:
            raise ConfigError(f"Normalize.{name} is {value}", remedy="write one number, or one per channel")
        return np.broadcast_to(numbers, (3,)).copy() if numbers.size == 1 else numbers

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        height, width, channels = sample.image.shape
        mean, std = (values if values.size == channels else np.full(channels, values[0])
                     for values in (self.mean, self.std))  # fmt: skip
        # One long row instead of three channels: NumPy's inner loop then runs over the width.
        scale = np.tile((1 / (255 * std)).astype(np.float32), width)
        shift = np.tile((mean / std).astype(np.float32), width)
        rows = np.ascontiguousarray(sample.image, dtype=np.float32).reshape(height, width * channels)
        normalized = rows * scale
        normalized -= shift
        sample.image = normalized.reshape(height, width, channels)
        return sample
