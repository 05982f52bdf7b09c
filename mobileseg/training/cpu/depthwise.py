"""Depthwise convolutions in training on a CPU: compiled kernels of the suite in place of Paddle's.

Paddle's are half the time of a step of the networks for phones, most of it in the backward pass.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import paddle
from paddle import nn

from mobileseg.nn.compat import cpu_threads


@contextmanager
def compiled_depthwise(network: nn.Layer, active: bool = True) -> Iterator[int]:
    """Within the context, depthwise convolutions of a network in training mode are the suite's own.

    Only plain ``nn.Conv2D`` with one filter per channel, the same stride on both axes, padding by zeros and no
    dilation are changed; in evaluation mode all are Paddle's, so that what is measured and exported stays what it was.

    Args:
        network: changed in place, and back at the end.
        active: False: nothing is changed.

    Yields:
        how many layers were changed.
    """
    changed = [layer for layer in network.sublayers(include_self=True) if active and _fits(layer)]
    for layer in changed:
        layer.__class__ = CompiledDepthwiseConv2D
    try:
        yield len(changed)
    finally:
        for layer in changed:
            layer.__class__ = nn.Conv2D


class CompiledDepthwiseConv2D(nn.Conv2D):
    """A depthwise ``nn.Conv2D`` whose forward and backward pass in training are the suite's own kernels."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """float32 [N, C, H, W] to [N, C, H', W']."""
        stride = self._stride[0]
        axes = zip(x.shape[2:], self._kernel_size, _paddings(self), strict=True)
        sides, padding = zip(*(_output_side(*axis, stride) for axis in axes), strict=True)
        if not self.training or x.dtype != paddle.float32 or min(*sides, x.shape[0]) < 1:
            return super().forward(x)
        y = DepthwiseConvolution.apply(x, self.weight, stride, padding, sides)
        return y if self.bias is None else y + self.bias.reshape([1, -1, 1, 1])


class DepthwiseConvolution(paddle.autograd.PyLayer):
    """Depthwise convolution as an operation of Paddle's automatic differentiation."""

    @staticmethod
    def forward(
        ctx: Any,
        x: paddle.Tensor,
        weight: paddle.Tensor,
        stride: int,
        padding: tuple[int, int],
        sides: tuple[int, int],
    ) -> paddle.Tensor:
        """float32 [N, C, H, W] and [C, 1, K, L] to [N, C, *sides]."""
        x = x.contiguous()
        y = paddle.empty([*x.shape[:2], *sides], dtype="float32")
        _kernels().depthwise(_view(x), _view(weight)[:, 0], _view(y), stride, padding, cpu_threads())
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.wanted = (stride, padding), (not x.stop_gradient, not weight.stop_gradient)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: paddle.Tensor) -> tuple[paddle.Tensor | None, ...]:
        """Gradients of what is trained, None for the other."""
        x, weight = ctx.saved_tensor()
        dx, dweight = (
            paddle.empty_like(one) if wanted else None for one, wanted in zip((x, weight), ctx.wanted, strict=True)
        )
        _kernels().depthwise_gradients(
            _view(x),
            _view(weight)[:, 0],
            _view(gradient.contiguous()),
            None if dx is None else _view(dx),
            None if dweight is None else _view(dweight)[:, 0],
            *ctx.geometry,
            cpu_threads(),
        )
        return dx, dweight


@cache
def _kernels() -> ModuleType:
    from mobileseg.training.cpu import kernels  # Numba takes a while to import, and not everybody trains

    return kernels


def _fits(layer: nn.Layer) -> bool:
    """Whether a layer is a depthwise convolution that the kernels compute."""
    if type(layer) is not nn.Conv2D or layer.weight.dtype != paddle.float32:
        return False
    one_filter = layer._groups == layer._in_channels == layer._out_channels and layer._groups > 1
    return bool(
        one_filter
        and layer._padding_mode == "zeros"
        and layer._data_format == "NCHW"
        and _paddings(layer)
        and layer._stride[0] == layer._stride[1]
        and tuple(layer._dilation) == (1, 1)
    )


def _paddings(layer: nn.Conv2D) -> tuple[int | None, ...]:
    """Zeros on both sides of rows and columns, None where they are ``SAME``; () where they are anything else."""
    if isinstance(layer._padding, str):
        return {"SAME": (None, None), "VALID": (0, 0)}.get(layer._padding.upper(), ())
    numbers = np.ravel(layer._padding).tolist()
    return tuple(numbers * 2)[:2] if len(numbers) <= 2 else ()


def _output_side(side: int, kernel: int, padding: int | None, stride: int) -> tuple[int, int]:
    """Length of an axis of the output, and the zeros in front of that of the input."""
    if padding is not None:
        return (side + 2 * padding - kernel) // stride + 1, padding
    result = -(-side // stride)
    return result, max((result - 1) * stride + kernel - side, 0) // 2


def _view(tensor: paddle.Tensor) -> np.ndarray:
    """The memory of a contiguous float32 tensor on the CPU, to read and write while `tensor` lives."""
    memory = (ctypes.c_float * tensor.size).from_address(tensor.data_ptr())
    return np.frombuffer(memory, np.float32).reshape(tensor.shape)
