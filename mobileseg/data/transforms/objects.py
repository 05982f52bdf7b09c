"""Transforms for training that work on annotated objects: those of SSD (Liu et al., ECCV 2016) as YOLACT uses them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mobileseg.boxes import iou
from mobileseg.data.geometry import crop_sample, place_sample
from mobileseg.data.instances import Instances
from mobileseg.data.sample import Sample
from mobileseg.errors import ConfigError
from mobileseg.registry import TRANSFORMS

IMAGENET_MEAN = (123.68, 116.78, 103.94)
"""RGB, 0..255: the mean that YOLACT's normalisation subtracts."""


@TRANSFORMS.add_component
class RandomExpand:
    """With probability ``prob`` put the image at a random place of a larger canvas, so that objects become smaller.

    Args:
        prob: probability.
        max_ratio: the sides of the canvas are those of the image times a number drawn from [1, max_ratio].
        im_padding_value: colour around the image, 0..255, one number or three (R, G, B).
        label_padding_value: label around the image; None: the dataset's ignore_index.
    """

    train_only = True

    def __init__(
        self,
        prob: float = 0.5,
        max_ratio: float = 4.0,
        im_padding_value: float | Sequence[float] = IMAGENET_MEAN,
        label_padding_value: int | None = None,
    ) -> None:
        if not 0 <= prob <= 1 or max_ratio < 1:
            raise ConfigError(
                f"RandomExpand: prob {prob}, max_ratio {max_ratio}", remedy="use prob in 0..1 and max_ratio >= 1"
            )
        if np.shape(im_padding_value) not in ((), (3,)):
            raise ConfigError(
                f"RandomExpand.im_padding_value is {im_padding_value}", remedy="write one number or three (R, G, B)"
            )
        self.prob = prob
        self.max_ratio = max_ratio
        self.im_padding_value = im_padding_value
        self.label_padding_value = label_padding_value

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.prob:
            return sample
        ratio = rng.uniform(1, self.max_ratio)
        height, width = (int(side * ratio) for side in sample.size)
        top = int(rng.uniform(0, height - sample.size[0]))
        left = int(rng.uniform(0, width - sample.size[1]))
        return place_sample(sample, top, left, width, height, self.im_padding_value, self.label_padding_value)


@TRANSFORMS.add_component
class RandomInstanceCrop:
    """Cut a random rectangle that shows objects well enough, or leave the image whole.

    One of these is drawn with equal probability: the whole image, a rectangle with an overlap (IoU) of at least 0.1,
    0.3, 0.7 or 0.9 with one object, any rectangle. Its sides are drawn from [min_scale, 1] of the image's, the ratio
    of height to width lies in 0.5..2. Objects whose box has its centre inside are kept, and at least one must be no
    crowd. When no rectangle is found, one of the six is drawn again.

    Args:
        min_overlaps: the overlaps to draw from, beside 'whole image' and 'any rectangle'.
        min_scale: smallest share of the image's width and height, 0..1.
        attempts: rectangles that are tried before the overlap is drawn again.
        published_iou_quirk: do not look at the overlap, as the published YOLACT and its weights: their test could
            never fail, so that all but the whole image are any rectangle.
    """

    train_only = True

    def __init__(
        self,
        min_overlaps: Sequence[float] = (0.1, 0.3, 0.7, 0.9),
        min_scale: float = 0.3,
        attempts: int = 50,
        published_iou_quirk: bool = False,
    ) -> None:
        if not all(0 <= overlap <= 1 for overlap in min_overlaps) or not 0 < min_scale <= 1 or attempts < 1:
            raise ConfigError(
                f"RandomInstanceCrop: min_overlaps {list(min_overlaps)}, min_scale {min_scale}, attempts {attempts}",
                remedy="use overlaps in 0..1, 0 < min_scale <= 1 and attempts >= 1",
            )
        self.min_overlaps = tuple(min_overlaps)
        self.min_scale = min_scale
        self.attempts = attempts
        self.published_iou_quirk = published_iou_quirk

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        instances = sample.instances
        modes: list[float | None] = [None, *self.min_overlaps, 0.0]
        while True:
            overlap = modes[rng.integers(len(modes))]
            if overlap is None or instances is None or instances.crowd.all():
                return sample
            for _ in range(self.attempts):
                place = self._draw(sample.size, rng)
                if place is None:
                    continue
                kept = self._kept(instances, place, overlap)
                if kept is not None:
                    sample.instances = instances.select(kept)
                    x1, y1, x2, y2 = place
                    return crop_sample(sample, y1, x1, y2 - y1, x2 - x1)

    def _draw(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, int, int] | None:
        """(x1, y1, x2, y2), None when the proportions drawn are too extreme."""
        height, width = rng.uniform(self.min_scale, 1, size=2) * size
        if not 0.5 <= height / width <= 2:
            return None
        top, left = rng.uniform(0, 1, size=2) * (size[0] - height, size[1] - width)
        x1, y1, x2, y2 = int(left), int(top), int(left + width), int(top + height)
        return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None

    def _kept(self, instances: Instances, place: tuple[int, int, int, int], overlap: float) -> np.ndarray | None:
        """bool [n]: the objects to keep, None when the rectangle does not do."""
        boxes = instances.boxes
        corner, end = np.array(place[:2]), np.array(place[2:])
        whole = np.array([place], np.float64)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        inside: np.ndarray = ((corner < centres) & (centres < end)).all(axis=1)
        objects = inside & ~instances.crowd
        if not objects.any():
            return None
        if overlap and not self.published_iou_quirk and iou(whole, boxes[objects].astype(np.float64)).max() < overlap:
            return None
        return inside


@TRANSFORMS.add_component
class DiscardSmallInstances:
    """Drop objects that have become too small to learn from; by default those of 4 pixels or less at 550x550.

    Args:
        min_width: boxes up to this width are dropped, as a share of the image's width.
        min_height: boxes up to this height are dropped, as a share of the image's height.
        published_absolute_quirk: compare these numbers with widths and heights in *pixels*, as the published YOLACT
            does: only boxes without an inside go.
    """

    train_only = True

    def __init__(
        self, min_width: float = 0.00727, min_height: float = 0.00727, published_absolute_quirk: bool = False
    ) -> None:
        if not 0 <= min_width < 1 or not 0 <= min_height < 1:
            raise ConfigError(
                f"DiscardSmallInstances: min_width {min_width}, min_height {min_height}",
                remedy="write shares of the image, for example 0.01",
            )
        self.min_width = min_width
        self.min_height = min_height
        self.published_absolute_quirk = published_absolute_quirk

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if sample.instances is not None:
            height, width = (1, 1) if self.published_absolute_quirk else sample.size
            limits = np.array([self.min_width * width, self.min_height * height])
            boxes = sample.instances.boxes
            sample.instances = sample.instances.select(((boxes[:, 2:] - boxes[:, :2]) > limits).all(axis=1))
        return sample
