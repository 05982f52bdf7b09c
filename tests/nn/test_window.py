"""Windowed pooling and its inverse against brute force, eagerly and in graphs, on sizes that do not divide."""

import numpy as np
import paddle
import pytest
from paddle import nn

from mobileseg.nn.window import window_expand, window_pool
from tests.converting import traces

pytestmark = pytest.mark.both


def pooled_by_loops(x, step):
    rows, columns = (-(-length // step) for length in x.shape[2:])
    result = np.empty((*x.shape[:2], rows, columns), np.float64)
    for row in range(rows):
        for column in range(columns):
            window = x[:, :, row * step : (row + 1) * step, column * step : (column + 1) * step]
            result[:, :, row, column] = window.mean(axis=(2, 3))
    return result


def expanded_by_loops(x, step, height, width):
    result = np.empty((*x.shape[:2], height, width), x.dtype)
    for row in range(height):
        for column in range(width):
            result[:, :, row, column] = x[:, :, row // step, column // step]
    return result


class Both(nn.Layer):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, x):
        pooled = window_pool(x, self.step)
        return pooled, window_expand(pooled, self.step, x)


def image(height, width):
    return np.random.RandomState(height * width).uniform(-1, 1, (2, 3, height, width)).astype(np.float32)


CASES = [(8, 12, 4), (9, 13, 4), (23, 31, 8), (3, 2, 4), (1, 1, 2), (16, 15, 2)]


@pytest.mark.parametrize(("height", "width", "step"), CASES)
def test_eager(height, width, step):
    x = image(height, width)
    pooled, expanded = Both(step)(paddle.to_tensor(x))
    expected = pooled_by_loops(x, step)
    np.testing.assert_allclose(pooled.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(expanded.numpy(), expanded_by_loops(expected, step, height, width), atol=1e-6)


@traces
@pytest.mark.parametrize(("height", "width", "step"), [(8, 12, 4), (9, 13, 4)])
def test_graphs_of_fixed_size_equal_eager_and_read_no_shape(height, width, step, tmp_path):
    layer = Both(step)
    layer.eval()
    spec = paddle.static.InputSpec([2, 3, height, width], "float32")
    paddle.jit.save(layer, str(tmp_path / "m"), input_spec=[spec])
    graph = paddle.jit.load(str(tmp_path / "m"))
    x = paddle.to_tensor(image(height, width))
    for ours, theirs in zip(layer(x), graph(x), strict=True):
        np.testing.assert_allclose(theirs.numpy(), ours.numpy(), atol=1e-6)
    assert "shape" not in {operator.type for operator in graph.program().global_block().ops}


def test_a_graph_of_unknown_size_takes_multiples(tmp_path):
    layer = Both(4)
    layer.eval()
    paddle.jit.save(layer, str(tmp_path / "m"), input_spec=[paddle.static.InputSpec([2, 3, None, None], "float32")])
    graph = paddle.jit.load(str(tmp_path / "m"))
    for size in ((8, 12), (4, 20)):
        x = paddle.to_tensor(image(*size))
        for ours, theirs in zip(layer(x), graph(x), strict=True):
            np.testing.assert_allclose(theirs.numpy(), ours.numpy(), atol=1e-6)


def test_gradients_flow_through_both():
    x = paddle.to_tensor(image(9, 13), stop_gradient=False)
    pooled, expanded = Both(4)(x)
    (pooled.sum() + expanded.sum()).backward()
    # a pixel counts with 1 / window size in its mean, and the mean once itself and once for each pixel of the window
    sizes = np.outer([4] * 4 + [4] * 4 + [1], [4] * 12 + [1])
    np.testing.assert_allclose(x.grad.numpy()[0, 0], 1 / sizes + 1, rtol=1e-5)
