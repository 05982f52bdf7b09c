"""FeatFlowNet of YolactEdge (Liu et al. 2021, arXiv:2012.12259): flow between two frames, from their features alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import paddle
from paddle import ParamAttr, nn
from paddle.nn.initializer import Constant, KaimingNormal, Normal

from mobileseg.instance.layers import ConvFactory, out_channels
from mobileseg.nn.blocks import resize
from mobileseg.nn.compat import spatial_size

SLOPE = 0.1
"""Of the leaky ReLU behind every convolution of the published networks."""

Widths = tuple[int, int, int]


class MotionMaps(NamedTuple):
    """What the flow network says of one level of the pyramid.

    Attributes:
        flow: float32 [N, 2, h, w], see :func:`mobileseg.video.warp.warp`.
        scale: float32 [N, C, h, w], factor of the warped map.
        bias: float32 [N, C, h, w], added after it.
    """

    flow: paddle.Tensor
    scale: paddle.Tensor
    bias: paddle.Tensor


def leaky(in_channels: int, out_channels: int, stride: int = 1, conv: ConvFactory | None = None) -> nn.Sequential:
    """A 3x3 convolution and its activation.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of the convolution.
        conv: makes it; None is a dense one with bias, initialised for the leaky ReLU.
    """
    made = (conv or _dense)(in_channels, out_channels, stride=stride)
    return nn.Sequential(made, nn.LeakyReLU(SLOPE))


def _dense(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2D:
    weight = ParamAttr(initializer=KaimingNormal(negative_slope=SLOPE, nonlinearity="leaky_relu"))
    bias = ParamAttr(initializer=Constant(0.0))
    return nn.Conv2D(in_channels, out_channels, 3, stride=stride, padding=1, weight_attr=weight, bias_attr=bias)


def _bare(in_channels: int, out_channels: int, spread: float | None = None) -> nn.Conv2D:
    """3x3, without bias and activation; ``spread`` is the standard deviation of the kernel, None that of Kaiming He."""
    weight = ParamAttr(initializer=KaimingNormal() if spread is None else Normal(0.0, spread))
    return nn.Conv2D(in_channels, out_channels, 3, padding=1, weight_attr=weight, bias_attr=False)


class MotionHead(nn.Layer):
    """Flow, scale and bias from the features of one level.

    The flow starts near zero, unlike the published code's: no motion is a better guess than any, and training begins
    where that one is after hundreds of steps. The scale starts at 1, the bias at 0.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = _bare(in_channels, 2, 1e-3)
        self.scale = self._maps(in_channels, channels, 1.0)
        self.bias = self._maps(in_channels, channels, 0.0)

    @staticmethod
    def _maps(in_channels: int, channels: int, start: float) -> nn.Conv2D:
        weight, bias = ParamAttr(initializer=KaimingNormal()), ParamAttr(initializer=Constant(start))
        return nn.Conv2D(in_channels, channels, 1, weight_attr=weight, bias_attr=bias)

    def forward(self, x: paddle.Tensor) -> MotionMaps:
        return MotionMaps(self.conv(x), self.scale(x), self.bias(x))


