"""What PaddleSeg 2.8 needs to run on the Paddle of this suite: five places that Paddle does not run."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import MethodType, ModuleType
from typing import Any

import paddle
import paddle.nn.functional as F
from paddle import nn


@contextmanager
def replaced(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    """Inside, attributes of modules or classes have other values: (owner, name, value) each."""
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, value in changes:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


@contextmanager
def no_weights_needed(name: str) -> Iterator[None]:
    """CAE and ViT look for a weights file even where there is none to load; weights are loaded by this suite."""
    if not name.startswith(("CAE", "ViT_", "VisionTransformer")):
        yield
        return
    from paddleseg.models.backbones.cae import CAE
    from paddleseg.models.backbones.vision_transformer import VisionTransformer

    with replaced(*((kind, "init_weight", lambda self: None) for kind in (CAE, VisionTransformer))):
        yield


def fit_positions(layer: nn.Layer, weights: str) -> None:
    """Resize the position embedding of a weights file to a transformer's own size, as PaddleSeg does when it loads.

    Args:
        layer: a backbone whose other weights were loaded; nothing happens without ``resize_pos_embed``.
        weights: path or address of the file.
    """
    from mobileseg.weights.read import read_weights

    own = getattr(layer, "pos_embed", None)
    if own is None or not hasattr(layer, "resize_pos_embed"):
        return
    saved = read_weights(weights).get("pos_embed")
    if saved is None or saved.ndim != 3 or list(saved.shape) == list(own.shape):
        return
    side = math.isqrt(saved.shape[1] - 1)
    resized = layer.resize_pos_embed(paddle.to_tensor(saved), (side, side), (layer.pos_h, layer.pos_w))
    if list(resized.shape) == list(own.shape):
        own.set_value(resized)


@contextmanager
def gathering_booleans() -> Iterator[None]:
    """MaskFormer's loss gathers masks of booleans, for which Paddle has no CPU kernel."""
    original = paddle.gather

    def gather(x: paddle.Tensor, index: paddle.Tensor, axis: int | None = None, name: str | None = None) -> Any:
        if x.dtype != paddle.bool:
            return original(x, index, axis, name)
        return original(x.astype("int32"), index, axis, name).astype("bool")

    with replaced((paddle, "gather", gather)):
        yield


def provide_deformable_attention() -> None:
    """ViT-Adapter imports an operator that PaddleSeg offers as source for GPUs, and ends the process without it."""
    if "ms_deform_attn" in sys.modules or find_spec("ms_deform_attn") is not None:
        return
    module = ModuleType("ms_deform_attn")
    module.ms_deform_attn = deformable_attention  # type: ignore[attr-defined]
    sys.modules["ms_deform_attn"] = module


def deformable_attention(
    value: paddle.Tensor,
    shapes: paddle.Tensor,
    starts: paddle.Tensor,
    locations: paddle.Tensor,
    weights: paddle.Tensor,
    step: int = 0,
) -> paddle.Tensor:
    """Multi-scale deformable attention (Zhu et al., ICLR 2021, arXiv:2010.04159), by sampling level after level.

    Args:
        value: float32 [N, S, M, D], M heads, the maps of all levels one behind the other.
        shapes: integer [L, 2], height and width of the levels.
        starts: not needed; the levels follow each other.
        locations: float32 [N, Q, M, L, P, 2], places (x, y) in 0..1.
        weights: float32 [N, Q, M, L, P].
        step: not needed.

    Returns:
        float32 [N, Q, M * D].
    """
    del starts, step
    batch, _, heads, width = value.shape
    queries, points = locations.shape[1], locations.shape[4]
    found = []
    begin = 0
    for level, (height, across) in enumerate(shapes.numpy().tolist()):
        plane = value[:, begin : begin + height * across].transpose([0, 2, 3, 1])
        begin += height * across
        grid = (2 * locations[:, :, :, level] - 1).transpose([0, 2, 1, 3, 4])
        sampled = F.grid_sample(
            plane.reshape([batch * heads, width, height, across]),
            grid.reshape([batch * heads, queries, points, 2]),
            align_corners=False,
        )
        share = weights[:, :, :, level].transpose([0, 2, 1, 3]).reshape([batch * heads, 1, queries, points])
        found.append((sampled * share).sum(axis=-1))
    return paddle.add_n(found).reshape([batch, heads * width, queries]).transpose([0, 2, 1])


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
