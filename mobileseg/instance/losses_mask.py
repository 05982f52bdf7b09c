"""The loss of assembled masks, and the truth at the resolution of the prototypes."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.autograd import PyLayer

from mobileseg.pixels import resize


class MaskGroup(NamedTuple):
    """Anchors that learn the mask of the same object.

    Attributes:
        image: index in the batch.
        rows: int64 [n], their rows among the coefficients.
        truth: bool [h, w], mask of the object at the size of the prototypes.
        window: (top, bottom, left, right), rows and columns of the prototypes that count.
        weight: factor of the cross entropy of every pixel.
    """

    image: int
    rows: np.ndarray
    truth: np.ndarray
    window: tuple[int, int, int, int]
    weight: float


def shrink_masks(masks: np.ndarray, height: int, width: int) -> np.ndarray:
    """Masks at another resolution.

    Args:
        masks: uint8 [n, H, W], 0 or 1.
        height: rows of the result.
        width: columns of the result.

    Returns:
        bool [n, height, width]: where the bilinear sample (half-pixel centres, no smoothing) is above 0.5.
    """
    shrunk = np.empty((len(masks), height, width), dtype=bool)
    for mask, small in zip(masks, shrunk, strict=True):
        small[:] = resize(mask.astype(np.float32), (height, width)) > 0.5
    return shrunk


def crop_window(box: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """Rows and columns x of a map for which ``x1 - 1 <= x < x2 + 1``, inside the map.

    Args:
        box: float32 [4] xyxy, normalised.
        height: rows of the map.
        width: columns of the map.

    Returns:
        (top, bottom, left, right), bottom and right exclusive.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    left, right = max(ceil(x1 * width - 1), 0), min(ceil(x2 * width + 1), width)
    top, bottom = max(ceil(y1 * height - 1), 0), min(ceil(y2 * height + 1), height)
    return top, max(top, bottom), left, max(left, right)


def mask_cross_entropy(
    coefficients: paddle.Tensor, prototypes: paddle.Tensor, groups: Sequence[MaskGroup]
) -> paddle.Tensor:
    """Sum of the weighted binary cross entropies of ``sigmoid(coefficients . prototypes)`` inside the windows.

    Args:
        coefficients: float32 [n, k].
        prototypes: float32 [B, k, h, w].
        groups: which rows learn what; none at all gives zero, with zero gradients.

    Returns:
        float32 scalar.
    """
    if prototypes.place.is_cpu_place():
        return _WindowedCrossEntropy.apply(coefficients, prototypes, tuple(groups))
    return dense_cross_entropy(coefficients, prototypes, groups)


def dense_cross_entropy(
    coefficients: paddle.Tensor, prototypes: paddle.Tensor, groups: Sequence[MaskGroup]
) -> paddle.Tensor:
    """:func:`mask_cross_entropy` on whole maps, one product per object: the form for a GPU."""
    total = (coefficients.sum() + prototypes.sum()) * 0.0
    _, channels, height, width = prototypes.shape
    for group in groups:
        top, bottom, left, right = group.window
        weight = np.zeros((height, width), np.float32)
        weight[top:bottom, left:right] = group.weight
        chosen = paddle.gather(coefficients, paddle.to_tensor(group.rows))
        logits = paddle.matmul(chosen, prototypes[group.image].reshape([channels, height * width]))
        truth = paddle.to_tensor(group.truth.reshape(1, -1).astype(np.float32)).expand_as(logits)
        cost = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        total = total + (cost * paddle.to_tensor(weight.reshape(1, -1))).sum()
    return total


class _WindowedCrossEntropy(PyLayer):
    """The same with nothing computed, and no gradient kept, outside of the windows.

    Boxes cover a small part of most images, and every slice that Paddle differentiates costs a map of zeros. The
    gradients are known as soon as the loss is, so ``forward`` computes both and keeps just them.
    """

    @staticmethod
    def forward(
        ctx: Any, coefficients: paddle.Tensor, prototypes: paddle.Tensor, groups: Sequence[MaskGroup]
    ) -> paddle.Tensor:
        factors, maps = coefficients.numpy(), prototypes.numpy()
        factor_slope, map_slope = np.zeros_like(factors), np.zeros_like(maps)
        total = 0.0
        for image, rows, truth, (top, bottom, left, right), weight in groups:
            window = (image, slice(None), slice(top, bottom), slice(left, right))
            region = np.ascontiguousarray(maps[window]).reshape(maps.shape[1], -1)
            wanted = truth[top:bottom, left:right].reshape(-1).astype(np.float32)
            chosen = factors[rows]
            logits = chosen @ region
            # log(1 + exp(x)) - t * x and sigmoid(x), both without overflow.
            small = np.exp(-np.abs(logits))
            cost = np.maximum(logits, 0.0) - logits * wanted + np.log1p(small)
            total += weight * float(cost.sum(dtype=np.float64))
            slope = (np.where(logits >= 0, 1.0, small) / (1.0 + small) - wanted) * np.float32(weight)
            factor_slope[rows] += slope @ region.T
            map_slope[window] += (chosen.T @ slope).reshape(map_slope[window].shape)
        ctx.slopes = factor_slope, map_slope
        return paddle.to_tensor(total, dtype="float32")

    @staticmethod
    def backward(ctx: Any, grad: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        factor_slope, map_slope = ctx.slopes
        return paddle.to_tensor(factor_slope) * grad, paddle.to_tensor(map_slope) * grad
