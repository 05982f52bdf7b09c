"""The compiled depthwise convolution against SciPy's correlation in float64."""

from types import SimpleNamespace

import numba
import numpy as np
import pytest
from scipy.signal import convolve2d, correlate2d

from mobileseg.training.cpu import kernels
from mobileseg.training.cpu.kernels import depthwise, depthwise_gradients

pytestmark = pytest.mark.both

# N, C, H, W, kernel height and width, stride, padding
CASES = [
    (2, 3, 9, 7, 3, 3, 1, 1),
    (1, 2, 8, 8, 3, 3, 2, 1),
    (1, 2, 9, 11, 3, 3, 2, 1),
    (2, 1, 7, 10, 5, 5, 1, 2),
    (1, 3, 13, 6, 5, 5, 2, 2),
    (1, 2, 10, 9, 4, 4, 3, 0),
    (1, 2, 6, 9, 1, 1, 1, 0),
    (1, 2, 6, 9, 1, 1, 2, 0),  # three of four pixels are met by no tap
    (2, 2, 8, 9, 3, 5, 1, 1),
    (1, 2, 9, 8, 7, 3, 2, 3),
    (1, 1, 1, 1, 3, 3, 1, 1),
    (1, 1, 1, 1, 3, 3, 2, 1),
    (3, 2, 3, 40, 3, 3, 1, 1),
    (1, 1, 60, 70, 3, 3, 1, 1),  # several blocks
    (1, 2, 8, 8, 3, 3, 4, 1),
    (0, 2, 8, 8, 3, 3, 1, 1),
]


def _drawn(case):
    count, channels, height, width, down, across, stride, padding = case
    rng = np.random.default_rng(sum(case))
    x = rng.standard_normal((count, channels, height, width), dtype=np.float32)
    filters = rng.standard_normal((channels, down, across), dtype=np.float32)
    shape = [(side + 2 * padding - kernel) // stride + 1 for side, kernel in ((height, down), (width, across))]
    gradient = rng.standard_normal((count, channels, *shape), dtype=np.float32)
    return x, filters, gradient, stride, (padding, padding)


def _padded(plane, padding):
    return np.pad(plane.astype(np.float64), [(one, one) for one in padding])


def _reference(x, filters, stride, padding):
    def plane(n, c):
        return correlate2d(_padded(x[n, c], padding), filters[c], mode="valid")[::stride, ::stride]

    return np.array([[plane(n, c) for c in range(x.shape[1])] for n in range(len(x))])


def _spread(gradient, stride, shape):
    """The gradient at the places of a convolution of stride 1."""
    wide = np.zeros(shape)
    wide[::stride, ::stride][: gradient.shape[0], : gradient.shape[1]] = gradient
    return wide


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward(case, threads):
    x, filters, gradient, stride, padding = _drawn(case)
    y = np.full_like(gradient, np.nan)
    depthwise(x, filters, y, stride, padding, threads)
    if len(x):
        np.testing.assert_allclose(y, _reference(x, filters, stride, padding), atol=2e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients(case):
    x, filters, gradient, stride, padding = _drawn(case)
    dx, dfilters = np.full_like(x, np.nan), np.full_like(filters, np.nan)
    depthwise_gradients(x, filters, gradient, dx, dfilters, stride, padding)

    down, across = filters.shape[1:]
    axes = zip(x.shape[2:], (down, across), padding, strict=True)
    whole = [side + 2 * zeros - kernel + 1 for side, kernel, zeros in axes]
    expected_x, expected_filters = np.zeros(x.shape), np.zeros(filters.shape)
    for n in range(len(x)):
        for c in range(x.shape[1]):
            spread = _spread(gradient[n, c], stride, whole)
            dpadded = convolve2d(spread, filters[c].astype(np.float64))
            expected_x[n, c] = dpadded[padding[0] : padding[0] + x.shape[2], padding[1] : padding[1] + x.shape[3]]
            expected_filters[c] += correlate2d(_padded(x[n, c], padding), spread, mode="valid")
    np.testing.assert_allclose(dx, expected_x, atol=2e-5)
    np.testing.assert_allclose(dfilters, expected_filters, atol=1e-4)


@pytest.mark.parametrize("case", CASES[:6], ids=str)
def test_what_is_not_wanted_is_not_needed_for_the_other(case):
    x, filters, gradient, stride, padding = _drawn(case)
    both = np.empty_like(x), np.empty_like(filters)
    alone = np.empty_like(x), np.empty_like(filters)
    depthwise_gradients(x, filters, gradient, *both, stride, padding)
    depthwise_gradients(x, filters, gradient, alone[0], None, stride, padding)
    depthwise_gradients(x, filters, gradient, None, alone[1], stride, padding)
    for one, other in zip(both, alone, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("threads", [2, 5, 64])
def test_threads_change_no_bit(threads):
    x, filters, gradient, stride, padding = _drawn((2, 7, 33, 41, 3, 3, 1, 1))
    one, several = [], []
    for results, count in ((one, 1), (several, threads)):
        y, dx, dfilters = np.empty_like(gradient), np.empty_like(x), np.empty_like(filters)
        depthwise(x, filters, y, stride, padding, count)
        depthwise_gradients(x, filters, gradient, dx, dfilters, stride, padding, count)
        results += [y, dx, dfilters]
    for expected, found in zip(one, several, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_sums_over_many_pixels_stay_precise():
    """A million equal products: a float32 sum of them one by one would be off by far more."""
    x = np.full((4, 1, 512, 512), 0.1, np.float32)
    dfilters = np.empty((1, 1, 1), np.float32)
    depthwise_gradients(x, np.ones((1, 1, 1), np.float32), x, None, dfilters, 1, (0, 0))
    np.testing.assert_allclose(dfilters, x.size * float(x.flat[0]) ** 2, rtol=1e-6)


def test_what_is_not_a_number_stays_so():
    x, filters, gradient, stride, padding = _drawn((1, 2, 9, 9, 3, 3, 1, 1))
    x[0, 0, 4, 4] = np.nan
    y = np.empty_like(gradient)
    depthwise(x, filters, y, stride, padding)
    expected = np.zeros((9, 9), bool)
    expected[3:6, 3:6] = True
    np.testing.assert_array_equal(np.isnan(y[0, 0]), expected)
    assert np.isfinite(y[0, 1]).all()
    dfilters = np.empty_like(filters)
    depthwise_gradients(x, filters, gradient, None, dfilters, stride, padding)
    assert np.isnan(dfilters[0]).all()
    assert np.isfinite(dfilters[1]).all()


def test_machine_code_that_cannot_be_kept_is_compiled_all_the_same(monkeypatch):
    """A folder that cannot be written: Numba then refuses to compile with a cache."""
    njit = numba.njit

    def without_place(*, cache=False, **options):
        def refuse(function):
            raise RuntimeError(f"cannot cache function {function.__name__!r}: no locator available")

        return refuse if cache else njit(**options)

    monkeypatch.setattr(kernels, "numba", SimpleNamespace(njit=without_place))

    def more(x):
        return x + 1

    assert kernels._compiled(more)(2) == 3
