"""TopFormer (Zhang et al. 2022, arXiv:2204.05525), in the layout of PaddleSeg's checkpoints.

A small convolutional pyramid; its features, pooled to stride 64 and laid side by side, are the tokens of a transformer;
what comes out is injected into the features of strides 8, 16 and 32 again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.backbones.base import FeatureSpec
from mobileseg.nn.attention import MLP, attend, conv_norm, silent_conv_norm
from mobileseg.nn.blocks import ConvNormAct, drop_path, resize
from mobileseg.nn.compat import spatial_size
from mobileseg.nn.padding import cut_to_stride, pad_to_multiple
from mobileseg.registry import BACKBONES

STEM_CHANNELS = 16
KEY_CHANNELS = 16  # of one head
VALUE_RATIO = 2
HIDDEN_RATIO = 2
DEPTH = 4
TOKEN_STRIDE = 64
LOCAL_STRIDES = (4, 8, 16, 32)


class Form(NamedTuple):
    """What distinguishes the published sizes.

    Attributes:
        units: (kernel, expansion, channels, stride) of the pyramid.
        heads: of the attention.
        channels: of the features into which tokens are injected.
    """

    units: tuple[tuple[int, int, int, int], ...]
    heads: int
    channels: int


def _form(widths: tuple[int, int, int, int], last_units: int, heads: int, channels: int) -> Form:
    w4, w8, w16, w32 = widths
    units = (
        (3, 1, STEM_CHANNELS, 1),
        (3, 4, w4, 2),
        (3, 3, w4, 1),
        (5, 3, w8, 2),
        (5, 3, w8, 1),
        (3, 3, w16, 2),
        (3, 3, w16, 1),
        (5, 6, w32, 2),
        (5, 6, w32, 1),
        (3, 6, w32, 1),
    )
    return Form(units[: 7 + last_units], heads, channels)


BASE = _form((32, 64, 128, 160), last_units=3, heads=8, channels=256)
SMALL = _form((24, 48, 96, 128), last_units=3, heads=6, channels=192)
TINY = _form((16, 32, 64, 96), last_units=2, heads=4, channels=128)


class TopFormerResidual(nn.Layer):
    """Expand 1x1 (unless the expansion is 1), depthwise, linear 1x1; ReLU between; a shortcut where shapes allow."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.shortcut = stride == 1 and in_channels == out_channels
        expand = [conv_norm(in_channels, hidden), nn.ReLU()] if expansion != 1 else []
        depthwise = conv_norm(hidden, hidden, kernel, stride=stride, groups=hidden)
        self.conv = nn.Sequential(*expand, depthwise, nn.ReLU(), conv_norm(hidden, out_channels))

    @property
    def out_channels(self) -> int:
        """Channels of the output, read from the last kernel."""
        return self.conv[-1].out_channels

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return x + self.conv(x) if self.shortcut else self.conv(x)


class TokenPyramid(nn.Layer):
    """The convolutional pyramid; features of strides 4, 8, 16 and 32."""

    def __init__(self, units: Sequence[tuple[int, int, int, int]], in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(in_channels, STEM_CHANNELS, 3, stride=2), nn.ReLU())
        self._units = [f"layer{index}" for index in range(1, len(units) + 1)]
        width = STEM_CHANNELS
        for name, (kernel, expansion, channels, stride) in zip(self._units, units, strict=True):
            self.add_sublayer(name, TopFormerResidual(width, channels, kernel, stride, expansion))
            width = channels
        # The last unit before each reduction, but for the one of stride 2.
        ends = [index for index in range(len(units)) if index + 1 == len(units) or units[index + 1][3] == 2]
        self._taps = tuple(ends[1:])

    @property
    def channels(self) -> list[int]:
        """Channels of the features, finest first."""
        return [self._sub_layers[self._units[index]].out_channels for index in self._taps]

    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        x = self.stem(x)
        features = []
        for index, name in enumerate(self._units):
            x = self._sub_layers[name](x)
            if index in self._taps:
                features.append(x)
        return features


