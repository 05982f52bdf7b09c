"""Transforms that change the size: resizes and paddings.

These may stand in evaluation pipelines: each notes the size it found in ``sample.meta['geometry']``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from mobileseg.data.geometry import pad_sample, resize_sample
from mobileseg.data.sample import Sample
from mobileseg.errors import ConfigError, DataError
from mobileseg.limits import MAX_SIDE
from mobileseg.registry import TRANSFORMS

INTERPOLATIONS = {
    "NEAREST": cv2.INTER_NEAREST,
    "LINEAR": cv2.INTER_LINEAR,
    "CUBIC": cv2.INTER_CUBIC,
    "AREA": cv2.INTER_AREA,
    "LANCZOS4": cv2.INTER_LANCZOS4,
}


def pair(name: str, value: Sequence[int] | int) -> tuple[int, int]:
    """Check a (width, height) argument; one integer means a square.

    Raises:
        ConfigError: not one or two positive integers.
    """
    sizes = [value, value] if isinstance(value, int) else list(value) if isinstance(value, (list, tuple)) else []
    if len(sizes) != 2 or not all(isinstance(size, int) and 0 < size <= MAX_SIDE for size in sizes):
        raise ConfigError(
            f"{name} is {value!r}; expected two positive integers of at most {MAX_SIDE}", remedy="write [width, height]"
        )
    return sizes[0], sizes[1]


def _resize_long(sample: Sample, long_size: int) -> Sample:
    height, width = sample.size
    scale = long_size / max(height, width)
    return resize_sample(sample, round(width * scale), round(height * scale))


@TRANSFORMS.add_component
class Resize:
    """Resize to a given size.

    Args:
        target_size: (width, height).
        keep_ratio: fit into ``target_size`` (either way round, as PaddleSeg does) without changing the proportions.
        size_divisor: round both sides up to a multiple of this.
        interp: NEAREST, LINEAR, CUBIC, AREA, LANCZOS4, or RANDOM for a random one of them. Labels: always nearest.
    """

    def __init__(
        self,
        target_size: Sequence[int] = (512, 512),
        keep_ratio: bool = False,
        size_divisor: int | None = None,
        interp: str = "LINEAR",
    ) -> None:
        self.target_size = pair("Resize.target_size", target_size)
        if interp != "RANDOM" and interp not in INTERPOLATIONS:
            raise ConfigError(
                f"Resize.interp is {interp!r}", remedy=f"use one of {', '.join([*INTERPOLATIONS, 'RANDOM'])}"
            )
        self.keep_ratio = keep_ratio
        self.size_divisor = size_divisor
        self.interp = interp

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) that an image of this size becomes."""
        target_width, target_height = self.target_size
        if self.keep_ratio:
            scale = min(
                max(self.target_size) / max(height, width),
                min(self.target_size) / min(height, width),
            )
            target_width, target_height = round(width * scale), round(height * scale)
        if self.size_divisor:
            target_width = math.ceil(target_width / self.size_divisor) * self.size_divisor
            target_height = math.ceil(target_height / self.size_divisor) * self.size_divisor
        return target_height, target_width

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        name = self.interp
        if name == "RANDOM":
            name = list(INTERPOLATIONS)[rng.integers(len(INTERPOLATIONS))]
        height, width = self.output_size(*sample.size)
        return resize_sample(sample, width, height, INTERPOLATIONS[name])


@TRANSFORMS.add_component
class ResizeByLong:
    """Resize so that the long side has ``long_size`` pixels; proportions kept, the other side rounded."""

    def __init__(self, long_size: int) -> None:
        self.long_size = pair("ResizeByLong.long_size", long_size)[0]

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return _resize_long(sample, self.long_size)


@TRANSFORMS.add_component
class ResizeByShort:
    """Resize so that the short side has ``short_size`` pixels, unless the long side would exceed ``max_size``.

    Args:
        short_size: pixels, or a list to draw from.
        max_size: upper limit of the long side.
    """

    def __init__(self, short_size: int | Sequence[int], max_size: float = 1e10) -> None:
        sizes = [short_size] if isinstance(short_size, int) else list(short_size)
        self.short_sizes = [pair("ResizeByShort.short_size", size)[0] for size in sizes]
        if not sizes:
            raise ConfigError("ResizeByShort.short_size is empty", remedy="write a number of pixels")
        self.max_size = max_size

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        short = self.short_sizes[rng.integers(len(self.short_sizes)) if len(self.short_sizes) > 1 else 0]
        height, width = sample.size
        if short / min(height, width) * max(height, width) > self.max_size:
            short = int(self.max_size / max(height, width) * min(height, width))
        scale = short / min(height, width)
        return resize_sample(sample, round(width * scale), round(height * scale))


