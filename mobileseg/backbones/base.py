"""The feature contract that every backbone keeps and every head relies on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import paddle
from paddle import nn

from mobileseg.errors import ConfigError

Function = Callable[[paddle.Tensor], paddle.Tensor]


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


class ChainStep(NamedTuple):
    """A part of a backbone that takes the output of the part before it.

    Attributes:
        run: layer or function, [N, C, H, W] to [N, c, h, w].
        feature: the output is one of the backbone's features.
    """

    run: Function
    feature: bool = False


class ChainBackbone(nn.Layer):
    """A backbone whose parts follow each other, so that it can be cut at every feature (:func:`split`)."""

    def chain(self) -> list[ChainStep]:
        """The parts in their order; each entry of ``feature_info`` is the output of one."""
        raise NotImplementedError

    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        """The features of float32 [N, 3, H, W], finest first."""
        return run_chain(self.chain(), x)


def run_chain(steps: Sequence[ChainStep], x: paddle.Tensor) -> list[paddle.Tensor]:
    """The features among the outputs of parts that follow each other."""
    features = []
    for step in steps:
        x = step.run(x)
        if step.feature:
            features.append(x)
    return features


# Decides by Python values what runs: tracing must not rewrite it.
run_chain = paddle.jit.not_to_static(run_chain)


class ChainPart(nn.Layer):
    """Some consecutive parts of a backbone, which stay the backbone's own.

    Args:
        steps: the parts; the last one is a feature.
    """

    def __init__(self, steps: Sequence[ChainStep]) -> None:
        super().__init__()
        self._steps = tuple(steps)
        # Known as sublayers too, so that modes, parameters and traces find them.
        self.parts = nn.LayerList([step.run for step in steps if isinstance(step.run, nn.Layer)])

    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        """The features that the parts give, finest first."""
        return run_chain(self._steps, x)


def split(backbone: nn.Layer, feature: int) -> tuple[ChainPart, ChainPart]:
    """Cut a backbone behind one of its features.

    Args:
        backbone: any backbone.
        feature: position in its ``feature_info``; not the last.

    Returns:
        The part from the image to that feature, and the part from the feature to all that follow. Both give a list
        of features, as the backbone does.

    Raises:
        ConfigError: the backbone is no chain.
    """
    if not isinstance(backbone, ChainBackbone):
        raise ConfigError(
            f"the backbone {type(backbone).__name__} cannot be split: its fine features depend on coarse ones",
            remedy="take a backbone whose stages follow each other, as MobileNetV2_x1_0 or ResNet50",
        )
    steps = backbone.chain()
    cut = [index for index, step in enumerate(steps) if step.feature][feature] + 1
    return ChainPart(steps[:cut]), ChainPart(steps[cut:])
