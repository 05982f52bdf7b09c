"""Training and evaluation of MobileInst: what the module ``training`` of the task takes for networks with queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import paddle

from mobileseg.data.sample import Sample
from mobileseg.errors import ConfigError
from mobileseg.structures import InstanceResult
from mobileseg.training.objective import Objective
from mobileseg.video.keyframes import KeyframeOptions, is_key
from mobileseg.video.mobileinst.clips import clip_losses
from mobileseg.video.mobileinst.losses import MobileInstLoss
from mobileseg.video.mobileinst.model import MobileInst
from mobileseg.video.mobileinst.names import ANSWERS, MAPS, MASK_FEATURES
from mobileseg.video.mobileinst.options import KernelOptions, QueryOptions
from mobileseg.video.mobileinst.postprocess import Answers, mask_features_of
from mobileseg.video.mobileinst.stream import KernelMemory, show, start
from mobileseg.video.names import KEY, NONKEY


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


class QueryPredictor:
    """Objects of the frames of a sequence, with tracks; an image is a sequence of one.

    Args:
        network: in evaluation mode.
        queries: how answers become instances.
        kernels: how kernels travel from key frame to key frame.
        rule: when one is due; by age alone: samples are normalised, and frames cannot be compared.
    """

    def __init__(
        self,
        network: MobileInst,
        queries: QueryOptions | None = None,
        kernels: KernelOptions | None = None,
        rule: KeyframeOptions | None = None,
    ) -> None:
        self.network = network
        self.queries = queries or QueryOptions()
        self.kernels = kernels or KernelOptions()
        self.rule = rule or KeyframeOptions()
        self.begin()

    def begin(self) -> None:
        """The next frame begins a sequence."""
        self._state: KernelMemory | None = None
        self._age: int | None = None

    def __call__(self, sample: Sample) -> InstanceResult:
        """Objects of a sample that went through the evaluation transforms, at the size before them.

        Raises:
            ConfigError: the transforms padded the image; masks are stretched back, nothing is cut off.
        """
        geometry = sample.meta.get("geometry", [])
        if any(step != "resize" for step, _ in geometry):
            raise ConfigError(
                "the validation transforms pad the image, but objects are taken back to it by stretching alone",
                remedy="use Resize to a fixed size and Normalize in val_dataset.transforms",
            )
        due = self._state is None or self._state.stale or is_key(self._age, self.rule)
        made = self._outputs(sample.image, due)
        if due:
            self._state, self._age = start(self._state, Answers.of(made), self.queries, self.kernels), 0
        assert self._state is not None
        assert self._age is not None
        self._age += 1
        size = geometry[0][1] if geometry else sample.size
        features, stride = mask_features_of(made), self.network.mask_stride
        self._state, found = show(self._state, features, stride, sample.size, size, self.queries, self.kernels)
        return replace(found, pipeline=KEY if due else NONKEY)

    @paddle.no_grad()
    def _outputs(self, image: np.ndarray, due: bool) -> dict[str, np.ndarray]:
        """Tensors of one frame, float32, of a normalised image float32 [H, W, 3]; with answers where they are due."""
        tensor = paddle.to_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32))
        made: Mapping[str, paddle.Tensor] = self.network.features(tensor)
        if due:
            made = {**made, **self.network.instance_decoder(*(made[name] for name in MAPS))}
        wanted = (MASK_FEATURES, *ANSWERS) if due else (MASK_FEATURES,)
        return {name: made[name].astype("float32").numpy() for name in wanted}
