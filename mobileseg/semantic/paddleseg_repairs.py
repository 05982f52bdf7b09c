"""What PaddleSeg 2.8 needs to run on the Paddle of this suite: three places that newer versions of Paddle broke."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import paddle
from paddle import nn


@contextmanager
def no_weights_needed(name: str) -> Iterator[None]:
    """CAE looks for a weights file even where there is none to load; weights are loaded by this suite."""
    if not name.startswith("CAE"):
        yield
        return
    from paddleseg.models.backbones.cae import CAE

    original = CAE.init_weight
    CAE.init_weight = lambda self: None
    try:
        yield
    finally:
        CAE.init_weight = original


def repair(layer: nn.Layer) -> None:
    """Exchange, in place, what does not run: norms without a CPU kernel, and PointRend's choice of points."""
    for child in layer.sublayers(include_self=True):
        if type(child) is nn.SyncBatchNorm:  # training with several processes synchronises norms itself
            child.__class__ = nn.BatchNorm2D
        if type(child).__name__ == "PointHead" and hasattr(child, "subdivision_num_points"):
            child.get_points_test = MethodType(_uncertain_points, child)


def _uncertain_points(
    self: Any, seg_logits: paddle.Tensor, uncertainty_func: Callable[[paddle.Tensor], paddle.Tensor]
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """The most uncertain pixels of each image (Kirillov et al., CVPR 2020).

    Args:
        self: PaddleSeg's PointHead, with ``subdivision_num_points``.
        seg_logits: float [N, K, H, W].
        uncertainty_func: gives float [N, 1, H, W], higher where the classes are closer.

    Returns:
        Indices int64 [N, P] into the H * W pixels, and their centres float32 [N, P, 2], (x, y) in 0..1.
    """
    height, width = (int(side) for side in seg_logits.shape[2:])
    uncertainty = uncertainty_func(seg_logits).flatten(1)
    count = min(height * width, int(self.subdivision_num_points))
    indices = paddle.topk(uncertainty, count, axis=1)[1]
    columns = ((indices % width).astype("float32") + 0.5) / width
    rows = ((indices // width).astype("float32") + 0.5) / height
    return indices, paddle.stack([columns, rows], axis=-1)
