"""Attention and feed-forward layers on feature maps, in operators that every engine computes rightly.

Scores are ``matmul(q, k, transpose_x)`` and results ``matmul(v, scores, transpose_y)`` on channels-first tensors.
Written with a transpose of the reshaped output of a convolution, Paddle Inference's fusion for oneDNN answers wrongly
without a word; and Paddle Lite has neither bmm nor einsum.
"""

from __future__ import annotations

import paddle
from paddle import nn
from paddle.nn import functional as F

from mobileseg.nn.blocks import ConvNormAct

#: Child names of the transformers' convolution and norm in the published checkpoints.
NAMES = ("c", "bn")


def conv_norm(in_channels: int, out_channels: int, kernel: int = 1, **arguments: object) -> ConvNormAct:
    """Convolution and norm under the transformers' names; the arguments are those of `ConvNormAct`."""
    return ConvNormAct(in_channels, out_channels, kernel, names=NAMES, **arguments)  # type: ignore[arg-type]


def silent_conv_norm(in_channels: int, out_channels: int) -> ConvNormAct:
    """A 1x1 convolution whose norm starts with scale 0, so that what it is added to starts unchanged."""
    layer = conv_norm(in_channels, out_channels)
    nn.initializer.Constant(0.0)(layer.norm_layer.weight)
    return layer


def attend(q: paddle.Tensor, k: paddle.Tensor, v: paddle.Tensor, heads: int, scale: float = 1.0) -> paddle.Tensor:
    """Multi-head attention over the pixels of maps.

    Args:
        q: float32 [N, heads * d, H, W], queries.
        k: float32 [N, heads * d, H, W], keys.
        v: float32 [N, heads * e, H, W], values.
        heads: attention heads; they split the channels.
        scale: factor on the scores.

    Returns:
        [N, heads, e, H * W]: for every pixel the values of all pixels, weighted by the softmax of their scores.
    """
    q, k, v = (paddle.reshape(x, [0, heads, int(x.shape[1]) // heads, -1]) for x in (q, k, v))
    scores = paddle.matmul(q, k, transpose_x=True)
    weights = F.softmax(scores if scale == 1.0 else scores * scale, axis=-1)
    return paddle.matmul(v, weights, transpose_y=True)


class MLP(nn.Layer):
    """Feed-forward layer: 1x1, depthwise 3x3 with bias, ReLU6, 1x1."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = conv_norm(channels, hidden)
        self.dwconv = nn.Conv2D(hidden, hidden, 3, padding=1, groups=hidden)
        self.fc2 = conv_norm(hidden, channels)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.fc2(F.relu6(self.dwconv(self.fc1(x))))
