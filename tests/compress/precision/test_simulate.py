import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from mobileseg.compress.precision.simulate import Simulation, fake_int8, int8_weight, simulated
from mobileseg.errors import CompressionError
from tests.compress.precision.small import images, run


def brute_force(x, limit):
    """int8 by the definition, value by value."""
    return np.array([min(127, max(-127, round(float(v) / (limit / 127)))) * (limit / 127) for v in x.ravel()])


def test_values_are_rounded_to_255_levels():
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    got = fake_int8(paddle.to_tensor(x), 1.5).numpy()
    np.testing.assert_allclose(got.ravel(), brute_force(x, 1.5), atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_weights_have_a_scale_per_channel(axis):
    weight = np.random.default_rng(1).normal(size=(4, 5, 3, 3)).astype(np.float32)
    weight[:, 2] = 0.0  # a channel without weights divides by nothing
    got = int8_weight(weight, axis)
    for index in range(weight.shape[axis]):
        one, own = np.take(weight, index, axis), np.take(got, index, axis)
        largest = np.abs(one).max() or 1.0
        np.testing.assert_allclose(own.ravel(), brute_force(one, largest), atol=1e-6)


def test_a_layer_in_int8_is_a_convolution_of_rounded_numbers(prepared, ranges):
    network, image = prepared.network, images(1)[0]
    layer = network.backbone.stem[0]
    limits = {"backbone.stem.0": ranges.inputs_of("backbone.stem.0")}
    with simulated(network, limits, {"backbone.stem.0": "int8"}), paddle.no_grad():
        got = layer(paddle.to_tensor(image[None])).numpy()
    x = brute_force(image, limits["backbone.stem.0"][0]).reshape(1, *image.shape).astype(np.float32)
    weight = int8_weight(layer.weight.numpy(), 0)
    expected = F.conv2d(paddle.to_tensor(x), paddle.to_tensor(weight), layer.bias, stride=2, padding=1).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_every_use_of_a_layer_has_its_own_range(prepared):
    network, image = prepared.network, images(1)[0]
    before = run(network, image)
    with simulated(network, {"heads.0.inner": (1e-6, 100.0)}, {"heads": "int8"}):
        first = run(network, image)
        assert np.array_equal(first, run(network, image))  # counted anew in every forward
    with simulated(network, {"heads.0.inner": (100.0, 100.0)}, {"heads": "int8"}):
        assert not np.allclose(first, run(network, image))
    assert np.array_equal(before, run(network, image))  # the network is as it was


def test_float16_rounds_weights_and_results_and_overflows(prepared):
    network, image = prepared.network, images(1)[0]
    exact = run(network, image)
    with simulated(network, {"backbone.stem.0": (1.0,)}, {"backbone": "fp16"}):
        half = run(network, image)
        assert 0 < np.abs(half - exact).max() < 0.05
        features = network.backbone(paddle.to_tensor(image[None]))[1].numpy()
        np.testing.assert_array_equal(features, features.astype(np.float16).astype(np.float32))
        with paddle.no_grad():
            large = network.backbone.stem[0](paddle.full([1, 3, 8, 8], 1e5))
        assert not np.isfinite(large.numpy()).all()


def test_the_longest_path_decides_and_others_stay_float(prepared):
    simulation = Simulation(prepared.network, {"backbone.stem.0": (1.0,)})
    modes = simulation.modes({"backbone": "int8", "backbone.stem": "fp16", "heads": "int8"})
    simulation.close()
    assert modes["backbone.stem.0"] == "fp16"
    assert modes["backbone.down.0"] == "fp32"  # not among the layers with a range
    assert modes["heads.0.out"] == "fp32"


def test_ranges_at_run_time_fit_every_input(prepared):
    network, image = prepared.network, images(1)[0]
    exact = run(network, image)
    with simulated(network, {"backbone.stem.0": None, "heads.0.inner": None}, {"backbone": "int8", "heads": "int8"}):
        assert 0 < np.abs(run(network, image) - exact).max() < 0.2
        assert np.abs(run(network, image * 1000) - run(network, image)).max() > 0


def test_a_path_of_nothing_is_refused(prepared):
    with pytest.raises(CompressionError, match=r"no convolution 'backbone\.nothing'"):
        Simulation(prepared.network, {"backbone.nothing": (1.0,)})
