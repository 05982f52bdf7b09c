"""Transforms for training that cut or mirror: crops and flips."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mobileseg.data.geometry import crop_sample, flip_sample, pad_sample, resize_sample
from mobileseg.data.sample import Sample
from mobileseg.data.transforms.resize import pair
from mobileseg.errors import ConfigError
from mobileseg.registry import TRANSFORMS


@TRANSFORMS.add_component
class RandomPaddingCrop:
    """Cut a rectangle at a uniformly drawn place; smaller images are padded at the bottom and right first.

    Args:
        crop_size: (width, height).
        im_padding_value: grey value of padded image pixels, 0..255.
        label_padding_value: label of padded pixels; None: the dataset's ignore_index.
        class_balance: share of the crops, 0..1, that must hold a pixel of a class drawn uniformly from those in the
            image, so that what is small or rare is met more often; the pixel is drawn uniformly too.
        category_max_ratio: below 1, draw again (up to ``loop_times``) while one class has at least this share
            of the counted pixels of the crop, or the crop has one class only.
        ignore_index: label that does not count for that; None: the dataset's.
        loop_times: the most places that are tried.
    """

    train_only = True

    def __init__(
        self,
        crop_size: Sequence[int] = (512, 512),
        im_padding_value: float = 127.5,
        label_padding_value: int | None = None,
        category_max_ratio: float = 1.0,
        ignore_index: int | None = None,
        loop_times: int = 10,
        class_balance: float = 0.0,
    ) -> None:
        self.crop_size = pair("RandomPaddingCrop.crop_size", crop_size)
        if category_max_ratio <= 0 or loop_times <= 0:
            raise ConfigError(
                f"RandomPaddingCrop: category_max_ratio {category_max_ratio}, loop_times {loop_times}",
                remedy="both must be positive",
            )
        if not 0 <= class_balance <= 1:
            raise ConfigError(
                f"RandomPaddingCrop.class_balance is {class_balance}", remedy="use a share of the crops in 0..1"
            )
        self.class_balance = class_balance
        self.im_padding_value = im_padding_value
        self.label_padding_value = label_padding_value
        self.category_max_ratio = category_max_ratio
        self.ignore_index = ignore_index
        self.loop_times = loop_times

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        width, height = self.crop_size
        pad_sample(sample, width, height, self.im_padding_value, self.label_padding_value)
        top, left = self._place(sample, rng)
        if self.category_max_ratio < 1 and sample.label is not None:
            for _ in range(self.loop_times):
                if self._is_mixed(sample.label[top : top + height, left : left + width], sample.ignore_index):
                    break
                top, left = self._place(sample, rng)
        return crop_sample(sample, top, left, height, width)

    def _place(self, sample: Sample, rng: np.random.Generator) -> tuple[int, int]:
        width, height = self.crop_size
        top, left = sample.size[0] - height, sample.size[1] - width  # the last place of each axis
        if self.class_balance and sample.label is not None and rng.random() < self.class_balance:
            classes = np.flatnonzero(self._counts(sample.label, sample.ignore_index))
            if classes.size:
                places = np.flatnonzero(sample.label == rng.choice(classes))
                row, column = divmod(int(places[rng.integers(places.size)]), sample.size[1])
                return (
                    int(rng.integers(max(0, row - height + 1), min(row, top) + 1)),
                    int(rng.integers(max(0, column - width + 1), min(column, left) + 1)),
                )
        return int(rng.integers(top + 1)), int(rng.integers(left + 1))

    def _counts(self, label: np.ndarray, ignore_index: int) -> np.ndarray:
        """int64 [256]: pixels of each class, 0 of the ignored label."""
        counts = np.bincount(label.ravel(), minlength=256)
        counts[ignore_index if self.ignore_index is None else self.ignore_index] = 0
        return counts

    def _is_mixed(self, label: np.ndarray, ignore_index: int) -> bool:
        counts = self._counts(label, ignore_index)
        return bool(np.count_nonzero(counts) > 1 and counts.max() < self.category_max_ratio * counts.sum())


@TRANSFORMS.add_component
class RandomCenterCrop:
    """Cut away random margins near the border.

    Args:
        retain_ratio: the smallest share of (width, height) that is kept, each 0..1.
    """

    train_only = True

    def __init__(self, retain_ratio: Sequence[float] = (0.5, 0.5)) -> None:
        if len(retain_ratio) != 2 or not all(0 <= ratio <= 1 for ratio in retain_ratio):
            raise ConfigError(f"RandomCenterCrop.retain_ratio is {retain_ratio}", remedy="write two numbers in 0..1")
        self.retain_ratio = tuple(retain_ratio)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        height, width = sample.size
        cut_width = int(rng.integers(width - max(1, math.ceil(width * self.retain_ratio[0])) + 1))
        cut_height = int(rng.integers(height - max(1, math.ceil(height * self.retain_ratio[1])) + 1))
        left, top = int(rng.integers(cut_width + 1)), int(rng.integers(cut_height + 1))
        return crop_sample(sample, top, left, height - cut_height, width - cut_width)


@TRANSFORMS.add_component
class RandomScaleAspect:
    """Cut a part of random area and proportions and resize it to the size of the whole.

    Args:
        min_scale: smallest share of the area, 0..1; 0 switches the step off.
        aspect_ratio: smallest ratio of width to height of the part; the largest is its reciprocal.
    """

    train_only = True
    _ATTEMPTS = 10

    def __init__(self, min_scale: float = 0.5, aspect_ratio: float = 0.33) -> None:
        if not 0 <= min_scale <= 1 or not 0 <= aspect_ratio <= 1:
            raise ConfigError(
                f"RandomScaleAspect: min_scale {min_scale}, aspect_ratio {aspect_ratio}", remedy="use numbers in 0..1"
            )
        self.min_scale = min_scale
        self.aspect_ratio = aspect_ratio

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if self.min_scale == 0 or self.aspect_ratio == 0:
            return sample
        height, width = sample.size
        for _ in range(self._ATTEMPTS):
            area = height * width * rng.uniform(self.min_scale, 1)
            ratio = rng.uniform(self.aspect_ratio, 1 / self.aspect_ratio)
            part_width, part_height = int(np.sqrt(area * ratio)), int(np.sqrt(area / ratio))
            if rng.random() < 0.5:
                part_width, part_height = part_height, part_width
            if 0 < part_height < height and 0 < part_width < width:
                top, left = int(rng.integers(height - part_height)), int(rng.integers(width - part_width))
                crop_sample(sample, top, left, part_height, part_width)
                resize_sample(sample, width, height)
                break
        return sample


class _RandomFlip:
    train_only = True
    _axis: int

    def __init__(self, prob: float) -> None:
        if not 0 <= prob <= 1:
            raise ConfigError(f"{type(self).__name__}.prob is {prob}", remedy="use a probability in 0..1")
        self.prob = prob

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() < self.prob:
            flip_sample(sample, self._axis)
        return sample


@TRANSFORMS.add_component
class RandomHorizontalFlip(_RandomFlip):
    """Mirror left and right with probability ``prob``."""

    _axis = 1

    def __init__(self, prob: float = 0.5) -> None:
        super().__init__(prob)


@TRANSFORMS.add_component
class RandomVerticalFlip(_RandomFlip):
    """Mirror top and bottom with probability ``prob``."""

    _axis = 0

    def __init__(self, prob: float = 0.1) -> None:
        super().__init__(prob)
