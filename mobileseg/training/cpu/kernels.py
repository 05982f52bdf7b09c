"""Depthwise convolution on CPUs, forward and backward, compiled by Numba when it is first used.

A plane is padded and taken apart into ``stride * stride`` phases: phase (a, b) holds the padded pixels of rows
``a, a + stride, ...`` and columns ``b, b + stride, ...``, as wide as the output and a little more. Then every tap of
the filter is one long product of neighbouring numbers, whatever the stride: output pixel ``t``, counted through rows as
wide as a phase, is the sum over taps (k, l) of ``filter[k, l] * phase(k % stride, l % stride)[t + shift(k, l)]``.
Columns between the width of the output and that of a phase are computed for nothing and left out in the end.

Channels are independent of each other, so sums are added in the same order whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numba
import numpy as np

_BLOCK = 2048
"""Pixels that all taps pass over before the next: they stay in the first-level cache."""

# Sums may be reordered, which is what vector instructions do; what is not a number stays so.
_FAST = {"reassoc", "contract", "nsz"}


def _compiled(function: Callable[..., Any]) -> Any:
    options: dict[str, Any] = {"nogil": True, "fastmath": _FAST, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep the machine code in
        return numba.njit(**options)(function)


def depthwise(
    x: np.ndarray, filters: np.ndarray, y: np.ndarray, stride: int, padding: tuple[int, int], threads: int = 1
) -> None:
    """Cross-correlate every channel with its filter; zeros outside.

    Args:
        x: float32 [N, C, H, W], contiguous like all of them.
        filters: float32 [C, K, L].
        y: float32 [N, C, H', W'], not empty but for N; written. Its size says how many zeros follow below and right.
        stride: of rows and columns.
        padding: zeros above and left.
        threads: that share the channels.
    """
    _share(threads, x.shape[1], lambda first, last: _forward(x, filters, y, stride, padding, first, last))


def depthwise_gradients(
    x: np.ndarray,
    filters: np.ndarray,
    gradient: np.ndarray,
    dx: np.ndarray | None,
    dfilters: np.ndarray | None,
    stride: int,
    padding: tuple[int, int],
    threads: int = 1,
) -> None:
    """Gradients of :func:`depthwise`; sums over pixels are added up in float64.

    Args:
        x: float32 [N, C, H, W].
        filters: float32 [C, K, L].
        gradient: float32 [N, C, H', W'], of the output.
        dx: float32 like `x`, written; None: not wanted.
        dfilters: float32 like `filters`, written; None: not wanted.
        stride: of rows and columns.
        padding: zeros above and left.
        threads: that share the channels.
    """
    wanted = dx is not None, dfilters is not None
    dx = np.empty((0, 0, 0, 0), np.float32) if dx is None else dx
    dfilters = np.empty((0, 0, 0), np.float32) if dfilters is None else dfilters
    _share(
        threads,
        x.shape[1],
        lambda first, last: _backward(x, filters, gradient, dx, dfilters, *wanted, stride, padding, first, last),
    )


def _share(threads: int, channels: int, work: Callable[[int, int], None]) -> None:
    """Call ``work(first, last)`` for ranges that make up all channels, each in a thread."""
    threads = max(1, min(threads, channels))
    if threads == 1:
        work(0, channels)
        return
    bounds = [channels * part // threads for part in range(threads + 1)]
    list(_pool(threads).map(work, bounds[:-1], bounds[1:]))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="depthwise")


@_compiled
def _copy(target, source):  # type: ignore[no-untyped-def]
    for j in range(target.shape[0]):
        target[j] = source[j]


@_compiled
def _add(target, source, factor):  # type: ignore[no-untyped-def]
    for j in range(target.shape[0]):
        target[j] += factor * source[j]


@_compiled
def _add3(target, a, b, c, u, v, w):  # type: ignore[no-untyped-def]
    for j in range(target.shape[0]):
        target[j] += u * a[j] + v * b[j] + w * c[j]


@_compiled
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for j in range(a.shape[0]):
        total += a[j] * b[j]
    return total


@_compiled
def _dot3(e, a, b, c):  # type: ignore[no-untyped-def]
    s, t, u = np.float32(0), np.float32(0), np.float32(0)
    for j in range(e.shape[0]):
        s += e[j] * a[j]
        t += e[j] * b[j]
        u += e[j] * c[j]
    return s, t, u


@_compiled
def _part(phase, padding, stride, length, room):  # type: ignore[no-untyped-def]
    """What a phase holds of an axis: its first place, the first pixel, and how many."""
    place = 0 if phase >= padding else (padding - phase + stride - 1) // stride
    pixel = place * stride + phase - padding
    return place, pixel, max(0, min((length - pixel + stride - 1) // stride, room - place))


@_compiled
def _take_apart(plane, phases, stride, padding):  # type: ignore[no-untyped-def]
    """Write a plane into its phases; the padding is there already."""
    for a in range(stride):
        top, y, rows = _part(a, padding[0], stride, plane.shape[0], phases.shape[2])
        for b in range(stride):
            left, x, columns = _part(b, padding[1], stride, plane.shape[1], phases.shape[3])
            for i in range(rows):
                target = phases[a, b, top + i, left : left + columns]
                if stride == 1:  # a number that is known when this is compiled makes the copy a faster one
                    _copy(target, plane[y + i, x:])
                elif stride == 2:
                    _copy(target, plane[y + 2 * i, x::2])
                else:
                    _copy(target, plane[y + i * stride, x::stride])


@_compiled
def _put_together(phases, plane, stride, padding):  # type: ignore[no-untyped-def]
    """Write what the phases hold of a plane into it."""
    for a in range(stride):
        top, y, rows = _part(a, padding[0], stride, plane.shape[0], phases.shape[2])
        for b in range(stride):
            left, x, columns = _part(b, padding[1], stride, plane.shape[1], phases.shape[3])
            for i in range(rows):
                source = phases[a, b, top + i, left : left + columns]
                if stride == 1:
                    _copy(plane[y + i, x : x + columns], source)
                elif stride == 2:
                    _copy(plane[y + 2 * i, x::2][:columns], source)
                else:
                    _copy(plane[y + i * stride, x::stride][:columns], source)


@_compiled
def _forward(x, filters, y, stride, padding, first, last):  # type: ignore[no-untyped-def]
    height, width = y.shape[2], y.shape[3]
    taps, across = filters.shape[1], filters.shape[2]
    rows, columns = height + (taps - 1) // stride, width + (across - 1) // stride
    phases = np.zeros((stride, stride, rows, columns), np.float32)
    long = phases.reshape(stride, stride, rows * columns)
    result = np.empty((height, columns), np.float32)
    target = result.reshape(height * columns)
    end = (height - 1) * columns + width
    for n in range(x.shape[0]):
        for c in range(first, last):
            _take_apart(x[n, c], phases, stride, padding)
            for start in range(0, end, _BLOCK):
                block = target[start : min(end, start + _BLOCK)]
                count = block.shape[0]
                block[:] = 0
                for k in range(taps):
                    at = k // stride * columns + start
                    row = long[k % stride]
                    l = 0  # noqa: E741
                    while l + 2 < across:  # three taps at a time: a third of the passes over the block
                        p, q, r = at + l // stride, at + (l + 1) // stride, at + (l + 2) // stride
                        _add3(
                            block,
                            row[l % stride, p : p + count],
                            row[(l + 1) % stride, q : q + count],
                            row[(l + 2) % stride, r : r + count],
                            filters[c, k, l],
                            filters[c, k, l + 1],
                            filters[c, k, l + 2],
                        )
                        l += 3  # noqa: E741
                    while l < across:
                        p = at + l // stride
                        _add(block, row[l % stride, p : p + count], filters[c, k, l])
                        l += 1  # noqa: E741
            for i in range(height):
                _copy(y[n, c, i], result[i, :width])


@_compiled
def _backward(x, filters, gradient, dx, dfilters, with_x, with_filters, stride, padding, first, last):  # type: ignore[no-untyped-def]
    height, width = gradient.shape[2], gradient.shape[3]
    taps, across = filters.shape[1], filters.shape[2]
    rows, columns = height + (taps - 1) // stride, width + (across - 1) // stride
    phases = np.zeros((stride, stride, rows, columns), np.float32)
    dphases = np.zeros((stride, stride, rows, columns), np.float32)
    long = phases.reshape(stride, stride, rows * columns)
    dlong = dphases.reshape(stride, stride, rows * columns)
    wide = np.zeros((height, columns), np.float32)  # zeros beyond the width of the output add nothing
    source = wide.reshape(height * columns)
    end = (height - 1) * columns + width
    sums = np.zeros((last - first, taps, across), np.float64)
    # Pixels that no tap meets have no gradient.
    unseen = (rows * stride < x.shape[2] + padding[0]) or (columns * stride < x.shape[3] + padding[1])
    for n in range(x.shape[0]):
        for c in range(first, last):
            if with_filters:
                _take_apart(x[n, c], phases, stride, padding)
            for i in range(height):
                _copy(wide[i, :width], gradient[n, c, i])
            if with_x:
                dphases[:] = 0
            for start in range(0, end, _BLOCK):
                block = source[start : min(end, start + _BLOCK)]
                count = block.shape[0]
                for k in range(taps):
                    at = k // stride * columns + start
                    row, drow = long[k % stride], dlong[k % stride]
                    l = 0 if with_filters else across  # noqa: E741
                    while l + 2 < across:
                        p, q, r = at + l // stride, at + (l + 1) // stride, at + (l + 2) // stride
                        dots = _dot3(
                            block,
                            row[l % stride, p : p + count],
                            row[(l + 1) % stride, q : q + count],
                            row[(l + 2) % stride, r : r + count],
                        )
                        for one in range(3):
                            sums[c - first, k, l + one] += dots[one]
                        l += 3  # noqa: E741
                    while l < across:
                        p = at + l // stride
                        sums[c - first, k, l] += _dot(block, row[l % stride, p : p + count])
                        l += 1  # noqa: E741
                    if with_x:
                        for l in range(across):  # noqa: E741
                            p = at + l // stride
                            _add(drow[l % stride, p : p + count], block, filters[c, k, l])
            if with_x:
                if unseen:
                    dx[n, c] = 0
                _put_together(dphases, dx[n, c], stride, padding)
    if with_filters:
        dfilters[first:last] = sums
