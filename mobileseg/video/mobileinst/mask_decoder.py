"""The semantic-enhanced mask decoder: features of several strides and global tokens become mask features."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.nn.attention import conv_norm
from mobileseg.nn.blocks import resize
from mobileseg.nn.compat import spatial_size
from mobileseg.video.mobileinst.positions import coordinates


def conv_norm_relu(in_channels: int, out_channels: int, kernel: int = 1) -> nn.Layer:
    """Convolution, batch norm, ReLU."""
    return conv_norm(in_channels, out_channels, kernel, act="relu")


class SemanticEnhancer(nn.Layer):
    """A local feature times what the global tokens say of its place, plus that: ``conv(a * b + b)``.

    Args:
        channels: of both inputs, and of the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local_layer = conv_norm_relu(channels, channels)
        self.global_layer = conv_norm_relu(channels, channels)
        self.out_layer = conv_norm_relu(channels, channels)

    def forward(self, local: paddle.Tensor, tokens: paddle.Tensor) -> paddle.Tensor:
        """Both float32 [N, C, h, w]."""
        meaning = self.global_layer(tokens)
        return self.out_layer(self.local_layer(local) * meaning + meaning)


class MaskDecoder(nn.Layer):
    """Fuses features top-down, then bottom-up, then top-down again, global tokens put in at the coarsest level.

    The paper gives this order and the enhancers; widths and the places of the 3x3 convolutions are those of the
    public reproduction. "Down" is a 2x2 mean, which is what bilinear interpolation to half of an even size computes.

    Args:
        in_channels: of the features, finest first; two of them at least.
        token_channels: of the global tokens.
        channels: width of the decoder.
        mask_channels: of the mask features, which is the length of a kernel.
        use_coordinates: add a linear map of x and y to every feature, so that equal things at different places differ.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        token_channels: int,
        channels: int,
        mask_channels: int,
        use_coordinates: bool = False,
    ) -> None:
        super().__init__()
        levels = len(in_channels)
        self.laterals = nn.LayerList([conv_norm_relu(width, channels) for width in in_channels])
        self.token_layer = conv_norm_relu(token_channels, channels)
        self.places = nn.LayerList(
            [nn.Conv2D(2, channels, 1, bias_attr=False) for _ in range(levels if use_coordinates else 0)]
        )
        self.enhance_first = SemanticEnhancer(channels)
        self.enhance_last = SemanticEnhancer(channels)
        self.top_down = nn.LayerList([conv_norm_relu(channels, channels, 3) for _ in range(levels)])
        self.bottom_up = nn.LayerList([conv_norm_relu(channels, channels, 3) for _ in range(levels)])
        self.project = nn.Conv2D(channels, mask_channels, 1)

    def forward(
        self, features: Sequence[paddle.Tensor], tokens: paddle.Tensor
    ) -> tuple[paddle.Tensor, paddle.Tensor, paddle.Tensor]:
        """Mask features and what the instance decoder looks at.

        Args:
            features: float32 [N, C_i, h_i, w_i], finest first, every size half of the one before.
            tokens: float32 [N, C, h, w], the global tokens.

        Returns:
            The mask features [N, mask_channels, h_0, w_0], the same before their projection [N, channels, h_0, w_0],
            and the global tokens [N, channels, h, w].
        """
        count = len(features)
        maps = [self.laterals[index](features[index]) for index in range(count)]
        if len(self.places):
            maps = [maps[index] + self._place(index, maps[index]) for index in range(count)]
        tokens = self.token_layer(tokens)
        spread = resize(tokens, spatial_size(maps[-1]))
        down = [self.enhance_first(maps[-1], spread)]  # coarsest first
        for index in range(count - 2, -1, -1):
            down.append(resize(down[-1], spatial_size(maps[index])) + maps[index])
        down = [self.top_down[index](down[count - 1 - index]) for index in range(count)]  # finest first
        up = [down[0]]
        for index in range(1, count):
            up.append(F.avg_pool2d(up[-1], 2) + down[index])
        up = [self.bottom_up[index](up[index]) for index in range(count)]
        fused = self.enhance_last(up[-1], spread)
        for index in range(count - 2, -1, -1):
            fused = resize(fused, spatial_size(up[index])) + up[index]
        return self.project(fused), fused, tokens

    def _place(self, level: int, feature: paddle.Tensor) -> paddle.Tensor:
        height, width = (int(length) for length in spatial_size(feature))
        return self.places[level](paddle.to_tensor(coordinates(height, width)))


def pooled_tokens(features: Sequence[paddle.Tensor], strides: Sequence[int], stride: int) -> paddle.Tensor:
    """Tokens of a backbone that has none of its own: every feature averaged to one stride, side by side.

    Args:
        features: float32 [N, C_i, h_i, w_i].
        strides: theirs.
        stride: of the tokens, a multiple of all strides; the features' sizes divide evenly.

    Returns:
        float32 [N, sum of C_i, h, w].
    """
    count = len(features)
    return paddle.concat([F.avg_pool2d(features[index], stride // strides[index]) for index in range(count)], axis=1)


def best_of_cells(feature: paddle.Tensor, cells: int) -> paddle.Tensor:
    """The largest value of every ``cells`` x ``cells`` block of [N, C, h, w]."""
    return F.max_pool2d(feature, cells) if cells > 1 else feature
