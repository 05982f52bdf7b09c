"""The average of the weights against NumPy."""

import numpy as np
import paddle
import pytest

from mobileseg.training.ema import WeightAverage

pytestmark = pytest.mark.both


def test_average_with_warm_up_of_the_decay():
    net = paddle.nn.BatchNorm2D(2)
    average = WeightAverage(net, decay=0.5)
    expected = net.weight.numpy().astype(np.float64)
    rng = np.random.default_rng(0)
    for t in range(1, 15):
        value = rng.normal(size=2).astype(np.float32)
        net.weight.set_value(value)
        net._mean.set_value(value * 2)
        average.update()
        d = min(0.5, (1 + t) / (10 + t))
        expected = d * expected + (1 - d) * value
    np.testing.assert_allclose(average.arrays()["weight"], expected, rtol=1e-6)
    own = net.state_dict()["_mean"].numpy()
    with average.applied():
        np.testing.assert_allclose(net.weight.numpy(), expected, rtol=1e-6)
        assert not np.array_equal(net._mean.numpy(), own)
    np.testing.assert_array_equal(net._mean.numpy(), own)
    np.testing.assert_array_equal(net.weight.numpy(), value)


def test_weights_come_back_after_an_error():
    net = paddle.nn.Linear(2, 2)
    average = WeightAverage(net, decay=0.9)
    net.weight.set_value(np.full((2, 2), 7, np.float32))
    with pytest.raises(RuntimeError), average.applied():
        raise RuntimeError
    assert (net.weight.numpy() == 7).all()


def test_average_is_float32_and_integers_are_copied():
    net = paddle.nn.Layer()
    net.register_buffer("short", paddle.ones([2], "float16"))
    net.register_buffer("count", paddle.to_tensor([3], "int64"))
    average = WeightAverage(net, decay=0.9)
    net.count.set_value(np.array([5]))
    average.update()
    arrays = average.arrays()
    assert arrays["short"].dtype == np.float32
    assert arrays["count"].tolist() == [5]
    with average.applied():
        assert net.short.dtype == paddle.float16


def test_load_continues():
    net = paddle.nn.Linear(2, 2)
    one, other = WeightAverage(net, 0.99), WeightAverage(net, 0.99)
    for value in range(4):
        net.weight.set_value(np.full((2, 2), value, np.float32))
        one.update()
    other.load(one.arrays(), one.updates)
    net.weight.set_value(np.full((2, 2), 9, np.float32))
    one.update()
    other.update()
    np.testing.assert_array_equal(one.arrays()["weight"], other.arrays()["weight"])


@pytest.mark.parametrize("decay", [1.0, -0.1])
def test_impossible_decay(decay):
    with pytest.raises(ValueError, match=r"ema\.decay"):
        WeightAverage(paddle.nn.Linear(1, 1), decay)
