"""Convolutions whose channels stand in another order than they were trained in.

They are what :func:`mobileseg.nn.graphs.blocked_form` is made of. An order, int [C], says for each channel of a tensor
which one of the trained network it is; -1 is an empty one, which no kernel reads. Norms are in the convolutions.
"""

from __future__ import annotations

import numpy as np
import paddle
from paddle import nn

from mobileseg.nn.blocks import ConvNormAct, resize
from mobileseg.nn.compat import is_static, spatial_size

_BLOCK = 16
"""Channels that engines compute together with vectors of 512 bits. A tensor of another number of channels is rearranged
before and after every operator but convolutions."""

OPEN = 30.0
"""Logit of a gate that is to be one: the sigmoid of it is 1 in float32."""

Kernel = tuple[np.ndarray, np.ndarray]
"""Weights [out, in / groups, k, k] and biases [out] of a convolution."""


def wide(channels: int) -> np.ndarray:
    """The order of ``channels`` channels as they were trained, and of as many empty ones as make a multiple of 16."""
    return np.pad(np.arange(channels), (0, -channels % _BLOCK), constant_values=-1)


def folded(convolution: nn.Conv2D, norm: nn.BatchNorm2D | None) -> Kernel:
    """A convolution with the statistics, scale and shift of the norm behind it inside."""
    weight = convolution.weight.numpy()
    bias = np.zeros(len(weight), np.float32) if convolution.bias is None else convolution.bias.numpy()
    if norm is None:
        return weight, bias
    scale = norm.weight.numpy() / np.sqrt(norm._variance.numpy() + norm._epsilon)
    return weight * scale[:, None, None, None], (bias - norm._mean.numpy()) * scale + norm.bias.numpy()


def block_kernel(block: ConvNormAct) -> Kernel:
    """The convolution of a block with its norm inside."""
    return folded(block.convolution, block.norm_layer)


class Conv(nn.Conv2D):
    """A convolution of given weights, padded so that it keeps the size at stride 1."""

    def __init__(self, kernel: Kernel, *, stride: int = 1, depthwise: bool = False) -> None:
        weight, bias = kernel
        out_channels, in_channels, side, _ = weight.shape
        groups = out_channels if depthwise else 1
        super().__init__(in_channels * groups, out_channels, side, stride, padding=side // 2, groups=groups)
        self.weight.set_value(np.ascontiguousarray(weight, np.float32))
        self.bias.set_value(np.ascontiguousarray(bias, np.float32))


def reads(kernel: Kernel, order: np.ndarray, first: int = 0) -> Kernel:
    """A kernel for inputs in an order, of which those before channel ``first`` are none of its own."""
    weight, bias = kernel
    return weight[:, np.maximum(order - first, 0)] * (order >= first)[None, :, None, None], bias


def writes(kernel: Kernel, order: np.ndarray, first: int = 0, offset: int = 0) -> Kernel:
    """A kernel whose outputs have an order; those before channel ``first`` are ``OPEN``, empty ones zero."""
    weight, bias = kernel
    own, index = order >= first, offset + np.maximum(order - first, 0)
    other = np.where(order >= 0, OPEN, 0.0)
    return weight[index] * own[:, None, None, None], np.where(own, bias[index], other)


def alone(kernel: Kernel, order: np.ndarray, first: int = 0) -> Kernel:
    """A depthwise kernel for channels in an order, which leaves those before channel ``first`` as they are."""
    weight, bias = kernel
    own, index = order >= first, np.maximum(order - first, 0)
    same = np.zeros_like(weight[:1])
    same[..., same.shape[2] // 2, same.shape[3] // 2] = 1.0
    other = same * (order >= 0)[:, None, None, None]
    return np.where(own[:, None, None, None], weight[index], other), np.where(own, bias[index], 0.0)


def moved(order: np.ndarray, factor: float) -> Kernel:
    """The kernel that brings channels in an order back into that of the trained network, times a factor."""
    channels = np.arange(np.count_nonzero(order >= 0))
    return factor * (channels[:, None] == order)[..., None, None].astype(np.float32), np.zeros(
        len(channels), np.float32
    )


def weighted(x: paddle.Tensor, weights: paddle.Tensor | None) -> paddle.Tensor:
    """``x`` [N, C, H, W] times ``weights`` [N, C, 1, 1], if there are any."""
    if weights is None:
        return x
    size = spatial_size(x)
    # For products of tensors of two sizes ONNX Runtime rearranges the channels.
    return x * (resize(weights, size, mode="nearest") if is_static(size) else weights)


# Decides by Python values what is written into the graph: tracing must not rewrite it.
weighted = paddle.jit.not_to_static(weighted)
