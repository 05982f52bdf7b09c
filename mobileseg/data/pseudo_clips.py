"""Clips made of still images with annotated objects: random motion, and objects cut out and moved over others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mobileseg.data.annotations import AnnotationTable
from mobileseg.data.geometry import resize_sample, warp_sample
from mobileseg.data.instance_base import InstanceDataset
from mobileseg.data.instances import Instances, Region, Size
from mobileseg.data.nested import nested_dataset
from mobileseg.data.sample import Sample
from mobileseg.data.video_base import Video, VideoDataset, clip_length
from mobileseg.errors import ConfigError
from mobileseg.registry import DATASETS

_GREY = 127.5
_SMALLEST = 64  # pixels of an object that is worth cutting out


@dataclass(frozen=True)
class Drift:
    """A steady motion from frame to frame about the middle of an image.

    Attributes:
        dx: columns per frame.
        dy: rows per frame.
        turn: radians per frame.
        zoom: natural logarithm of the factor per frame.
    """

    dx: float
    dy: float
    turn: float
    zoom: float

    def matrix(self, time: int, size: Size, centre: tuple[float, float] | None = None) -> np.ndarray:
        """float64 [2, 3], from pixel centres of frame 0 to those of frame ``time``, turning about ``centre``."""
        x, y = ((size[1] - 1) / 2, (size[0] - 1) / 2) if centre is None else centre
        scale, angle = math.exp(self.zoom * time), self.turn * time
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        return np.array(
            [
                [cos, -sin, x - cos * x + sin * y + self.dx * time],
                [sin, cos, y - sin * x - cos * y + self.dy * time],
            ]
        )


@dataclass(frozen=True)
class Cutout:
    """An object that was cut out of a still: its pixels, mask, class and motion."""

    image: np.ndarray
    region: Region
    label: int
    drift: Drift


@DATASETS.add_component
class PseudoClips(VideoDataset):
    """Clips with ids from any dataset of still images with objects, for training.

    Frame 0 is the still, the later ones are moved by a steady random shift, turn and zoom (an affine map). With
    ``paste``, objects cut out of other stills move over the clip on paths of their own: they hide and uncover what is
    below. With ``backgrounds``, the objects of the still leave it and move over the frames of another dataset instead,
    for example those of a video; what can be seen there counts as background, so it should show no object of these
    classes.

    The arrays are those of :class:`~mobileseg.data.video_base.VideoDataset` with ``clip``, and so is the rule that all
    frames see the same draws of the transforms.

    Args:
        stills: section of a dataset of objects (``type: CocoInstances`` and its arguments), without transforms.
        transforms: steps of the pipeline.
        mode: 'train'.
        clip: frames per clip.
        max_shift: largest shift per frame, as share (0..1) of width and height.
        max_turn: largest turn per frame in degrees.
        max_zoom: largest factor per frame, at least 1; the smallest is its reciprocal.
        paste: largest number of objects of other stills that move over a clip.
        backgrounds: section of a dataset whose frames the objects move over; None: the still itself.
        background_prob: share of the clips for which ``backgrounds`` is used.
        keep_empty: train on stills without objects too.
        seed: start of all random choices.

    Raises:
        DataError: see the dataset of the stills.
        ConfigError: no section of a dataset of objects, or a number that cannot be used.
    """

    def __init__(
        self,
        stills: Mapping[str, Any],
        transforms: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "train",
        clip: int = 2,
        max_shift: float = 0.05,
        max_turn: float = 5,
        max_zoom: float = 1.05,
        paste: int = 0,
        backgrounds: Mapping[str, Any] | None = None,
        background_prob: float = 0.5,
        keep_empty: bool = False,
        seed: int = 0,
    ) -> None:
        if mode != "train":
            raise ConfigError(f"PseudoClips has no mode {mode!r}", remedy="evaluate on real or generated clips")
        if not 0 <= max_shift <= 1 or not 0 <= max_turn <= 180 or not 1 <= max_zoom <= 4 or not 0 <= paste <= 16:
            raise ConfigError(
                f"PseudoClips: max_shift {max_shift}, max_turn {max_turn}, max_zoom {max_zoom}, paste {paste}",
                remedy="use max_shift in 0..1, max_turn in 0..180 degrees, max_zoom in 1..4 and paste in 0..16",
            )
        self.stills = _stills(stills, keep_empty=keep_empty)
        self.backgrounds = None if backgrounds is None else nested_dataset("backgrounds", backgrounds)
        self.background_prob = background_prob
        self.motion = (max_shift, math.radians(max_turn), math.log(max_zoom))
        self.paste = paste
        count = len(self.stills)
        super().__init__(
            self.stills.items,
            [Video(self.stills.file_name(i), range(i, i + 1), (0,), i + 1) for i in range(count)],
            None,
            mode=mode,
            transforms=transforms,
            classes=self.stills.classes,
            category_ids=self.stills.category_ids,
            image_ids=[self.stills.image_id(i) for i in range(count)],
            file_names=[self.stills.file_name(i) for i in range(count)],
            keep_empty=keep_empty,
            seed=seed,
            source=self.stills.source,
        )
        self.clip = clip_length(clip)
        self.left_out = dict(self.stills.left_out)

    @property
    def annotations(self) -> AnnotationTable:
        """The objects of the stills."""
        return self.stills.annotations

    def objects(self, index: int) -> Instances:
        """The objects of a still in its original size, without reading its pixels."""
        return self.stills.objects(index)

    def load(self, index: int) -> Sample:
        """Decode a still and its objects."""
        return self.stills.load(index)

    def frames_of(self, index: int, rng: np.random.Generator) -> list[Sample]:
        """The frames of a clip, before the transforms."""
        assert self.clip is not None
        still = self.load(index)
        assert still.instances is not None  # a still of InstanceDataset, in training
        size = still.size
        cutouts = []
        grounds = None
        if self.backgrounds is not None and rng.random() < self.background_prob:
            grounds = self._background(size, rng)
            solid = np.flatnonzero(~still.instances.crowd)
            cutouts = [self._cutout(still, int(number), size, rng) for number in solid]
        if grounds is None:
            still.instances = _with_ids(still.instances, range(1, len(still.instances) + 1))
            drift = self._drift(size, rng)
            grounds = [_warped(still, drift.matrix(time, size)) for time in range(self.clip)]
        first_id = 1 + max((int(frame.instances.ids.max()) for frame in grounds if frame.instances), default=0)
        for _ in range(int(rng.integers(self.paste + 1)) if self.paste else 0):
            other = self.load(self.drawn(int(rng.integers(len(self))), rng))
            assert other.instances is not None
            resize_sample(other, size[1], size[0])
            usable = np.flatnonzero(~other.instances.crowd & (other.instances.areas() >= _SMALLEST))
            if len(usable):
                cutouts.append(self._cutout(other, int(rng.choice(usable)), size, rng, anywhere=True))
        for time, frame in enumerate(grounds):
            for number, cutout in enumerate(cutouts):
                _compose(frame, cutout, first_id + number, time)
        return grounds

    def _drift(self, size: Size, rng: np.random.Generator) -> Drift:
        shift, turn, zoom = self.motion
        dx, dy, angle, factor = rng.uniform(-1, 1, 4)
        return Drift(dx * shift * size[1], dy * shift * size[0], angle * turn, factor * zoom)

    def _cutout(
        self, sample: Sample, number: int, size: Size, rng: np.random.Generator, *, anywhere: bool = False
    ) -> Cutout:
        """One object of a sample with a motion of its own, moved to another place first if ``anywhere``."""
        assert sample.instances is not None
        one = sample.instances.select([number])
        image, region, label = sample.image, one.regions[0], int(one.classes[0])
        drift = self._drift(size, rng)
        if anywhere:
            x1, y1, x2, y2 = region.box
            target = rng.uniform(0, 1, 2) * (size[1], size[0])
            move = np.array([[1.0, 0, round(target[0] - (x1 + x2) / 2)], [0, 1.0, round(target[1] - (y1 + y2) / 2)]])
            image = cv2.warpAffine(image, move, (size[1], size[0]), flags=cv2.INTER_NEAREST)
            moved = one.warp(move, size)
            region = moved.regions[0] if len(moved) else Region(0, 0, np.zeros((0, 0), np.uint8))
        return Cutout(image, region, label, drift)

    def _background(self, size: Size, rng: np.random.Generator) -> list[Sample]:
        """Frames that follow each other in another dataset, without objects, in the size of the still."""
        assert self.backgrounds is not None
        assert self.clip is not None
        sequences = self.backgrounds.sequences()
        frames = sequences[int(rng.integers(len(sequences)))]
        start = int(rng.integers(max(1, len(frames) - self.clip + 1)))
        found = []
        for time in range(self.clip):  # the last frame of a short sequence stands still
            sample = self.backgrounds.load(int(frames[min(start + time, len(frames) - 1)]))
            path = sample.meta["image_path"]
            plain = Sample(sample.image, None, {"image_path": path, "geometry": []}, Instances.empty(sample.size))
            plain = resize_sample(plain, size[1], size[0])
            found.append(Sample(plain.image, None, {"image_path": path, "geometry": []}, plain.instances))
        return found


def _stills(section: Any, *, keep_empty: bool) -> InstanceDataset:
    arguments = {"keep_empty": keep_empty} | dict(section) if isinstance(section, Mapping) else section
    dataset = nested_dataset("stills", arguments)
    if not isinstance(dataset, InstanceDataset) or isinstance(dataset, VideoDataset) or dataset.evaluates:
        raise ConfigError(
            f"stills is a {type(dataset).__name__} of mode '{dataset.mode}'; a clip is made of images with objects",
            remedy="use CocoInstances, LabelmeInstances or VocInstances with mode: train",
        )
    return dataset


def _with_ids(instances: Instances, ids: Sequence[int]) -> Instances:
    moved = instances.select(np.arange(len(instances)))
    moved.ids = np.asarray(ids, np.int64)
    return moved


def _warped(still: Sample, matrix: np.ndarray) -> Sample:
    frame = Sample(still.image, None, {**still.meta, "geometry": []}, still.instances)
    if np.array_equal(matrix, np.eye(2, 3)):
        frame.image = still.image.copy()  # transforms may change it in place
        return frame
    return warp_sample(frame, matrix, (still.size[1], still.size[0]), _GREY, None)


def _compose(frame: Sample, cutout: Cutout, identifier: int, time: int) -> None:
    """Lay a cut-out over a frame: over its pixels, and over the masks of the objects below."""
    assert frame.instances is not None
    size = frame.size
    x1, y1, x2, y2 = cutout.region.box
    matrix = cutout.drift.matrix(time, size, ((x1 + x2 - 1) / 2, (y1 + y2 - 1) / 2))
    one = Instances.from_regions(size, [cutout.region], [cutout.label], ids=[identifier]).warp(matrix, size)
    if not len(one):
        return
    left, top, right, bottom = one.regions[0].box
    local = matrix.copy()
    local[:, 2] -= left, top
    pixels = cv2.warpAffine(cutout.image, local, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    covered = one.regions[0].bitmap.astype(bool)
    frame.image[top:bottom, left:right][covered] = pixels[covered]
    below = frame.instances
    regions, boxes = [], below.boxes.copy()
    for number, region in enumerate(below.regions):
        part = _without(region, one.regions[0])
        if part is not region:
            boxes[number] = part.box
        regions.append(part)
    visible = [number for number, region in enumerate(regions) if region.bitmap.size]
    kept = below.select(visible)
    frame.instances = Instances(
        size=size,
        boxes=np.concatenate([boxes[visible], one.boxes]),
        classes=np.concatenate([kept.classes, one.classes]),
        crowd=np.concatenate([kept.crowd, one.crowd]),
        ids=np.concatenate([kept.ids, one.ids]),
        regions=[*(regions[number] for number in visible), one.regions[0]],
    )


def _without(region: Region, over: Region) -> Region:
    """A mask without the pixels of another one; the same object where they do not meet."""
    x1, y1, x2, y2 = region.box
    a1, b1, a2, b2 = over.box
    left, top, right, bottom = max(x1, a1), max(y1, b1), min(x2, a2), min(y2, b2)
    if left >= right or top >= bottom:
        return region
    hidden = over.bitmap[top - b1 : bottom - b1, left - a1 : right - a1]
    part = region.bitmap[top - y1 : bottom - y1, left - x1 : right - x1]
    if not (part & hidden).any():
        return region
    bitmap = region.bitmap.copy()
    bitmap[top - y1 : bottom - y1, left - x1 : right - x1] = part & ~hidden & 1
    return Region(region.top, region.left, bitmap).trimmed()
