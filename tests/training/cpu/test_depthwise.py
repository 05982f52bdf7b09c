import copy

import numpy as np
import paddle
import pytest
from paddle import nn

from mobileseg.backbones.mobilenetv2 import MobileNetV2
from mobileseg.training.cpu.depthwise import CompiledDepthwiseConv2D, compiled_depthwise

pytestmark = pytest.mark.both


def _step(layer, x, with_x=True):
    """Output, gradient of the input, gradients of the parameters by name."""
    x = paddle.to_tensor(x, stop_gradient=not with_x)
    layer.clear_gradients()
    y = layer(x)
    (y * paddle.cos(paddle.arange(y.size, dtype="float32").reshape(y.shape))).sum().backward()
    parameters = {name: one.grad for name, one in layer.named_parameters() if not one.stop_gradient}
    return (
        y.numpy(),
        None if x.grad is None else x.grad.numpy(),
        {name: one.numpy() for name, one in parameters.items()},
    )


@pytest.mark.parametrize("size", [(13, 11), (12, 9), (8, 10)], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {"padding": 1},
        {"padding": 1, "stride": 2},
        {"padding": [1, 1], "stride": [2, 2], "bias_attr": False},
        {"padding": 0},
        {"kernel_size": 5, "padding": 2},
        {"padding": [0, 1]},
        {"padding": "SAME"},
        {"padding": "same", "stride": 2},
        {"kernel_size": 5, "padding": "SAME", "stride": 2},
        {"kernel_size": 1, "padding": "SAME", "stride": 2},
        {"padding": "VALID", "stride": 2},
    ],
    ids=str,
)
def test_is_paddles_convolution(options, size):
    paddle.seed(0)
    layer = nn.Conv2D(6, 6, **({"kernel_size": 3} | options), groups=6)
    x = np.random.default_rng(0).standard_normal((2, 6, *size), dtype=np.float32)
    expected = _step(layer, x)
    with compiled_depthwise(layer) as count:
        assert count == 1
        assert type(layer) is CompiledDepthwiseConv2D
        found = _step(layer, x)
    assert type(layer) is nn.Conv2D
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-5)
    assert found[2].keys() == expected[2].keys()
    for name, value in expected[2].items():
        np.testing.assert_allclose(found[2][name], value, atol=1e-4)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2D(4, 4, 3, padding=1),
        nn.Conv2D(4, 8, 3, padding=1, groups=4),
        nn.Conv2D(4, 4, 3, padding=1, groups=2),
        nn.Conv2D(4, 4, 3, padding=2, dilation=2, groups=4),
        nn.Conv2D(4, 4, 3, padding=[0, 1, 0, 1], groups=4),
        nn.Conv2D(4, 4, 3, padding=1, stride=[1, 2], groups=4),
        nn.Conv2D(4, 4, 3, padding=1, padding_mode="reflect", groups=4),
        nn.Conv2D(4, 4, 3, padding=1, groups=4, data_format="NHWC"),
        nn.Conv2D(1, 1, 3, padding=1),
        nn.Conv2DTranspose(4, 4, 3, groups=4),
    ],
    ids=repr,
)
def test_other_convolutions_stay_paddles(layer):
    with compiled_depthwise(layer) as count:
        assert count == 0
        assert not isinstance(layer, CompiledDepthwiseConv2D)


def test_class_of_somebody_else_stays():
    class Own(nn.Conv2D):
        def forward(self, x):
            return 2 * super().forward(x)

    layer = nn.Sequential(Own(4, 4, 3, groups=4))
    with compiled_depthwise(layer) as count:
        assert count == 0


def test_evaluation_is_paddles_bit_by_bit():
    network = MobileNetV2()
    network.eval()
    x = paddle.randn([1, 3, 64, 64])
    expected = network(x)
    with compiled_depthwise(network) as count:
        assert count == 17
        found = network(x)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_same_bits_each_time():
    paddle.seed(1)
    network = MobileNetV2(scale=0.25)
    x = np.random.default_rng(0).standard_normal((2, 3, 64, 64), dtype=np.float32)
    with compiled_depthwise(network):
        first, second = ([one.grad.numpy() for one in _trained(network, x)] for _ in range(2))
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def _trained(network, x):
    network.clear_gradients()
    sum(one.mean() for one in network(paddle.to_tensor(x))).backward()
    return [one for one in network.parameters() if one.grad is not None]


def test_frozen_weights_and_inputs_have_no_gradient():
    layer = nn.Conv2D(3, 3, 3, padding=1, groups=3)
    x = np.ones((1, 3, 5, 5), np.float32)
    with compiled_depthwise(layer):
        _, dx, parameters = _step(layer, x, with_x=False)
        assert dx is None
        assert set(parameters) == {"weight", "bias"}
        layer.weight.stop_gradient = layer.bias.stop_gradient = True
        _, dx, parameters = _step(layer, x)
        assert dx is not None
        assert not parameters
        with paddle.no_grad():
            assert layer(paddle.to_tensor(x)).stop_gradient


def test_input_that_is_a_view():
    """Paddle's transpose moves no number."""
    layer = nn.Conv2D(3, 3, 3, padding=1, groups=3)
    x = paddle.randn([2, 3, 7, 5])
    expected = layer(x.transpose([0, 1, 3, 2])).numpy()
    with compiled_depthwise(layer):
        np.testing.assert_allclose(layer(x.transpose([0, 1, 3, 2])).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(0, 3, 5, 5), (1, 3, 1, 1)], ids=str)
def test_nothing_to_compute_is_left_to_paddle(shape):
    """An empty batch, and an image that is smaller than the kernel: Paddle's answer or Paddle's error."""
    layer = nn.Conv2D(3, 3, 3, groups=3)
    answers = []
    for active in (False, True):
        with compiled_depthwise(layer, active):
            try:
                answers.append(layer(paddle.zeros(shape)).shape)
            except Exception as error:
                answers.append(type(error))
    assert answers[0] == answers[1]


def test_copies_and_failures():
    network = nn.Sequential(nn.Conv2D(3, 3, 3, groups=3))

    def fails():
        with compiled_depthwise(network):
            twin = copy.deepcopy(network)
            assert twin(paddle.ones([1, 3, 4, 4])).shape == [1, 3, 2, 2]
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        fails()
    assert type(network[0]) is nn.Conv2D


def test_fifty_steps_lose_the_same():
    """A network of depthwise convolutions and norms: both kernels descend alike."""

    def losses(active):
        paddle.seed(3)
        network = nn.Sequential(
            nn.Conv2D(3, 8, 3, stride=2, padding=1),
            *(
                part
                for _ in range(3)
                for part in (nn.Conv2D(8, 8, 3, padding=1, groups=8), nn.BatchNorm2D(8), nn.ReLU6())
            ),
            nn.Conv2D(8, 4, 1),
        )
        optimizer = paddle.optimizer.AdamW(1e-3, parameters=network.parameters())
        rng = np.random.default_rng(0)
        found = []
        with compiled_depthwise(network, active):
            for _ in range(50):
                x = rng.standard_normal((4, 3, 32, 32), dtype=np.float32)
                label = (x[:, :1, ::2, ::2] > 0).astype(np.int64)
                loss = nn.functional.cross_entropy(network(paddle.to_tensor(x)), paddle.to_tensor(label), axis=1)
                loss.backward()
                optimizer.step()
                optimizer.clear_grad()
                found.append(float(loss))
        return np.array(found)

    ours, paddles = losses(True), losses(False)
    assert ours[-1] < 0.9 * ours[0]
    np.testing.assert_allclose(ours, paddles, rtol=1e-3)
