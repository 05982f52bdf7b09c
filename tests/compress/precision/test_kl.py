import numpy as np
import pytest
from paddle.static.quantization import post_training_quantization
from paddle.static.quantization.cal_kl_threshold import cal_kl_threshold

from mobileseg.compress.precision.kl import kl_threshold


def histogram(values, bins):
    counts, edges = np.histogram(np.abs(values), bins=bins, range=(0, np.abs(values).max()))
    return counts, edges[1]


def test_the_function_that_is_replaced_is_the_one_that_paddle_calls():
    assert post_training_quantization.cal_kl_threshold is cal_kl_threshold


@pytest.mark.parametrize("bins", [512, 700])
@pytest.mark.parametrize("kind", ["normal", "laplace", "relu", "heavy", "sparse", "exact"])
def test_paddle_finds_the_same_limit(kind, bins):
    rng = np.random.default_rng(bins)
    values = {
        "normal": rng.normal(size=20000),
        "laplace": rng.laplace(size=20000),
        "relu": np.maximum(rng.normal(size=20000), 0),
        "heavy": rng.standard_t(3, size=20000),
        "sparse": rng.exponential(size=60),  # most bins are empty
        "exact": rng.integers(0, 7, 5000),
    }[kind]
    counts, width = histogram(values, bins)
    assert kl_threshold(counts, width, 8) == pytest.approx(cal_kl_threshold(counts, width, 8))


def test_an_outlier_is_clipped():
    values = np.append(np.random.default_rng(0).normal(size=50000), 8.0)
    counts, width = histogram(values, 2048)
    assert 3.5 < kl_threshold(counts, width, 8) < 6.0


@pytest.mark.parametrize("filled", [[0], [100], [0, 3, 250], []])
def test_an_empty_upper_half(filled):
    counts = np.zeros(2048, np.int64)
    counts[filled] = 5
    assert kl_threshold(counts, 0.5, 8) == cal_kl_threshold(counts, 0.5, 8)
