"""The decoder of MobileSeg: context module, fusion modules, segmentation heads.

It is the decoder of PP-LiteSeg (Peng et al. 2022, arXiv:2204.02681) with depthwise separable
convolutions and without attention, as PaddleSeg 2.8 publishes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.nn.blocks import ConvNormAct, SeparableConv, resize
from mobileseg.nn.compat import spatial_size
from mobileseg.nn.pool import BinPool


class ContextModule(nn.Layer):
    """Sum of the coarsest feature pooled to several grids, projected and resized back.

    Args:
        in_channels: channels of the coarsest feature.
        out_channels: channels of the context.
        bin_sizes: sides of the grids.
    """

    def __init__(self, in_channels: int, out_channels: int, bin_sizes: Sequence[int]) -> None:
        super().__init__()
        self.stages = nn.LayerList(
            [
                nn.Sequential(BinPool(bins), ConvNormAct(in_channels, out_channels, 1, act="relu", bias=True))
                for bins in bin_sizes
            ]
        )
        self.conv_out = SeparableConv(out_channels, out_channels)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        size = spatial_size(x)
        total = None
        for stage in self.stages:
            context = resize(stage(x), size)
            total = context if total is None else total + context
        return self.conv_out(total)


class UAFMMobile(nn.Layer):
    """Fusion of a feature with the next coarser one: project, resize, add, project.

    Args:
        fine_channels: channels of the finer input.
        coarse_channels: channels of the coarser input.
        out_channels: channels of the result.
        resize_mode: interpolation of the coarser input, 'bilinear' or 'nearest'.
    """

    def __init__(self, fine_channels: int, coarse_channels: int, out_channels: int, resize_mode: str) -> None:
        super().__init__()
        self.resize_mode = resize_mode
        self.conv_x = SeparableConv(fine_channels, coarse_channels)
        self.conv_out = SeparableConv(coarse_channels, out_channels)

    def fuse(self, fine: paddle.Tensor, coarse: paddle.Tensor) -> paddle.Tensor:
        """The two inputs, of equal shape, as one."""
        return fine + coarse

    def forward(self, fine: paddle.Tensor, coarse: paddle.Tensor) -> paddle.Tensor:
        coarse = resize(coarse, spatial_size(fine), self.resize_mode)
        return self.conv_out(self.fuse(self.conv_x(fine), coarse))


class UAFMMobile_SpAtten(UAFMMobile):
    """Fusion weighted per pixel by an attention map from the channel means and maxima of both inputs."""

    def __init__(self, fine_channels: int, coarse_channels: int, out_channels: int, resize_mode: str) -> None:
        super().__init__(fine_channels, coarse_channels, out_channels, resize_mode)
        self.conv_xy_atten = nn.Sequential(ConvNormAct(4, 2, 3, act="relu"), ConvNormAct(2, 1, 3))

    def fuse(self, fine: paddle.Tensor, coarse: paddle.Tensor) -> paddle.Tensor:
        statistics = [reduce(x, axis=1, keepdim=True) for x in (fine, coarse) for reduce in (paddle.mean, paddle.max)]
        attention = F.sigmoid(self.conv_xy_atten(paddle.concat(statistics, axis=1)))
        return fine * attention + coarse * (1 - attention)


ARM_TYPES: dict[str, type[UAFMMobile]] = {kind.__name__: kind for kind in (UAFMMobile, UAFMMobile_SpAtten)}


class Decoder(nn.Layer):
    """Context of the coarsest feature, carried down through one fusion module per feature.

    Args:
        in_channels: channels of the features, finest first.
        out_channels: channels of the fused features, finest first.
        bin_sizes: grids of the context module.
        context_channels: channels of the context.
        arm_type: fusion modules, a key of ``ARM_TYPES``.
        resize_mode: interpolation inside the fusion modules.
        use_last_fuse: concatenate all fused features on the finest and project them once more.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: Sequence[int],
        bin_sizes: Sequence[int],
        context_channels: int,
        arm_type: str,
        resize_mode: str,
        use_last_fuse: bool,
    ) -> None:
        super().__init__()
        self.cm = ContextModule(in_channels[-1], context_channels, bin_sizes)
        coarse_channels = [*out_channels[1:], context_channels]
        self.arm_list = nn.LayerList(
            [
                ARM_TYPES[arm_type](fine, coarse, out, resize_mode)
                for fine, coarse, out in zip(in_channels, coarse_channels, out_channels, strict=True)
            ]
        )
        self.use_last_fuse = use_last_fuse
        if use_last_fuse:
            finest = out_channels[0]
            self.fuse_convs = nn.LayerList([SeparableConv(channels, finest) for channels in out_channels[1:]])
            self.last_conv = SeparableConv(len(out_channels) * finest, finest)

    def forward(self, features: list[paddle.Tensor]) -> list[paddle.Tensor]:
        """Fused features, finest first, each of its input's size."""
        fused = [self.cm(features[-1])]
        for index in range(len(features) - 1, -1, -1):
            fused.insert(0, self.arm_list[index](features[index], fused[0]))
        fused.pop()
        if self.use_last_fuse:
            size = spatial_size(fused[0])
            aligned = [resize(conv(fused[index + 1]), size) for index, conv in enumerate(self.fuse_convs)]
            fused[0] = self.last_conv(paddle.concat([fused[0], *aligned], axis=1))
        return fused


class SegHead(nn.Layer):
    """Separable convolution, then a 1x1 convolution without bias to the classes."""

    def __init__(self, in_channels: int, hidden_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = SeparableConv(in_channels, hidden_channels)
        self.conv_out = nn.Conv2D(hidden_channels, num_classes, 1, bias_attr=False)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.conv_out(self.conv(x))
