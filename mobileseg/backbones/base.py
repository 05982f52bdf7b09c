"""The feature contract that every backbone keeps and every head relies on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import paddle


class FeatureSpec(NamedTuple):
    """One output of a backbone: its channels, and its stride in input pixels."""

    channels: int
    stride: int


class Backbone(Protocol):
    """A layer whose ``forward`` maps float32 [N, 3, H, W] to feature maps, finest first.

    ``feature_info`` describes the outputs in the same order. Heads pick features by stride
    (:func:`indices_of_strides`), never by list position, so every head works with every backbone.
    """

    feature_info: tuple[FeatureSpec, ...]

    def __call__(self, x: paddle.Tensor) -> list[paddle.Tensor]: ...


def indices_of_strides(info: Sequence[FeatureSpec], strides: Sequence[int]) -> list[int]:
    """Positions of the features with the given strides; of several with one stride, the last.

    Raises:
        ValueError: a stride is not among the backbone's features.
    """
    position = {spec.stride: index for index, spec in enumerate(info)}
    missing = [stride for stride in strides if stride not in position]
    if missing:
        raise ValueError(
            f"the backbone has features of strides {sorted(position)}, but strides {missing} were asked for"
        )
    return [position[stride] for stride in strides]
