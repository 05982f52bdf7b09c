"""Cross entropy and softmax per pixel: the operations that dominate the cost of a loss on a CPU.

Paddle 2.6 crashes in ``backward(retain_graph=True)`` through a layer written in Python, as those here are; the graph of
a loss is used once.
"""

from __future__ import annotations

from typing import Any

import paddle
import paddle.nn.functional as F
from paddle.autograd import PyLayer


def pixel_cross_entropy(logits: paddle.Tensor, label: paddle.Tensor, ignore_index: int) -> paddle.Tensor:
    """Cross entropy of every pixel.

    Args:
        logits: float32 [N, K, H, W].
        label: int64 [N, H, W].
        ignore_index: label without a class.

    Returns:
        float32 [N, H, W], zero (and without gradient) where the label is ignored.
    """
    if logits.place.is_cpu_place():
        return _RowwiseCrossEntropy.apply(logits, label, ignore_index)
    loss = F.cross_entropy(logits, label.unsqueeze(1), ignore_index=ignore_index, reduction="none", axis=1)
    return loss.squeeze(1)


class _RowwiseCrossEntropy(PyLayer):
    """``log(sum exp(x - max)) - (x_true - max)``, image by image.

    Paddle's CPU kernel for a class axis in the middle copies to and from the last axis and is about three times as
    slow as elementwise operations on [K, H * W], where the per-pixel maximum and sum are broadcast along whole rows.
    """

    @staticmethod
    def forward(ctx: Any, logits: paddle.Tensor, label: paddle.Tensor, ignore_index: int) -> paddle.Tensor:
        n, k, h, w = logits.shape
        valid = label != ignore_index
        index = paddle.where(valid, label, paddle.zeros_like(label)).reshape([n, 1, h * w])
        exponentials, totals, losses = [], [], []
        for image, true_class in zip(logits.reshape([n, k, h * w]).unbind(0), index.unbind(0), strict=True):
            shifted = image - image.max(axis=0)
            true_logit = paddle.take_along_axis(shifted, true_class, 0).squeeze(0)
            exponential = shifted.exp_()
            total = exponential.sum(axis=0)
            losses.append(paddle.log(total) - true_logit)
            exponentials.append(exponential)
            totals.append(total)
        ctx.saved = (exponentials, totals, index, valid)
        # where, not a product: an ignored pixel gives zero even when its logits overflow.
        loss = paddle.stack(losses).reshape([n, h, w])
        return paddle.where(valid, loss, paddle.zeros_like(loss))

    @staticmethod
    def backward(ctx: Any, grad: paddle.Tensor) -> paddle.Tensor:
        exponentials, totals, index, valid = ctx.saved
        n, h, w = grad.shape
        grad = paddle.where(valid, grad, paddle.zeros_like(grad)).reshape([n, h * w])
        parts = []
        for i, (exponential, total) in enumerate(zip(exponentials, totals, strict=True)):
            part = exponential * (grad[i] / total)
            parts.append(part.put_along_axis_(index[i], -grad[i : i + 1], 0, reduce="add"))
        return paddle.stack(parts).reshape([n, -1, h, w])


def channel_softmax(logits: paddle.Tensor) -> paddle.Tensor:
    """Softmax over the classes, float32 [N, K, H, W]."""
    if logits.place.is_cpu_place():
        return _RowwiseSoftmax.apply(logits)
    return F.softmax(logits, axis=1)


class _RowwiseSoftmax(PyLayer):
    """Softmax image by image on [K, H * W], for the reason given at `_RowwiseCrossEntropy`."""

    @staticmethod
    def forward(ctx: Any, logits: paddle.Tensor) -> paddle.Tensor:
        n, k, h, w = logits.shape
        planes = []
        for image in logits.reshape([n, k, h * w]).unbind(0):
            exponential = (image - image.max(axis=0)).exp_()
            planes.append(exponential.divide_(exponential.sum(axis=0)))
        ctx.planes = planes
        return paddle.stack(planes).reshape([n, k, h, w])

    @staticmethod
    def backward(ctx: Any, grad: paddle.Tensor) -> paddle.Tensor:
        n, k, h, w = grad.shape
        parts = []
        for plane, change in zip(ctx.planes, grad.reshape([n, k, h * w]).unbind(0), strict=True):
            weighted = plane * change
            parts.append(weighted - plane * weighted.sum(axis=0))
        return paddle.stack(parts).reshape([n, k, h, w])
