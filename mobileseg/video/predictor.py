"""From the frames of a sequence to objects, by a network in memory that computes some of them from earlier ones."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import paddle

from mobileseg.data.sample import Sample
from mobileseg.instance.options import DetectionOptions
from mobileseg.instance.predictor import OUTPUTS, InstancePredictor
from mobileseg.structures import InstanceResult
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.names import KEY, NONKEY
from mobileseg.video.watch import KeyframeWatch
from mobileseg.video.yolact_edge import KeyFrame


class VideoPredictor(InstancePredictor):
    """Objects of prepared frames; they come in time order, after :meth:`begin` those of another sequence.

    Which of them are key frames, :class:`~mobileseg.video.watch.KeyframeWatch` says.

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
        self.watch = KeyframeWatch(keyframes or KeyframeOptions())
        self.begin()

    def begin(self) -> None:
        """Forget the frames so far."""
        self.watch.begin()
        self._key: KeyFrame | None = None
        self._kind = KEY

    @paddle.no_grad()
    def outputs(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Raw outputs, float32 with batch 1, for a normalised frame float32 [H, W, 3] of the kind that is due."""
        network: Any = self.network
        tensor = paddle.to_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32))
        if self._kind == KEY or self._key is None:
            maps, self._key = network.key_frame(tensor)
        else:
            maps = network.non_key_frame(tensor, self._key)
        outputs = network.predictions(maps, image.shape[:2])
        return {name: outputs[name].astype("float32").numpy() for name in OUTPUTS}

    def __call__(self, sample: Sample) -> InstanceResult:
        """Objects of the next frame, at the size before the transforms; ``pipeline`` is 'key' or 'nonkey'.

        Raises:
            ConfigError: see :class:`~mobileseg.instance.predictor.InstancePredictor`.
            DataError: thumbnails of frames are compared, and the file of this one cannot be read.
        """
        self._kind = KEY if self.watch.is_key(sample) else NONKEY
        begun = time.perf_counter()
        result = super().__call__(sample)
        times = {"frame": (time.perf_counter() - begun) * 1000}
        self.watch.see(result)
        return replace(result, pipeline=self._kind, times=times)
