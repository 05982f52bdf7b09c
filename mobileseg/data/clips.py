"""Frames of a video that are augmented alike, and the arrays of a clip.

The frames of a clip see the same draws of every transform: each starts from the same state of the generator, and has
the first frame's objects with it, because crops look at objects before they decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mobileseg.data.instances import Instances, Size
from mobileseg.data.sample import Sample
from mobileseg.errors import DataError

PAD_VALUES = {"track_ids": -1, "frame_boxes": 0, "frame_masks": 0, "frame_present": 0}
"""Arrays of :func:`clip_arrays` with one row per object, beside 'classes' and 'crowd', and what a batch pads with."""


class GuidedFrame:
    """A frame that goes through the transforms as the first frame of its clip did.

    Transforms decide by objects that are no crowd alone. So the objects of the first frame come along and decide,
    while those of this frame take part as crowd: they are moved and cut, and go where a transform drops them.

    Args:
        sample: the frame; its objects may be None.
        lead: objects of the first frame before the transforms.
        lead_size: height and width of the first frame before the transforms.

    Raises:
        DataError: the two frames differ in size.
    """

    def __init__(self, sample: Sample, lead: Instances | None, lead_size: Size) -> None:
        if sample.size != lead_size:
            raise DataError(
                f"frames of one video differ in size: {sample.meta.get('image_path', 'a frame')} is "
                f"{sample.size[1]}x{sample.size[0]} (width x height), an earlier one of the clip "
                f"{lead_size[1]}x{lead_size[0]}",
                remedy="write all frames of a video in one size, or make two videos of it",
            )
        self._own = Instances.empty(lead_size) if sample.instances is None else sample.instances
        self._without = sample.instances is None
        guides = Instances.empty(lead_size) if lead is None else lead
        own, count = self._own, len(self._own)
        sample.instances = Instances(
            size=lead_size,
            boxes=np.concatenate([guides.boxes, own.boxes]),
            classes=np.concatenate([guides.classes, own.classes]),
            crowd=np.concatenate([guides.crowd, np.ones(count, bool)]),
            # The number of an own object in its frame; guides have negative ones.
            ids=np.concatenate([np.full(len(guides), -1, np.int64), np.arange(count)]),
            regions=[*guides.regions, *own.regions],
        )
        self.sample = sample

    def released(self, moved: Sample) -> Sample:
        """The transformed frame with its own objects alone, as they were before but for place and shape."""
        assert moved.instances is not None
        kept = moved.instances.select(moved.instances.ids >= 0)
        numbers = kept.ids
        kept.crowd, kept.ids = self._own.crowd[numbers], self._own.ids[numbers]
        moved.instances = None if self._without else kept
        return moved


def generator_at(state: Mapping[str, Any]) -> np.random.Generator:
    """A generator whose draws begin at a state that was taken from ``rng.bit_generator.state``."""
    rng = np.random.default_rng(0)
    rng.bit_generator.state = dict(state)
    return rng


def clip_arrays(frames: Sequence[Sample]) -> dict[str, np.ndarray]:
    """The objects of T transformed frames of one size, one row per track.

    Tracks stand in the order in which they appear. A row is padding when its class is -1.

    Returns:
        ``frames`` float32 [T, 3, H, W]; ``classes`` int64 [n]; ``crowd`` uint8 [n]; ``track_ids`` int64 [n];
        ``frame_present`` uint8 [n, T], whether the track has a mask in the frame; ``frame_boxes`` float32 [n, T, 4],
        xyxy as shares (0..1) of width and height; ``frame_masks`` uint8 [n, T, H, W]. Boxes and masks are 0 where the
        track is not present.
    """
    height, width = frames[0].size
    objects = [Instances.empty((height, width)) if f.instances is None else f.instances for f in frames]
    first: dict[int, tuple[int, bool]] = {}
    for instances in objects:
        for identifier, label, crowd in zip(instances.ids, instances.classes, instances.crowd, strict=True):
            first.setdefault(int(identifier), (int(label), bool(crowd)))
    rows = {identifier: row for row, identifier in enumerate(first)}
    count, length = len(rows), len(frames)
    present = np.zeros((count, length), np.uint8)
    boxes = np.zeros((count, length, 4), np.float32)
    masks = np.zeros((count, length, height, width), np.uint8)
    scale = np.array([width, height, width, height], np.float32)
    for time, instances in enumerate(objects):
        for number, (identifier, region) in enumerate(zip(instances.ids.tolist(), instances.regions, strict=True)):
            row = rows[identifier]
            x1, y1, x2, y2 = region.box
            present[row, time] = 1
            boxes[row, time] = instances.boxes[number] / scale
            masks[row, time, y1:y2, x1:x2] = region.bitmap
    return {
        "frames": np.stack([frame.image.transpose(2, 0, 1) for frame in frames]).astype(np.float32),
        "classes": np.array([label for label, _ in first.values()], np.int64),
        "crowd": np.array([crowd for _, crowd in first.values()], np.uint8),
        "track_ids": np.array(list(first), np.int64),
        "frame_present": present,
        "frame_boxes": boxes,
        "frame_masks": masks,
    }
