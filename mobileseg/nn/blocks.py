"""Blocks that several networks share.

Child names differ between the published checkpoints (`_conv`/`_batch_norm`, `conv`/`bn`, `conv`/`norm`), so
the blocks take them as arguments; the arithmetic is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import paddle
from paddle import ParamAttr, nn
from paddle.nn import functional as F
from paddle.nn.initializer import Initializer, KaimingNormal
from paddle.regularizer import L2Decay

from mobileseg.nn.compat import is_static, spatial_size

ACTIVATIONS: dict[str, Callable[[paddle.Tensor], paddle.Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": partial(F.leaky_relu, negative_slope=0.1),  # the slope of Darknet and the detectors after it
    "hardswish": F.hardswish,
    "swish": F.swish,
    "sigmoid": F.sigmoid,
}

#: Child names of PaddleSeg's own layers.
SEG_NAMES = ("_conv", "_batch_norm")


def make_divisible(value: float, divisor: int) -> int:
    """``value`` rounded to a multiple of ``divisor``, at least ``divisor``, at most 10 % below ``value``.

    The width rule of the MobileNets (Sandler et al. 2018).
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def batch_norm(channels: int, *, decay: bool = True, epsilon: float = 1e-5, momentum: float = 0.9) -> nn.BatchNorm2D:
    """Batch norm.

    Args:
        channels: normalised channels.
        decay: False exempts scale and shift from the optimizer's weight decay.
        epsilon: added to the variance.
        momentum: share of the old statistic that a step keeps.
    """
    attributes = {} if decay else {name: ParamAttr(regularizer=L2Decay(0.0)) for name in ("weight_attr", "bias_attr")}
    return nn.BatchNorm2D(channels, momentum=momentum, epsilon=epsilon, **attributes)


def drop_path(rate: float) -> nn.Layer:
    """Stochastic depth (Huang et al. 2016, arXiv:1603.09382): in training, zeros instead of [N, C, H, W] for a share
    ``rate`` of the images, and the others scaled so that the mean stays."""
    return nn.Dropout(rate, axis=0) if rate > 0 else nn.Identity()


class ConvNormAct(nn.Layer):
    """Convolution, batch norm, activation.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the square kernel; the padding keeps the size at stride 1.
        stride: step of the convolution.
        dilation: spacing of the kernel's taps.
        groups: ``in_channels`` makes the convolution depthwise.
        act: a key of ``ACTIVATIONS``, or None.
        bias: whether the convolution has a bias of its own before the norm.
        names: child names of convolution and norm in the state dict.
        norm_decay: False exempts the norm from weight decay.
        init: initialiser of the kernel; He-normal over the fan-in by default.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        act: str | None = None,
        bias: bool = False,
        names: tuple[str, str] = SEG_NAMES,
        norm_decay: bool = True,
        init: Initializer | None = None,
    ) -> None:
        super().__init__()
        if act is not None and act not in ACTIVATIONS:
            raise ValueError(f"unknown activation '{act}', expected one of {sorted(ACTIVATIONS)} or None")
        self.act = act
        self._names = names
        conv = nn.Conv2D(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=(kernel - 1) // 2 * dilation,
            dilation=dilation,
            groups=groups,
            weight_attr=ParamAttr(initializer=init or KaimingNormal()),
            bias_attr=None if bias else False,
        )
        self.add_sublayer(names[0], conv)
        self.add_sublayer(names[1], batch_norm(out_channels, decay=norm_decay))

    @property
    def convolution(self) -> nn.Conv2D:
        """The convolution, whatever its name."""
        return self._sub_layers[self._names[0]]

    @property
    def norm_layer(self) -> nn.BatchNorm2D:
        """The batch norm, whatever its name."""
        return self._sub_layers[self._names[1]]

    @property
    def in_channels(self) -> int:
        """Channels of the input, read from the kernel."""
        return int(self.convolution.weight.shape[1]) * int(self.convolution._groups)

    @property
    def out_channels(self) -> int:
        """Channels of the output, read from the kernel."""
        return int(self.convolution.weight.shape[0])

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = self.norm_layer(self.convolution(x))
        return x if self.act is None else ACTIVATIONS[self.act](x)


class SeparableConv(nn.Layer):
    """Depthwise 3x3 with norm, then pointwise 1x1 (with bias) with norm and ReLU: PaddleSeg's SeparableConvBNReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise_conv = ConvNormAct(in_channels, in_channels, 3, groups=in_channels)
        # The misspelling is part of the published parameter names.
        self.piontwise_conv = ConvNormAct(in_channels, out_channels, 1, act="relu", bias=True)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.piontwise_conv(self.depthwise_conv(x))


def channel_shuffle(x: paddle.Tensor, groups: int = 2) -> paddle.Tensor:
    """Interleave the channels of ``groups`` equal groups of [N, C, H, W] (ShuffleNet, Zhang et al. 2018).

    Written as reshape, transpose, reshape: Paddle Lite fuses that into one operator, and has none for
    Paddle's own channel_shuffle.
    """
    channels = int(x.shape[1])
    height, width = spatial_size(x)
    x = paddle.reshape(x, [0, groups, channels // groups, height, width])
    x = paddle.transpose(x, [0, 2, 1, 3, 4])
    return paddle.reshape(x, [0, channels, height, width])


def resize(
    x: paddle.Tensor, size: Sequence[int | paddle.Tensor], mode: str = "bilinear", align_corners: bool = False
) -> paddle.Tensor:
    """``x`` [N, C, h, w] interpolated to ``size`` (half-pixel centres unless ``align_corners``); ``x`` itself where
    both sizes are known and equal."""
    size = list(size)
    if is_static(size) and list(x.shape[2:4]) == size:
        return x
    return F.interpolate(x, size=size, mode=mode, align_corners=align_corners)


# Decide by Python values what is written into the graph: tracing must not rewrite them.
channel_shuffle = paddle.jit.not_to_static(channel_shuffle)
resize = paddle.jit.not_to_static(resize)
