"""The branch that gives the prototype masks, which the coefficients of a detection combine to its mask."""

from __future__ import annotations

import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.instance.fpn import onto
from mobileseg.instance.layers import ConvFactory, dense
from mobileseg.nn.blocks import ACTIVATIONS, resize
from mobileseg.nn.compat import is_static, spatial_size

DETAIL_CHANNELS = 32
"""Channels in which a finer feature is added."""


class Protonet(nn.Layer):
    """Convolutions on the finest level, upsampling by 2, convolutions, and a 1x1 convolution to the prototypes.

    The parameters bear the positions in the original's sequence, in which every activation, and the
    upsampling, takes a place: 0, 2, 4, 8, 10 for YOLACT.

    Args:
        in_channels: channels of the level.
        channels: channels of the convolutions.
        prototypes: number of prototype masks.
        before: 3x3 convolutions before the upsampling.
        after: 3x3 convolutions after it.
        conv: makes a 3x3 convolution from (in_channels, out_channels).
        act: activation of the convolutions.
        detail: channels of a finer feature, see :class:`Detail`; None is YOLACT's upsampling by 2.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        prototypes: int,
        before: int = 3,
        after: int = 1,
        conv: ConvFactory = dense,
        act: str = "relu",
        detail: int | None = None,
    ) -> None:
        super().__init__()
        self.act = act
        self._before = [str(2 * index) for index in range(before)]
        self._after = [str(2 * (before + 1 + index)) for index in range(after)]
        self._last = str(2 * (before + 1 + after))
        width = in_channels
        for name in self._before + self._after:
            self.add_sublayer(name, conv(width, channels))
            width = channels
        self.detail = None if detail is None else Detail(width, detail, DETAIL_CHANNELS, conv, act)
        self.add_sublayer(self._last, dense(width if detail is None else DETAIL_CHANNELS, prototypes, 1))

    @property
    def prototypes(self) -> int:
        """Number of prototype masks, read from the kernel."""
        return int(self._sub_layers[self._last].weight.shape[0])

    def forward(self, x: paddle.Tensor, finer: paddle.Tensor | None = None) -> paddle.Tensor:
        """[N, C, h, w] to [N, k, 2h, 2w], or to the size of the finer feature; not negative."""
        act = ACTIVATIONS[self.act]
        for name in self._before:
            x = act(self._sub_layers[name](x))
        if self.detail is not None:
            return F.relu(self._sub_layers[self._last](self.detail(x, finer)))
        if not self._after:
            # Upsampling and a 1x1 convolution may change places: in this order both work on fewer numbers.
            return F.relu(double(self._sub_layers[self._last](x)))
        x = double(x)
        for name in self._after:
            x = act(self._sub_layers[name](x))
        return F.relu(self._sub_layers[self._last](x))


class Detail(nn.Layer):
    """Adds the detail of a finer feature to an upsampled map, in few channels because its size makes them dear.

    Args:
        in_channels: channels of the map.
        finer_channels: channels of the finer feature.
        channels: channels of the sum.
        conv: makes a 3x3 convolution from (in_channels, out_channels).
        act: activation of the sum, and of the convolution behind it.
    """

    def __init__(self, in_channels: int, finer_channels: int, channels: int, conv: ConvFactory, act: str) -> None:
        super().__init__()
        self.act = act
        self.coarse = dense(in_channels, channels, 1)
        self.fine = dense(finer_channels, channels, 1)
        self.merge = conv(channels, channels)

    def forward(self, x: paddle.Tensor, finer: paddle.Tensor) -> paddle.Tensor:
        """[N, C, h, w] and [N, F, H, W] to [N, channels, H, W]."""
        act = ACTIVATIONS[self.act]
        return act(self.merge(act(onto(self.fine(finer), self.coarse(x)))))


def double(x: paddle.Tensor) -> paddle.Tensor:
    """[N, C, h, w] to [N, C, 2h, 2w], bilinear with half-pixel centres."""
    size = spatial_size(x)
    if is_static(size):
        return resize(x, [2 * int(length) for length in size])
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


# Decides by Python values what is written into the graph: tracing must not rewrite it.
double = paddle.jit.not_to_static(double)
