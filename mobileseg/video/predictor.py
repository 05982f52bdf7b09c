"""From the frames of a sequence to objects, by a network in memory that computes some of them from earlier ones."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import paddle

from mobileseg.data.io import read_image
from mobileseg.data.sample import Sample
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.predictor import OUTPUTS, InstancePredictor
from mobileseg.runtime.task import StepPlan
from mobileseg.structures import InstanceResult
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.names import KEY, NONKEY
from mobileseg.video.runtime import next_step, remembered
from mobileseg.video.yolact_edge import KeyFrame


class VideoPredictor(InstancePredictor):
    """Objects of prepared frames; they come in time order, after :meth:`begin` those of another sequence.

    A sample whose ``meta['key']`` is set is a key frame or not as that says
    (:class:`mobileseg.video.protocol.KeyFramePasses`), any other by the rule; what comes first always is one.

    Args:
        network: of :class:`~mobileseg.video.yolact_edge.FlowYolact`, in evaluation mode.
        detection: thresholds and NMS.
        keyframes: the rule.
    """

    def __init__(
        self,
        network: paddle.nn.Layer,
        detection: DetectionOptions | None = None,
        keyframes: KeyframeOptions | None = None,
    ) -> None:
        super().__init__(network, detection)
        self.rule = keyframes or KeyframeOptions()
        self.begin()

    def begin(self) -> None:
        """Forget the frames so far."""
        self._memory: dict[str, Any] = {}
        self._plan = StepPlan(KEY)
        self._key: KeyFrame | None = None
        self._coming: tuple[int, KeyFrame] | None = None

    @paddle.no_grad()
    def outputs(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Raw outputs, float32 with batch 1, for a normalised frame float32 [H, W, 3] of the kind that is due."""
        network: Any = self.network
        tensor = paddle.to_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32))
        if self._coming is not None:
            left, key = self._coming
            self._key, self._coming = (key, None) if left == 1 else (self._key, (left - 1, key))
        if self._plan.pipeline == KEY or self._key is None:
            maps, self._key = network.key_frame(tensor)
            self._coming = None  # of an earlier frame
        else:
            maps = network.non_key_frame(tensor, self._key)
        if self._plan.ahead is not None:
            self._coming = self._plan.delay, network.key_frame(tensor)[1]
        outputs = network.predictions(maps, image.shape[:2])
        return {name: outputs[name].astype("float32").numpy() for name in OUTPUTS}

    def __call__(self, sample: Sample) -> InstanceResult:
        """Objects of the next frame, at the size before the transforms; ``pipeline`` is 'key' or 'nonkey'.

        Raises:
            ConfigError: see :class:`~mobileseg.instance.predictor.InstancePredictor`.
            DataError: thumbnails of frames are compared, and the file of this one cannot be read.
        """
        self._plan = planned(self.rule, self._memory, sample)
        begun = time.perf_counter()
        found = super().__call__(sample)
        times = {"frame": (time.perf_counter() - begun) * 1000}
        return replace(remembered(self.rule, self._memory, found), times=times)


def planned(rule: KeyframeOptions, memory: dict[str, Any], sample: Sample) -> StepPlan:
    """What the frame of a prepared sample runs: as its ``meta['key']`` says, or else by the rule.

    Args:
        rule: of key frames.
        memory: of the sequence, as :func:`mobileseg.video.runtime.next_step` keeps it; changed.
        sample: the next one. The first one of a sequence always is a key frame. Where thumbnails are compared, its
            ``meta`` has the ``frame`` itself, uint8 [H, W, 3] RGB, or the ``image_path`` to read it from.

    Raises:
        DataError: thumbnails of frames are compared, and the file of this one cannot be read.
    """
    told = sample.meta.get("key")
    if told is not None and "age" in memory:
        memory |= {"age": 0, "pipeline": KEY} if told else {}
        return StepPlan(KEY if told else NONKEY)
    if rule.scene_cut is None:
        return next_step(rule, memory, None)
    frame = sample.meta.get("frame")
    return next_step(rule, memory, read_image(sample.meta["image_path"]) if frame is None else frame)
