"""Moving a feature map along a flow: the inverse warp of YolactEdge (Liu et al. 2021, arXiv:2012.12259)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import paddle
from paddle.nn import functional as F

from mobileseg.nn.compat import spatial_size

FLOW_SCALE = 8.0
"""A flow of this value moves by 1 in coordinates that run from -1 to 1 over the map, as in the published weights."""


def warp(x: paddle.Tensor, flow: paddle.Tensor) -> paddle.Tensor:
    """What ``x`` shows at the places that a flow points to.

    Bilinear; the corners of the coordinates -1..1 are the centres of the corner pixels, and what lies outside is 0.

    Args:
        x: float32 [N, C, h, w], the map of the earlier frame.
        flow: float32 [N, 2, h, w]: for every pixel of the later frame, columns and rows to where it was, in
            `FLOW_SCALE`-ths of half the map.

    Returns:
        float32 [N, C, h, w].

    Raises:
        ValueError: the size is not known while a graph is traced.
    """
    height, width = spatial_size(flow)
    if not (isinstance(height, int) and isinstance(width, int)):
        raise ValueError("a graph that warps has one input size")
    places = paddle.transpose(flow, [0, 2, 3, 1]) * (1.0 / FLOW_SCALE) + paddle.to_tensor(
        pixel_coordinates(height, width)
    )
    if paddle.in_dynamic_mode() and x.stop_gradient and not flow.stop_gradient:
        # On the CPU, Paddle's gradient of grid_sample writes that of the map too, whether it was asked for or not.
        x = x.detach()
        x.stop_gradient = False
    return F.grid_sample(x, places, mode="bilinear", padding_mode="zeros", align_corners=True)


@lru_cache(maxsize=32)
def pixel_coordinates(height: int, width: int) -> np.ndarray:
    """Coordinates of every pixel, float32 [1, h, w, 2], columns first; a side of one pixel has its centre at 0."""
    rows, columns = (np.linspace(-1, 1, side) if side > 1 else np.zeros(1) for side in (height, width))
    places = np.stack(np.meshgrid(columns, rows), axis=-1)[None].astype(np.float32)
    places.flags.writeable = False
    return places


# Decides by Python values what is written into the graph: tracing must not rewrite it.
warp = paddle.jit.not_to_static(warp)