class FlowNet(nn.Layer):
    """MotionMaps from the reduced laterals of two frames, by an encoder of three levels and a decoder.

    The levels have the sizes of the pyramid's three finest, and the parameters the names of the published weights.

    Args:
        in_channels: channels of one frame's reduced lateral.
        channels: width of the pyramid, of which scale and bias are made.
        widths: channels of the three levels of the encoder, finest first; a coarser level hands half of its width to
            the next finer one.
        steps: strides of the two coarser levels of the pyramid, each in pixels of the next finer one.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        widths: Widths = (64, 128, 256),
        steps: tuple[int, int] = (2, 2),
    ) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.conv1 = _level(2 * in_channels, fine, 1)
        self.conv2 = _level(fine, middle, steps[0])
        self.conv3 = _level(middle, coarse, steps[1])
        self.pred3 = MotionHead(coarse, channels)
        self.upfeat3, self.upflow3 = _bare(coarse, middle), _bare(2, 2)
        joined = 2 * middle + 2
        self.pred2 = MotionHead(joined, channels)
        self.upfeat2, self.upflow2 = _bare(joined, fine), _bare(2, 2)
        self.pred1 = MotionHead(2 * fine + 2, channels)

    def motion_heads(self) -> list[MotionHead]:
        """Everything that says flow, scale and bias."""
        return [self.pred1, self.pred2, self.pred3]

    def pretrained_alone(self) -> list[nn.Layer]:
        """What is used in training on known flow alone: the finest flow."""
        return [self.pred1, self.upfeat2, self.upflow2]

    def forward(self, current: paddle.Tensor, key: paddle.Tensor) -> list[MotionMaps]:
        """MotionMaps of the two coarser levels, finer first.

        Args:
            current: float32 [N, c, h, w], reduced lateral of the frame to be explained.
            key: the same of the frame that it is explained from.
        """
        _, middle, coarse = self._encode(current, key)
        motion3 = self.pred3(coarse)
        return [self.pred2(self._joined(middle, coarse, motion3.flow, self.upfeat3, self.upflow3)), motion3]

    def flows(self, current: paddle.Tensor, key: paddle.Tensor) -> list[paddle.Tensor]:
        """Flows of all three levels, float32 [N, 2, h, w], finest first, for training on known flow."""
        fine, middle, coarse = self._encode(current, key)
        flow3 = self.pred3.conv(coarse)
        joined = self._joined(middle, coarse, flow3, self.upfeat3, self.upflow3)
        flow2 = self.pred2.conv(joined)
        return [self.pred1.conv(self._joined(fine, joined, flow2, self.upfeat2, self.upflow2)), flow2, flow3]

    def _encode(self, current: paddle.Tensor, key: paddle.Tensor) -> Sequence[paddle.Tensor]:
        fine = self.conv1(paddle.concat([current, key], axis=1))
        middle = self.conv2(fine)
        return fine, middle, self.conv3(middle)

    @staticmethod
    def _joined(
        x: paddle.Tensor,
        coarse: paddle.Tensor,
        flow: paddle.Tensor,
        upfeat: Callable[[paddle.Tensor], paddle.Tensor],
        upflow: Callable[[paddle.Tensor], paddle.Tensor],
    ) -> paddle.Tensor:
        """Features of a level with what the coarser level knows."""
        size = spatial_size(x)
        return paddle.concat([x, upfeat(resize(coarse, size)), upflow(resize(flow, size))], axis=1)


def _level(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Two convolutions of a level of the encoder."""
    return nn.Sequential(leaky(in_channels, out_channels, stride), leaky(out_channels, out_channels))


class PreConvs(nn.Layer):
    """Reduces the lateral of a frame for the flow network; what a stream keeps of its key frame.

    Args:
        channels: width of the lateral.
        reduced: channels that are left.
    """

    step = 1
    """Stride, in pixels of the lateral."""

    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(leaky(channels, reduced))

    @property
    def channels(self) -> int:
        """Channels that are left, read from the kernel."""
        return out_channels(self.convs[0][0])

    def forward(self, lateral: paddle.Tensor) -> paddle.Tensor:
        return self.convs(lateral)


class Refinement(nn.Layer):
    """Corrects warped maps by the features of the present frame (SPA of the published code).

    Args:
        channels: width of the pyramid.
        levels: maps to be corrected.
    """

    def __init__(self, channels: int, levels: int = 2) -> None:
        super().__init__()
        self.refine_convs = nn.LayerList([leaky(2 * channels, channels) for _ in range(levels)])

    def forward(self, lateral: paddle.Tensor, maps: Sequence[paddle.Tensor]) -> list[paddle.Tensor]:
        """The maps, finer first, corrected.

        Args:
            lateral: float32 [N, C, h, w], of the present frame, finer than the maps.
            maps: float32 [N, C, h, w] each.
        """
        refined = []
        for index, level in enumerate(maps):
            lateral = resize(lateral, spatial_size(level))
            refined.append(level + self.refine_convs[index](paddle.concat([level, lateral], axis=1)))
        return refined
