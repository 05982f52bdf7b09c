"""Objects of other images pasted into an image (after Ghiasi et al., CVPR 2021, and Dwibedi et al., ICCV 2017)."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from mobileseg.data.instances import Instances, Region
from mobileseg.data.sample import Sample
from mobileseg.data.transforms.others import OtherImages
from mobileseg.errors import ConfigError
from mobileseg.pixels import resize
from mobileseg.registry import TRANSFORMS

_SMALLEST = 64  # pixels; less of an object says nothing
_BORDER = 3  # deviations of the blended border beyond which nothing is seen of it


class PastedObject(NamedTuple):
    """An object that is cut out.

    Attributes:
        image: float32 [h + 2m, w + 2m, 3]: what surrounds the object too, m pixels of it.
        bitmap: uint8 [h, w], 1 on the object.
        label: index of its class.
    """

    image: np.ndarray
    bitmap: np.ndarray
    label: int


@TRANSFORMS.add_component
class CopyPaste(OtherImages):
    """With probability ``prob`` paste objects of another image of the dataset, each at a place of its own.

    An object is mirrored half of the time, scaled, and put where it lies inside the image as a whole. What it covers is
    cut from the objects and crowd regions below; those without a pixel left are dropped. Crowd regions are never
    pasted, because nobody knows whose pixels they hold. An object for which no place is found is left out, and the
    image stays as it is when none fits.

    Place it first: it pastes the pixels of files.

    Args:
        prob: probability.
        max_objects: the number of objects is drawn from 1 to this; the other image may have fewer.
        min_scale: smallest factor of an object's size.
        max_scale: largest factor; drawn evenly on a logarithmic scale.
        max_covered: a place is refused that covers a larger share (0..1) of what is left of any object.
        blend: deviation in pixels of the Gaussian by which the border fades; 0: a sharp border.
        attempts: places tried per object.
    """

    def __init__(
        self,
        prob: float = 0.5,
        max_objects: int = 3,
        min_scale: float = 0.5,
        max_scale: float = 1.5,
        max_covered: float = 0.5,
        blend: float = 0.0,
        attempts: int = 10,
    ) -> None:
        if not (0 <= prob <= 1 and 0 <= max_covered <= 1) or max_objects < 1 or attempts < 1:
            raise ConfigError(
                f"CopyPaste: prob {prob}, max_covered {max_covered}, max_objects {max_objects}, attempts {attempts}",
                remedy="use prob and max_covered in 0..1, max_objects and attempts of at least 1",
            )
        if not 0 < min_scale <= max_scale <= 16 or not 0 <= blend <= 16:
            raise ConfigError(
                f"CopyPaste: min_scale {min_scale}, max_scale {max_scale}, blend {blend}",
                remedy="use 0 < min_scale <= max_scale <= 16 and blend in 0..16 pixels",
            )
        self.prob = prob
        self.max_objects = max_objects
        self.scales = (math.log(min_scale), math.log(max_scale))
        self.max_covered = max_covered
        self.blend = blend
        self.attempts = attempts

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        self._require_dataset()
        if sample.instances is None or rng.random() >= self.prob:
            return sample
        other = self._draw(rng)
        assert other.instances is not None  # of every image of the dataset
        usable = np.flatnonzero(~other.instances.crowd & (other.instances.areas() >= _SMALLEST))
        count = int(rng.integers(1, self.max_objects + 1))
        for number in rng.permutation(usable)[:count]:
            cutout = self._cut(other, int(number), rng)
            place = self._place(sample, cutout.bitmap, rng)
            if place is not None:
                self._paste(sample, cutout, *place)
        return sample

    def _cut(self, other: Sample, number: int, rng: np.random.Generator) -> PastedObject:
        x1, y1, x2, y2 = other.instances.regions[number].box  # type: ignore[union-attr]
        bitmap = other.instances.regions[number].bitmap  # type: ignore[union-attr]
        factor = math.exp(rng.uniform(*self.scales))
        margin = math.ceil(_BORDER * self.blend)
        around = math.ceil(margin / factor)  # so that scaling leaves the margin
        rows = np.clip(np.arange(y1 - around, y2 + around), 0, other.size[0] - 1)
        columns = np.clip(np.arange(x1 - around, x2 + around), 0, other.size[1] - 1)
        image, mask = other.image[np.ix_(rows, columns)], np.pad(bitmap, around).astype(np.float32)
        if rng.random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        size = (max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor)))
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        image, mask = (resize(np.ascontiguousarray(part), size, method) for part in (image, mask))
        x, y, width, height = cv2.boundingRect((mask >= 0.5).view(np.uint8))
        framed = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        return PastedObject(
            framed[y : y + height + 2 * margin, x : x + width + 2 * margin],
            np.ascontiguousarray(mask[y : y + height, x : x + width] >= 0.5).view(np.uint8),
            int(other.instances.classes[number]),  # type: ignore[union-attr]
        )

    def _place(self, sample: Sample, bitmap: np.ndarray, rng: np.random.Generator) -> tuple[int, int] | None:
        """(top, left) of the object in the image; None when no place was found."""
        room = np.array(sample.size) - bitmap.shape
        if cv2.countNonZero(bitmap) < _SMALLEST or room.min() < 0:
            return None
        assert sample.instances is not None
        below = sample.instances.select(~sample.instances.crowd)
        areas = below.areas()
        for _ in range(self.attempts):
            top, left = (int(number) for number in rng.integers(0, room + 1))
            left_over = below.without(Region(top, left, bitmap)).areas()
            if (areas - left_over <= self.max_covered * areas).all():
                return top, left
        return None

    def _paste(self, sample: Sample, cutout: PastedObject, top: int, left: int) -> None:
        region = Region(top, left, cutout.bitmap)
        alpha = np.pad(cutout.bitmap, margin_of(cutout)).astype(np.float32)
        if self.blend:
            alpha = cv2.GaussianBlur(alpha, (0, 0), self.blend)
        sample.image = blended(sample.image, cutout, alpha[..., None], top, left)
        assert sample.instances is not None
        below = sample.instances.without(region)
        below = below.select(np.array([part.bitmap.size > 0 for part in below.regions], bool))
        new = Instances.from_regions(
            sample.size, [region], [cutout.label], ids=[1 + max(below.ids.tolist(), default=0)]
        )
        sample.instances = below.joined(new)


def margin_of(cutout: PastedObject) -> int:
    """Pixels around an object on each side of its image."""
    return (cutout.image.shape[0] - cutout.bitmap.shape[0]) // 2


def blended(image: np.ndarray, cutout: PastedObject, alpha: np.ndarray, top: int, left: int) -> np.ndarray:
    """A copy of an image with an object over it.

    Args:
        image: float32 [H, W, 3].
        cutout: the object.
        alpha: float32 [h + 2m, w + 2m, 1], 1 where only the object is seen.
        top: row of the object in the image.
        left: its column.
    """
    image = image.copy()
    margin = margin_of(cutout)
    first, second = top - margin, left - margin
    rows = slice(max(first, 0), min(first + alpha.shape[0], image.shape[0]))
    columns = slice(max(second, 0), min(second + alpha.shape[1], image.shape[1]))
    own = (slice(rows.start - first, rows.stop - first), slice(columns.start - second, columns.stop - second))
    image[rows, columns] += alpha[own] * (cutout.image[own] - image[rows, columns])
    return image
