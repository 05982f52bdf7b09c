from __future__ import annotations

import numpy as np
import paddle
import pytest

from mobileseg.video.warp import warp
from tests.model_tester import REFERENCE, assert_close

pytestmark = pytest.mark.both


@pytest.mark.parametrize("case", ["warp0", "warp1"])
def test_values_and_gradients_of_the_original(case: str) -> None:
    with np.load(REFERENCE / "golden" / "video" / "yolact_edge_losses.npz") as archive:
        golden = {key.split(".")[1]: archive[key] for key in archive.files if key.startswith(case + ".")}
    x, flow = (paddle.to_tensor(golden[name], stop_gradient=False) for name in ("x", "flow"))
    y = warp(x, flow)
    assert_close(y.numpy(), golden["y"], "warped")
    y.backward(paddle.to_tensor(golden["upstream"]))
    assert_close(x.grad.numpy(), golden["grad_x"], "gradient of the map")
    assert_close(flow.grad.numpy(), golden["grad_flow"], "gradient of the flow")


def test_a_map_without_gradient() -> None:
    """Flow is learnt where the map is a constant, as that of a reference frame."""
    with np.load(REFERENCE / "golden" / "video" / "yolact_edge_losses.npz") as archive:
        x, upstream = paddle.to_tensor(archive["warp0.x"]), paddle.to_tensor(archive["warp0.upstream"])
        flow, expected = paddle.to_tensor(archive["warp0.flow"], stop_gradient=False), archive["warp0.grad_flow"]
    warp(x, flow).backward(upstream)
    assert_close(flow.grad.numpy(), expected, "gradient of the flow")
    assert x.stop_gradient
    assert x.grad is None


def test_whole_pixels_by_brute_force() -> None:
    """A flow of 8 * 2 / (side - 1) moves by one pixel; what comes from outside is zero."""
    x = np.random.RandomState(0).randn(1, 2, 5, 9).astype(np.float32)
    flow = np.zeros((1, 2, 5, 9), np.float32)
    flow[:, 0], flow[:, 1] = 3 * 16 / 8, -1 * 16 / 4
    moved = warp(paddle.to_tensor(x), paddle.to_tensor(flow)).numpy()
    expected = np.zeros_like(x)
    expected[:, :, 1:, :-3] = x[:, :, :-1, 3:]
    np.testing.assert_allclose(moved, expected, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 1)])
def test_a_side_of_one_pixel(size: tuple[int, int]) -> None:
    x = np.random.RandomState(1).randn(2, 3, *size).astype(np.float32)
    still = warp(paddle.to_tensor(x), paddle.zeros([2, 2, *size])).numpy()
    np.testing.assert_allclose(still, x, atol=1e-6)
