"""Sizes as numbers, for networks of PaddleSeg that are traced at a fixed size.

A graph that reads its own shape although that is fixed cannot be converted well (see mobileseg/nn/compat.py).
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import Any

import paddle
from paddle.nn import functional as F

from mobileseg.semantic.paddleseg_repairs import replaced

_shape, _ceil, _cast, _interpolate = paddle.shape, paddle.ceil, paddle.cast, F.interpolate


class KnownSize(int):
    """A size as a number that computes like one, and is a tensor where it is used as one."""

    def __add__(self, other: Any) -> Any:
        return _known(int.__add__(self, other))

    def __sub__(self, other: Any) -> Any:
        return _known(int.__sub__(self, other))

    def __mul__(self, other: Any) -> Any:
        return _known(int.__mul__(self, other))

    def __floordiv__(self, other: Any) -> Any:
        return _known(int.__floordiv__(self, other))

    def astype(self, dtype: Any) -> Any:
        """Itself for integers, else a tensor."""
        return self if "int" in str(dtype) else paddle.to_tensor(int(self), "int32").astype(dtype)


class KnownShape(list[int]):
    """Sizes as numbers, which are a tensor where they are used as one (``size[::-1].reshape(...)``)."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return KnownShape(found) if isinstance(place, slice) else KnownSize(found)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(paddle.to_tensor(list(self), "int32"), name)


def _known(found: Any) -> Any:
    return KnownSize(found) if isinstance(found, int) else found


def known_shape(tensor: paddle.Tensor, *arguments: Any) -> Any:
    """``paddle.shape``, as numbers where they are known."""
    sizes = KnownShape(tensor.shape)
    return sizes if all(isinstance(size, int) and size >= 0 for size in sizes) else _shape(tensor, *arguments)


def known_ceil(x: Any, *arguments: Any) -> Any:
    """``paddle.ceil``, also of a quotient of sizes."""
    return KnownSize(math.ceil(x)) if isinstance(x, int | float) else _ceil(x, *arguments)


def known_cast(x: Any, dtype: Any) -> Any:
    """``paddle.cast``, also of a size."""
    return KnownSize(x).astype(dtype) if isinstance(x, int) else _cast(x, dtype)


def known_interpolate(x: paddle.Tensor, size: Any = None, scale_factor: Any = None, *rest: Any, **options: Any) -> Any:
    """``F.interpolate``, to a size where a factor gives one: Paddle forgets it in the graph."""
    if size is None and isinstance(scale_factor, int | float) and len(x.shape) == 4:
        sides = [side * scale_factor for side in x.shape[2:]]
        if all(side > 0 and side == int(side) for side in sides):
            size, scale_factor = [int(side) for side in sides], None
    return _interpolate(x, size, scale_factor, *rest, **options)


_REPLACED = (
    (paddle, "shape", paddle.jit.not_to_static(known_shape)),
    (paddle, "ceil", paddle.jit.not_to_static(known_ceil)),
    (paddle, "cast", paddle.jit.not_to_static(known_cast)),
    (F, "interpolate", paddle.jit.not_to_static(known_interpolate)),
)


def known_sizes() -> AbstractContextManager[None]:
    """Inside, functions of Paddle that read, round, convert or use sizes do so with numbers where they are known."""
    return replaced(*_REPLACED)