@TRANSFORMS.add_component
class LimitLong:
    """Bring the long side into a range, proportions kept; images inside the range stay as they are.

    Args:
        max_long: a longer side is reduced to this.
        min_long: a shorter long side is enlarged to this.
    """

    def __init__(self, max_long: int | None = None, min_long: int | None = None) -> None:
        if max_long is not None and min_long is not None and min_long > max_long:
            raise ConfigError(f"LimitLong: min_long {min_long} exceeds max_long {max_long}", remedy="swap them")
        self.max_long = max_long
        self.min_long = min_long

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        long = max(sample.size)
        if self.max_long is not None and long > self.max_long:
            return _resize_long(sample, self.max_long)
        if self.min_long is not None and long < self.min_long:
            return _resize_long(sample, self.min_long)
        return sample


@TRANSFORMS.add_component
class ResizeRangeScaling:
    """Resize the long side to a size drawn uniformly from ``min_value`` to ``max_value`` pixels."""

    def __init__(self, min_value: int = 400, max_value: int = 600) -> None:
        if min_value > max_value:
            raise ConfigError(
                f"ResizeRangeScaling: min_value {min_value} exceeds max_value {max_value}", remedy="swap them"
            )
        self.min_value = min_value
        self.max_value = max_value

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return _resize_long(sample, int(rng.uniform(self.min_value, self.max_value) + 0.5))


@TRANSFORMS.add_component
class ResizeStepScaling:
    """Scale by a factor drawn uniformly from {min, min + step, ..., max}, or from the whole range when step is 0."""

    def __init__(
        self, min_scale_factor: float = 0.75, max_scale_factor: float = 1.25, scale_step_size: float = 0.25
    ) -> None:
        if not 0 < min_scale_factor <= max_scale_factor or scale_step_size < 0:
            raise ConfigError(
                f"ResizeStepScaling: factors {min_scale_factor} to {max_scale_factor}, step {scale_step_size}",
                remedy="use 0 < min_scale_factor <= max_scale_factor and scale_step_size >= 0",
            )
        self.min_scale_factor = min_scale_factor
        self.max_scale_factor = max_scale_factor
        self.scale_step_size = scale_step_size
        count = 1
        if scale_step_size > 0:  # the small term keeps 0.1 steps from losing the last factor
            count = int((max_scale_factor - min_scale_factor) / scale_step_size + 1 + 1e-6)
        self.factors = np.linspace(min_scale_factor, max_scale_factor, count)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if self.scale_step_size == 0:
            factor = rng.uniform(self.min_scale_factor, self.max_scale_factor)
        else:
            factor = self.factors[rng.integers(len(self.factors))]
        height, width = sample.size
        return resize_sample(sample, round(factor * width), round(factor * height))


@TRANSFORMS.add_component
class Padding:
    """Pad at the bottom and at the right up to a size.

    Args:
        target_size: (width, height), or one number for a square.
        im_padding_value: grey value of the new image pixels, 0..255.
        label_padding_value: label of the new pixels; None: the dataset's ignore_index.
    """

    def __init__(
        self,
        target_size: Sequence[int] | int,
        im_padding_value: float = 127.5,
        label_padding_value: int | None = None,
    ) -> None:
        self.target_size = pair("Padding.target_size", target_size)
        self.im_padding_value = im_padding_value
        self.label_padding_value = label_padding_value

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        width, height = self.target_size
        if sample.size[0] > height or sample.size[1] > width:
            raise DataError(
                f"Padding to {width}x{height} (width x height) met an image of {sample.size[1]}x{sample.size[0]}: "
                f"{sample.meta.get('image_path', '')}",
                remedy="resize before Padding (for example ResizeByLong), or enlarge target_size",
            )
        return pad_sample(sample, width, height, self.im_padding_value, self.label_padding_value)


@TRANSFORMS.add_component
class PaddingByAspectRatio:
    """Pad at the bottom or at the right until width / height is ``aspect_ratio``.

    Args:
        aspect_ratio: width / height wanted.
        im_padding_value: grey value of the new image pixels, 0..255.
        label_padding_value: label of the new pixels; None: the dataset's ignore_index.
    """

    def __init__(
        self, aspect_ratio: float = 1, im_padding_value: float = 127.5, label_padding_value: int | None = None
    ) -> None:
        if aspect_ratio <= 0:
            raise ConfigError(f"PaddingByAspectRatio.aspect_ratio is {aspect_ratio}", remedy="use a positive number")
        self.aspect_ratio = aspect_ratio
        self.im_padding_value = im_padding_value
        self.label_padding_value = label_padding_value

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        height, width = sample.size
        if width / height > self.aspect_ratio:
            height = int(width / self.aspect_ratio)
        else:
            width = int(height * self.aspect_ratio)
        return pad_sample(sample, width, height, self.im_padding_value, self.label_padding_value)
