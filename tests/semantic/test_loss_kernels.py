"""The row-wise CPU operations give what Paddle's own give, values and gradients."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from mobileseg.semantic.loss_kernels import channel_softmax, pixel_cross_entropy

pytestmark = pytest.mark.both


def both(function, reference, logits):
    results = []
    for call in (function, reference):
        point = paddle.to_tensor(logits, stop_gradient=False)
        value = call(point)
        (
            value * paddle.to_tensor(np.cos(np.arange(value.size)).astype(np.float32)).reshape(value.shape)
        ).sum().backward()
        results.append((value.numpy(), point.grad.numpy()))
    return results


@pytest.mark.parametrize("shape", [(2, 4, 6, 7), (1, 1, 3, 3), (3, 19, 1, 1), (1, 2, 33, 1)])
def test_cross_entropy(shape):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 5, shape).astype(np.float32)
    label = paddle.to_tensor(np.where(rng.random((shape[0], *shape[2:])) < 0.2, 255, rng.integers(0, shape[1])))
    (value, gradient), (expected, expected_gradient) = both(
        lambda x: pixel_cross_entropy(x, label, 255),
        lambda x: F.cross_entropy(x, label.unsqueeze(1), axis=1, reduction="none", ignore_index=255).squeeze(1),
        logits,
    )
    np.testing.assert_allclose(value, expected, atol=2e-6)
    np.testing.assert_allclose(gradient, expected_gradient, atol=2e-6)


@pytest.mark.parametrize("shape", [(2, 4, 6, 7), (1, 1, 3, 3), (3, 19, 1, 1)])
def test_softmax(shape):
    logits = np.random.default_rng(2).normal(0, 5, shape).astype(np.float32)
    got, expected = both(channel_softmax, lambda x: F.softmax(x, axis=1), logits)
    np.testing.assert_allclose(got[0], expected[0], atol=1e-6)
    np.testing.assert_allclose(got[1], expected[1], atol=1e-6)


def test_two_losses_of_one_output_add_their_gradients():
    logits = np.random.default_rng(3).normal(size=(1, 3, 4, 5)).astype(np.float32)
    label = paddle.to_tensor(np.arange(20).reshape(1, 4, 5) % 3)
    gradients = []
    for parts in ([0], [1], [0, 1]):
        point = paddle.to_tensor(logits, stop_gradient=False)
        values = [pixel_cross_entropy(point, label, 255).sum(), channel_softmax(point)[:, 0].sum()]
        paddle.add_n([values[part] for part in parts]).backward()
        gradients.append(point.grad.numpy())
    np.testing.assert_allclose(gradients[0] + gradients[1], gradients[2], atol=1e-6)


def test_an_ignored_pixel_may_hold_anything():
    logits = paddle.to_tensor(np.full((1, 2, 1, 2), np.inf, np.float32))
    logits[:, :, 0, 1] = 0.0
    value = pixel_cross_entropy(logits, paddle.to_tensor(np.array([[[255, 1]]])), 255).numpy()
    np.testing.assert_allclose(value, [[[0.0, np.log(2)]]], rtol=1e-6)
