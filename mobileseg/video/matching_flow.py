"""Flow for phones: where a frame's features are found again in the key frame, by comparing all places with all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F
from paddle.nn.initializer import Constant

from mobileseg.instance.layers import Separable, SeparableOutput, out_channels
from mobileseg.nn.blocks import resize
from mobileseg.nn.compat import spatial_size
from mobileseg.video.flow_net import MotionHead, MotionMaps, leaky
from mobileseg.video.warp import FLOW_SCALE, pixel_coordinates, warp

_REACH = 0.2
"""Standard deviation of the motion that is expected before anything is learned, of half the map."""

_SHARPNESS = 2.0
"""Of the softmax over places, times the root of the channels: features of unit variance that agree then win clearly."""


class MatchingFeatures(nn.Layer):
    """Features of a frame that can be compared, at twice the stride of its lateral.

    Args:
        channels: width of the lateral.
        reduced: channels of the features; the norm behind them gives each unit variance.
        step: stride.
    """

    def __init__(self, channels: int, reduced: int, step: int = 2) -> None:
        super().__init__()
        self.step = step
        self.conv = Separable(channels, reduced, stride=step)

    @property
    def channels(self) -> int:
        """Channels of the features, read from the kernel."""
        return out_channels(self.conv)

    def forward(self, lateral: paddle.Tensor) -> paddle.Tensor:
        return self.conv(lateral)


class SeparableRefinement(nn.Layer):
    """Corrects warped maps: the finer one by the present frame's lateral, the coarser one by the corrected finer one.

    Unlike the published :class:`~mobileseg.video.flow_net.Refinement` it can take away as well as add, because no
    activation stands at its end, and it begins with no correction.

    Args:
        channels: width of the pyramid.
        levels: maps to be corrected.
    """

    def __init__(self, channels: int, levels: int = 2) -> None:
        super().__init__()
        self.convs = nn.LayerList(
            [
                nn.Sequential(leaky(2 * channels, channels, 1, Separable), SeparableOutput(channels, channels))
                for _ in range(levels)
            ]
        )

    def forward(self, lateral: paddle.Tensor, maps: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
        """The maps, finer first, corrected.

        Args:
            lateral: float32 [N, C, h, w], of the present frame, finer than the maps.
            maps: float32 [N, C, h, w] each.
        """
        refined = []
        finer = lateral
        for conv, level in zip(self.convs, maps):  # noqa: B905
            finer = level + conv(paddle.concat([level, resize(finer, spatial_size(level))], axis=1))
            refined.append(finer)
        return refined


class MatchingFlow(nn.Layer):
    """Motion by global matching (as GMFlow, Xu et al. 2022, arXiv:2111.13680), then a few narrow convolutions.

    The similarity of every place of the frame with every place of the key frame, less a penalty for their distance,
    goes through a softmax; the mean place under it is where the feature was. Nothing is learned in that but the
    features and two numbers, so it begins with no motion and soon sees what moves, where a network of convolutions
    needs ten thousands of steps. The convolutions correct the flow and say scale and bias.

    Args:
        in_channels: of the compared features.
        channels: width of the pyramid.
        widths: channels of the convolutions at the two levels.
        step: stride of the coarser level in pixels of the finer.
    """

    def __init__(self, in_channels: int, channels: int, widths: Sequence[int] = (48, 64), step: int = 2) -> None:
        super().__init__()
        finer, coarser = widths
        self.sharpness = self.create_parameter(
            [1], default_initializer=Constant(_SHARPNESS / float(np.sqrt(in_channels)))
        )
        self.locality = self.create_parameter([1], default_initializer=Constant(0.5 / _REACH**2))
        self.conv2 = leaky(2 * in_channels + 2, finer, 1, Separable)
        self.conv3 = leaky(finer, coarser, step, Separable)
        self.pred2 = MotionHead(finer, channels)
        self.pred3 = MotionHead(coarser, channels)

    def motion_heads(self) -> list[MotionHead]:
        """Everything that says flow, scale and bias."""
        return [self.pred2, self.pred3]

    def pretrained_alone(self) -> list[nn.Layer]:
        """What is used in training on known flow alone: nothing."""
        return []

    def forward(self, current: paddle.Tensor, key: paddle.Tensor) -> list[MotionMaps]:
        """Motion of the two coarser levels of the pyramid, finer first.

        Args:
            current: float32 [N, c, h, w], features of the frame to be explained.
            key: the same of the frame that it is explained from.
        """
        matched = self.match(current, key)
        x = self.conv2(paddle.concat([current, warp(key, matched), matched], axis=1))
        y = self.conv3(x)
        finer, coarser = self.pred2(x), self.pred3(y)
        flow = matched + finer.flow
        below = resize(flow, spatial_size(y)) + coarser.flow
        return [MotionMaps(flow, finer.scale, finer.bias), MotionMaps(below, coarser.scale, coarser.bias)]

    def flows(self, current: paddle.Tensor, key: paddle.Tensor) -> list[paddle.Tensor]:
        """The matched flow alone, then the flows of both levels, float32 [N, 2, h, w], for training on known flow."""
        return [self.match(current, key), *(motion.flow for motion in self(current, key))]

    def match(self, current: paddle.Tensor, key: paddle.Tensor) -> paddle.Tensor:
        """Flow to the mean place at which the key frame looks alike, float32 [N, 2, h, w]."""
        height, width = (int(side) for side in spatial_size(current))
        channels, places = int(current.shape[1]), height * width
        coordinates = pixel_coordinates(height, width).reshape(1, places, 2)
        own = paddle.to_tensor(np.ascontiguousarray(coordinates.transpose(0, 2, 1)))
        queries = paddle.reshape(current * self.sharpness, [0, channels, places])
        keys = paddle.reshape(key, [0, channels, places])
        # |q - k|^2 = |q|^2 - 2 q.k + |k|^2: the first is the same for all keys, the others are products of their own.
        near = paddle.matmul(own * 2.0, own, transpose_x=True) - paddle.to_tensor(_squared(coordinates))
        likeness = paddle.matmul(queries, keys, transpose_x=True) + near * self.locality
        there = paddle.matmul(F.softmax(likeness, axis=-1), paddle.to_tensor(coordinates))
        found = paddle.transpose(there, [0, 2, 1]) - own
        return paddle.reshape(found, [0, 2, height, width]) * FLOW_SCALE


def _squared(coordinates: np.ndarray) -> np.ndarray:
    """Squared distance of every place from the centre, float32 [1, 1, places]."""
    return np.square(coordinates).sum(axis=2, dtype=np.float32)[:, None]
