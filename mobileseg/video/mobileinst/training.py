"""Training and evaluation of MobileInst: what the module ``training`` of the task takes for networks with queries."""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import paddle

from mobileseg.data.sample import Sample
from mobileseg.errors import ConfigError
from mobileseg.instance.predictor import original_size
from mobileseg.structures import InstanceResult
from mobileseg.tracking.options import TrackingOptions
from mobileseg.training.objective import Objective
from mobileseg.training.steps import Step
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.mobileinst.clips import clip_losses
from mobileseg.video.mobileinst.following import Reports, following, reported
from mobileseg.video.mobileinst.losses import MobileInstLoss
from mobileseg.video.mobileinst.model import MobileInst
from mobileseg.video.mobileinst.names import ANSWERS, MASK_FEATURES
from mobileseg.video.mobileinst.options import KernelOptions, QueryOptions
from mobileseg.video.mobileinst.postprocess import Answers, mask_features_of
from mobileseg.video.mobileinst.stream import KernelMemory, show, start
from mobileseg.video.names import KEY
from mobileseg.video.predictor import planned
from mobileseg.video.runtime import remembered
from mobileseg.video.stages import BASE, still_images


class QueryObjective(Objective):
    """Losses of images, or of clips where the batch has ``frames``.

    Args:
        network: a MobileInst.
        criterion: its loss.

    Raises:
        ConfigError: another loss.
    """

    def __init__(self, network: MobileInst, criterion: MobileInstLoss) -> None:
        if not isinstance(criterion, MobileInstLoss):
            raise ConfigError(
                f"MobileInst is trained by MobileInstLoss, the configuration has {type(criterion).__name__}",
                remedy="write loss: {types: [{type: MobileInstLoss}]}",
            )
        super().__init__(network, criterion)

    def forward(self, batch: dict[str, Any]) -> dict[str, paddle.Tensor]:
        if "frames" in batch:
            return clip_losses(self.network, self.criterion, batch, self.autocast)
        return super().forward(batch)


def query_steps(network: MobileInst, criterion: Any, dataset: Any, settings: Mapping[str, Any]) -> list[Step]:
    """Steps of an iteration: still images where there are some (``stills_dataset``), then frames or clips.

    Raises:
        ConfigError: loss, datasets or stage are not for queries.
        DataError: the still images cannot be trained on.
    """
    if settings["video"]["stage"] != BASE:
        raise ConfigError(
            f"MobileInst has no flow, and video.stage is {settings['video']['stage']}",
            remedy="leave video.stage out; clip: 2 in train_dataset trains on pairs of frames",
        )
    if not hasattr(dataset, "objects") or getattr(dataset, "reference", None) is not None:
        raise ConfigError(
            f"MobileInst learns from objects in images or clips, and train_dataset ({type(dataset).__name__}) gives "
            "pairs of images, of which one has none",
            remedy="give it CocoInstances or videos, with clip: 2 in place of reference",
        )
    stills = still_images(dataset, settings)
    first = [] if stills is None else [Step(QueryObjective(network, criterion), stills, "stills")]
    return [*first, Step(QueryObjective(network, criterion), dataset, "frames" if first else "train")]


class QueryPredictor:
    """Objects of the frames of a sequence, with tracks; an image is a sequence of one.

    Args:
        network: in evaluation mode.
        queries: how answers become instances.
        kernels: how kernels travel from key frame to key frame.
        keyframes: when one is due; besides, when the masks of a frame were too unsure.

    Raises:
        ConfigError: a delay of key frames.
    """

    def __init__(
        self,
        network: MobileInst,
        queries: QueryOptions | None = None,
        kernels: KernelOptions | None = None,
        keyframes: KeyframeOptions | None = None,
    ) -> None:
        self.network = network
        self.queries = queries or QueryOptions()
        self.kernels = kernels or KernelOptions()
        self.rule = keyframes or KeyframeOptions()
        if self.rule.delay:
            raise ConfigError(
                f"keyframes.delay is {self.rule.delay}, and kernels are used at once",
                remedy="leave delay out of the section keyframes",
            )
        self._reports: Reports = "all"
        self.begin()

    def for_stream(self, track: bool | Mapping[str, Any] | TrackingOptions | None) -> QueryPredictor:
        """The same for frames of another source; see :func:`following`."""
        found = copy(self)
        found._reports, found.kernels = following(type(self.network).__name__, self.kernels, track)
        found.begin()
        return found

    def begin(self) -> None:
        """The next frame begins a sequence."""
        self._memory: dict[str, Any] = {}
        self._state: KernelMemory | None = None

    def __call__(self, sample: Sample) -> InstanceResult:
        """Objects of a sample that went through the evaluation transforms, at the size before them.

        Raises:
            ConfigError: see :func:`mobileseg.instance.predictor.original_size`.
            DataError: see :func:`mobileseg.video.predictor.planned`.
        """
        size = original_size(sample)
        due = planned(self.rule, self._memory, sample).pipeline == KEY
        begun = time.perf_counter()
        made = self._outputs(sample.image, due)
        if due:
            self._state = start(self._state, Answers.of(made), self.queries, self.kernels)
        assert self._state is not None  # the first frame is a key frame
        features, stride = mask_features_of(made), self.network.mask_stride
        self._state, found = show(self._state, features, stride, sample.size, size, self.queries, self.kernels)
        self._memory["stale"] = self._state.stale
        times = {"frame": (time.perf_counter() - begun) * 1000}
        found = reported(remembered(self.rule, self._memory, found), self._reports)
        return replace(found, times=times)

    @paddle.no_grad()
    def _outputs(self, image: np.ndarray, due: bool) -> dict[str, np.ndarray]:
        """Tensors of one frame, float32, of a normalised image float32 [H, W, 3]; with answers where they are due."""
        tensor = paddle.to_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32))
        made: Mapping[str, paddle.Tensor] = self.network.features(tensor)
        if due:
            made = {**made, **self.network.instances(made)}
        wanted = (MASK_FEATURES, *ANSWERS) if due else (MASK_FEATURES,)
        return {name: made[name].astype("float32").numpy() for name in wanted}
