"""Four images joined into one (after Bochkovskiy et al., YOLOv4, arXiv:2004.10934)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mobileseg.data.geometry import crop_sample, resize_sample
from mobileseg.data.instances import Instances
from mobileseg.data.sample import Sample
from mobileseg.data.transforms.others import OtherImages
from mobileseg.data.transforms.resize import pair
from mobileseg.errors import ConfigError
from mobileseg.registry import TRANSFORMS


@TRANSFORMS.add_component
class Mosaic(OtherImages):
    """With probability ``prob`` join the image and three others of the dataset around a point.

    Each of the four fills its rectangle of the canvas: it is scaled by the smallest factor with which it covers that,
    times ``zoom``, and cut at a random place. The image itself lies in a corner drawn at random. Objects and crowd
    regions are scaled and cut with their image, boxes of what is cut become tight. An object of which less than
    ``min_visible`` is left becomes a crowd region: it is not learned, and what is seen of it is no background.

    Place it first: it joins the pixels of files.

    Args:
        prob: probability.
        target_size: (width, height) of the canvas.
        centre: least and largest place of the point where the four meet, as shares of width and height.
        zoom: least and largest factor, at least 1, beyond covering the rectangle; drawn evenly on a logarithmic scale.
        min_visible: share (0..1) of its pixels from which a cut object is still learned.
    """

    def __init__(
        self,
        prob: float = 0.5,
        target_size: Sequence[int] = (512, 512),
        centre: Sequence[float] = (0.3, 0.7),
        zoom: Sequence[float] = (1.0, 1.5),
        min_visible: float = 0.3,
    ) -> None:
        if not 0 <= prob <= 1 or not 0 <= min_visible <= 1:
            raise ConfigError(f"Mosaic: prob {prob}, min_visible {min_visible}", remedy="use numbers in 0..1")
        if len(centre) != 2 or not 0 < centre[0] <= centre[1] < 1:
            raise ConfigError(f"Mosaic.centre is {list(centre)}", remedy="write two ascending shares, as [0.3, 0.7]")
        if len(zoom) != 2 or not 1 <= zoom[0] <= zoom[1] <= 16:
            raise ConfigError(f"Mosaic.zoom is {list(zoom)}", remedy="write two ascending factors in 1..16")
        self.prob = prob
        self.target_size = pair("Mosaic.target_size", target_size)
        if min(self.target_size) < 2:
            raise ConfigError(f"Mosaic.target_size is {self.target_size}", remedy="use at least 2 x 2 pixels")
        self.centre = (float(centre[0]), float(centre[1]))
        self.zoom = (math.log(zoom[0]), math.log(zoom[1]))
        self.min_visible = min_visible

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        self._require_dataset()
        if sample.instances is None or rng.random() >= self.prob:
            return sample
        width, height = self.target_size
        middle = [
            min(max(round(side * rng.uniform(*self.centre)), 1), side - 1) for side in (height, width)
        ]  # every part has a pixel
        parts = [sample, *(self._draw(rng) for _ in range(3))]
        canvas = np.empty((height, width, sample.image.shape[2]), np.float32)
        objects = Instances.empty((height, width))
        for number, corner in enumerate(rng.permutation(4)):
            top, bottom = ((0, middle[0]), (middle[0], height))[corner // 2]
            left, right = ((0, middle[1]), (middle[1], width))[corner % 2]
            part = self._fitted(parts[number], bottom - top, right - left, rng)
            canvas[top:bottom, left:right] = part.image
            assert part.instances is not None  # of every image of the dataset
            objects = objects.joined(part.instances.place(top, left, (height, width)))
        objects.ids = np.arange(1, len(objects) + 1)  # two images may use the same
        sample.image, sample.instances = canvas, objects
        return sample

    def _fitted(self, part: Sample, height: int, width: int, rng: np.random.Generator) -> Sample:
        """A rectangle of the scaled image; objects of which too little is left have become crowd regions."""
        part = Sample(part.image, None, {}, part.instances)  # a dataset may give the same sample twice
        factor = max(height / part.size[0], width / part.size[1]) * math.exp(rng.uniform(*self.zoom))
        resize_sample(part, max(width, round(part.size[1] * factor)), max(height, round(part.size[0] * factor)))
        top, left = (int(rng.integers(room + 1)) for room in (part.size[0] - height, part.size[1] - width))
        whole = part.instances
        assert whole is not None
        whole = whole.select(np.arange(len(whole)))
        whole.ids = np.arange(len(whole))  # to find the objects again that are not cut away
        part.instances = whole
        crop_sample(part, top, left, height, width)
        left_over = part.instances
        left_over.crowd = left_over.crowd | (left_over.areas() < self.min_visible * whole.areas()[left_over.ids])
        return part
