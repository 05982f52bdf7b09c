"""Which frames of an evaluated sequence are key frames: the rule, and what it has to remember."""

from __future__ import annotations

import numpy as np

from mobileseg.data.io import read_image
from mobileseg.data.sample import Sample
from mobileseg.structures import InstanceResult
from mobileseg.video.keyframes import KeyframeOptions, is_key, lost_share, thumbnail, thumbnail_difference
from mobileseg.video.runtime import SURE


class KeyframeWatch:
    """Says of every sample whether its frame is a key frame, as :class:`mobileseg.video.runtime.VideoPipeline` does.

    The first frame is one. A sample whose ``meta['key']`` is set is one or not as that says
    (:class:`mobileseg.video.protocol.KeyFramePasses`), any other by the rule.

    Args:
        rule: of key frames; ``delay`` is for streams alone.

    Attributes:
        lost: share of the key frame's objects that the latest frame lost.
    """

    def __init__(self, rule: KeyframeOptions) -> None:
        self.rule = rule
        self.begin()

    def begin(self) -> None:
        """Forget the frames so far."""
        self.lost = 0.0
        self._age: int | None = None
        self._thumbnail: np.ndarray | None = None
        self._sure: InstanceResult | None = None

    def is_key(self, sample: Sample, *, stale: bool = False) -> bool:
        """Whether the next frame is a key frame; ``stale``: the network asks for one.

        Raises:
            DataError: thumbnails of frames are compared, and the file of this one cannot be read.
        """
        small = None if self.rule.scene_cut is None else thumbnail(read_image(sample.meta["image_path"]))
        age = None if self._age is None else self._age + 1
        told = sample.meta.get("key")
        if age is None or told is None:
            difference = 0.0
            if small is not None and self._thumbnail is not None:
                difference = thumbnail_difference(self._thumbnail, small)
            due = stale or is_key(age, self.rule, difference, self.lost)
        else:
            due = bool(told)
        if due:
            self._age, self._thumbnail = 0, small
        else:
            self._age = age
        return due

    def see(self, result: InstanceResult) -> None:
        """Take note of the objects of the frame that :meth:`is_key` was asked about."""
        sure = result.above(SURE)
        if self._age == 0:
            self._sure, self.lost = sure, 0.0
        elif self._sure is not None:
            self.lost = lost_share(self._sure.boxes, self._sure.classes, sure.boxes, sure.classes)