class Attention(nn.Layer):
    """Attention over all tokens. The scores are not divided by the root of the width, as in the original."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = conv_norm(channels, heads * KEY_CHANNELS)
        self.to_k = conv_norm(channels, heads * KEY_CHANNELS)
        self.to_v = conv_norm(channels, heads * KEY_CHANNELS * VALUE_RATIO)
        self.proj = nn.Sequential(nn.ReLU6(), silent_conv_norm(heads * KEY_CHANNELS * VALUE_RATIO, channels))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = attend(self.to_q(x), self.to_k(x), self.to_v(x), self.heads)
        return self.proj(paddle.reshape(y, [0, self.to_v.out_channels, *spatial_size(x)]))


class Block(nn.Layer):
    """Attention and feed-forward layer, each added to its input."""

    def __init__(self, channels: int, heads: int, drop_rate: float) -> None:
        super().__init__()
        self.attn = Attention(channels, heads)
        self.mlp = MLP(channels, channels * HIDDEN_RATIO)
        self.drop_path = drop_path(drop_rate)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = x + self.drop_path(self.attn(x))
        return x + self.drop_path(self.mlp(x))


class Transformer(nn.Layer):
    """The blocks one after the other; the share of images that skip one grows linearly from 0."""

    def __init__(self, channels: int, heads: int, depth: int, drop_rate: float) -> None:
        super().__init__()
        rates = [drop_rate * index / max(1, depth - 1) for index in range(depth)]
        self.transformer_blocks = nn.LayerList([Block(channels, heads, rate) for rate in rates])

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        for block in self.transformer_blocks:
            x = block(x)
        return x


class Injection(nn.Layer):
    """A local feature times what its tokens say of every place, plus the tokens."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        names = ("conv", "bn")
        self.local_embedding = ConvNormAct(in_channels, out_channels, 1, names=names)
        self.global_embedding = ConvNormAct(in_channels, out_channels, 1, names=names)
        self.global_act = ConvNormAct(in_channels, out_channels, 1, names=names)

    def forward(self, local: paddle.Tensor, tokens: paddle.Tensor) -> paddle.Tensor:
        size = spatial_size(local)
        gate = resize(F.hardsigmoid(self.global_act(tokens)), size)
        return self.local_embedding(local) * gate + resize(self.global_embedding(tokens), size)


class TopTransformer(nn.Layer):
    """TopFormer without its head.

    Features of strides 4 (of the pyramid), 8, 16 and 32 (with the tokens injected), and the global tokens, which are
    the feature of stride 64. Images whose sides are not multiples of 64 are padded inside, and the features cut.

    Args:
        form: one of the published sizes.
        in_channels: channels of the image.
        lr_mult: factor on the learning rate of all parameters, PaddleSeg's form of a group for the backbone.
        drop_path_rate: share of the images for which the last block is skipped in training.
    """

    def __init__(self, form: Form, in_channels: int = 3, lr_mult: float = 1.0, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        self.tpm = TokenPyramid(form.units, in_channels)
        widths = self.tpm.channels
        self.trans = Transformer(sum(widths), form.heads, DEPTH, drop_path_rate)
        # The finest feature gets nothing injected; the place is kept, because the published names count it.
        self.SIM = nn.LayerList([nn.Identity(), *(Injection(width, form.channels) for width in widths[1:])])
        for parameter in self.parameters():
            parameter.optimize_attr["learning_rate"] = lr_mult

    @property
    def feature_info(self) -> tuple[FeatureSpec, ...]:
        """Channels and strides of the outputs, finest first."""
        widths = self.tpm.channels
        injected = [layer.local_embedding.out_channels for layer in list(self.SIM)[1:]]
        specs = zip((widths[0], *injected, sum(widths)), (*LOCAL_STRIDES, TOKEN_STRIDE), strict=True)
        return tuple(FeatureSpec(channels, stride) for channels, stride in specs)

    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        size = spatial_size(x)
        pyramid = self.tpm(pad_to_multiple(x, TOKEN_STRIDE))
        # Loops by index: tracing rewrites zip into one that does not know `strict`.
        count = len(pyramid)
        pooled = [F.avg_pool2d(pyramid[index], TOKEN_STRIDE // LOCAL_STRIDES[index]) for index in range(count)]
        tokens = self.trans(paddle.concat(pooled, axis=1))
        parts = paddle.split(tokens, self.tpm.channels, axis=1)
        injected = [self.SIM[index](pyramid[index], parts[index]) for index in range(1, count)]
        features = [pyramid[0], *injected]
        features = [cut_to_stride(features[index], size, LOCAL_STRIDES[index]) for index in range(count)]
        return [*features, cut_to_stride(tokens, size, TOKEN_STRIDE)]


@BACKBONES.add_component
def TopTransformer_Base(in_channels: int = 3, lr_mult: float = 1.0, drop_path_rate: float = 0.0) -> TopTransformer:
    """TopFormer-Base: 256 channels at strides 8, 16 and 32, tokens of 384."""
    return TopTransformer(BASE, in_channels, lr_mult, drop_path_rate)


@BACKBONES.add_component
def TopTransformer_Small(in_channels: int = 3, lr_mult: float = 1.0, drop_path_rate: float = 0.0) -> TopTransformer:
    """TopFormer-Small: 192 channels at strides 8, 16 and 32, tokens of 296."""
    return TopTransformer(SMALL, in_channels, lr_mult, drop_path_rate)


@BACKBONES.add_component
def TopTransformer_Tiny(in_channels: int = 3, lr_mult: float = 1.0, drop_path_rate: float = 0.0) -> TopTransformer:
    """TopFormer-Tiny: 128 channels at strides 8, 16 and 32, tokens of 208."""
    return TopTransformer(TINY, in_channels, lr_mult, drop_path_rate)
