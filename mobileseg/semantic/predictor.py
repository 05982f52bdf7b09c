"""From a network and a sample to labels in the pixels of the original image: flips, scales, sliding window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F

from mobileseg.data.sample import Sample, undo_geometry
from mobileseg.errors import ConfigError
from mobileseg.semantic.postprocess import labels_from_logits
from mobileseg.structures import SemanticResult


@dataclass(frozen=True)
class TestOptions:
    """How evaluation runs the network (``test_config:``).

    Attributes:
        aug_eval: average the logits over ``scales`` and flips; without it scales and flips are not used.
        scales: factors on the input size.
        flip_horizontal: also the image mirrored left to right.
        flip_vertical: also the image mirrored top to bottom.
        is_slide: run a window over the input instead of the whole.
        crop_size: (width, height) of the window.
        stride: (width, height) between windows.
    """

    __test__ = False  # not a test class, whatever its name suggests to pytest

    aug_eval: bool = False
    scales: tuple[float, ...] = (1.0,)
    flip_horizontal: bool = False
    flip_vertical: bool = False
    is_slide: bool = False
    crop_size: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None

    @classmethod
    def from_section(cls, section: Mapping[str, Any] | None) -> TestOptions:
        """Check and take a ``test_config:`` section.

        Raises:
            ConfigError: a value is missing or impossible.
        """
        options = {key: value for key, value in (section or {}).items() if key != "auc_roc"}  # a score, not a view
        scales = options.pop("scales", 1.0)
        options["scales"] = tuple(float(s) for s in (scales if isinstance(scales, (list, tuple)) else [scales]))
        for key in ("crop_size", "stride"):
            value = options.get(key)
            if value is not None:
                if len(value) != 2 or min(value) < 1:
                    raise ConfigError(f"test_config.{key} is {value}; expected [width, height], both at least 1")
                options[key] = (int(value[0]), int(value[1]))
        if not options["scales"] or min(options["scales"]) <= 0:
            raise ConfigError(f"test_config.scales is {scales}; expected positive factors")
        if options.get("is_slide") and not (options.get("crop_size") and options.get("stride")):
            raise ConfigError(
                "is_slide needs crop_size and stride", remedy="write crop_size: [w, h] and stride: [w, h]"
            )
        try:
            return cls(**options)
        except TypeError as error:
            raise ConfigError(f"test_config: {error}") from error


class NetworkPredictor:
    """Labels of a prepared sample by a network in evaluation mode.

    Args:
        network: gives ``{"logits": float32 [N, K, H, W]}`` at the size of its input.
        options: flips, scales, window.
    """

    def __init__(self, network: paddle.nn.Layer, options: TestOptions | None = None) -> None:
        self.network = network
        self.options = options or TestOptions()

    @paddle.no_grad()
    def logits(self, image: paddle.Tensor) -> paddle.Tensor:
        """Logits [N, K, H, W] for images [N, 3, H, W], averaged over scales and flips if these are on."""
        options = self.options
        if not options.aug_eval:
            return self._windows(image)
        size = image.shape[2:]
        views = list(_flips(options.flip_horizontal, options.flip_vertical))
        total = None
        for scale in options.scales:
            scaled = _resize(image, [int(length * scale + 0.5) for length in size])
            for axes in views:
                flipped = paddle.flip(scaled, axes) if axes else scaled
                scores = self._windows(flipped)
                scores = _resize(paddle.flip(scores, axes) if axes else scores, size)
                total = scores if total is None else total + scores
        assert total is not None
        return total / (len(options.scales) * len(views))

    def __call__(self, sample: Sample) -> SemanticResult:
        """Labels of a sample that went through the evaluation transforms.

        Args:
            sample: image float32 [H, W, 3], normalised; ``meta['geometry']`` as the transforms left it.

        Returns:
            Labels at the size before the transforms: the logits are taken there, then the arg max.
        """
        scores = self._input_scores(sample)
        geometry = sample.meta.get("geometry", [])
        if not geometry and not scores.place.is_cpu_place():  # move one plane to the host instead of K
            return SemanticResult(paddle.argmax(scores, axis=0).numpy().astype(np.uint8))
        restored = undo_geometry(scores.numpy(), geometry)
        return SemanticResult(labels_from_logits(restored, restored.shape[1:]))

    def scores(self, sample: Sample) -> np.ndarray:
        """Logits of a sample, float32 [K, H0, W0] at the size before the transforms."""
        return undo_geometry(self._input_scores(sample).numpy(), sample.meta.get("geometry", []))

    def _input_scores(self, sample: Sample) -> paddle.Tensor:
        image = paddle.to_tensor(np.ascontiguousarray(sample.image.transpose(2, 0, 1)[None]))
        return self.logits(image)[0]

    def _forward(self, image: paddle.Tensor) -> paddle.Tensor:
        return self.network(image)["logits"].astype("float32")

    def _windows(self, image: paddle.Tensor) -> paddle.Tensor:
        options = self.options
        if not options.is_slide:
            return self._forward(image)
        assert options.crop_size is not None
        assert options.stride is not None
        height, width = image.shape[2:]
        rows = window_starts(height, options.crop_size[1], options.stride[1])
        columns = window_starts(width, options.crop_size[0], options.stride[0])
        total: paddle.Tensor | None = None
        count = np.zeros((1, 1, height, width), dtype=np.float32)
        for top in rows:
            for left in columns:
                bottom, right = min(top + options.crop_size[1], height), min(left + options.crop_size[0], width)
                scores = self._forward(image[:, :, top:bottom, left:right])
                if total is None:
                    total = paddle.zeros([image.shape[0], scores.shape[1], height, width])
                total[:, :, top:bottom, left:right] += scores
                count[:, :, top:bottom, left:right] += 1
        assert total is not None
        return total / paddle.to_tensor(count)


def window_starts(length: int, window: int, stride: int) -> Sequence[int]:
    """First pixels of windows that cover a length; the last one ends flush with it, so none is cut short."""
    if window >= length:
        return [0]
    return [*range(0, length - window, stride), length - window]


def _flips(horizontal: bool, vertical: bool) -> Iterable[list[int]]:
    yield []
    if horizontal:
        yield [3]
    if vertical:
        yield [2]
        if horizontal:
            yield [2, 3]


def _resize(x: paddle.Tensor, size: Sequence[int]) -> paddle.Tensor:
    if list(x.shape[2:]) == list(size):
        return x
    return F.interpolate(x, list(size), mode="bilinear", align_corners=False)
