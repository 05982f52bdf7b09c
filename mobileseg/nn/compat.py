"""Calls whose form differs between Paddle versions, or between eager and traced execution."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import paddle

from mobileseg.errors import DependencyError
from mobileseg.paddle_version import CONVERTER, TESTED, Paddle

logger = logging.getLogger(__name__)
_any_size: ContextVar[bool] = ContextVar("any_size", default=False)


@cache
def say_untested_paddle() -> None:
    """Say, once, that nobody has tried the suite with the installed Paddle."""
    found = str(paddle.__version__)
    if not Paddle("paddlepaddle", found).tested:
        tested = " and ".join(TESTED)
        logger.warning("mobileseg was never tested with Paddle %s; it is with %s", found, tested)


def cpu_threads() -> int:
    """CPU threads that Paddle's operators use (OMP_NUM_THREADS)."""
    return int(paddle.get_flags("FLAGS_paddle_num_threads")["FLAGS_paddle_num_threads"])


def require_static_programs() -> None:
    """Refuse to trace, in a Paddle whose programs the converters do not read.

    Raises:
        DependencyError: it is not the converter's; since 3.0 Paddle writes its graphs in another form (PIR).
    """
    found = str(paddle.__version__)
    if not Paddle("paddlepaddle", found).converts:
        raise DependencyError(
            f"networks are traced with Paddle {CONVERTER}, and this process runs Paddle {found}",
            remedy="use the command line (mobileseg export, mobileseg compress), which calls the converter "
            "environment, or run this program there (`mobileseg doctor env` shows where it is)",
        )


def own_copy(tensor: paddle.Tensor, dtype: str | paddle.dtype) -> paddle.Tensor:
    """A tensor in ``dtype`` that shares no memory with ``tensor``, detached: what may be changed in place.

    ``Tensor.astype`` to the dtype that a tensor has is a copy in Paddle 2.6 and the tensor itself since 3.0.
    """
    return paddle.cast(tensor.detach(), dtype)


def is_tracing() -> bool:
    """Whether a program is being built (``paddle.jit``) rather than run eagerly."""
    return not paddle.in_dynamic_mode()


def spatial_size(x: paddle.Tensor) -> list[int | paddle.Tensor]:
    """Height and width of ``x`` [N, C, H, W].

    Python ints wherever the size is known. A graph that reads its own shape although the shape is fixed
    converts badly (paddle2onnx cannot fold it), so a tensor appears only for an axis of unknown size.
    """
    size: list[int | paddle.Tensor] = list(x.shape[2:4])
    if all(isinstance(length, int) and length > 0 for length in size):
        return size
    shape = paddle.shape(x)
    return [
        length if isinstance(length, int) and length > 0 else shape[axis]
        for axis, length in zip((2, 3), size, strict=True)
    ]


@contextmanager
def open_sides(any_size: bool) -> Iterator[None]:
    """While active, what is traced with unknown sides must hold for every size, not for multiples alone."""
    token = _any_size.set(any_size)
    try:
        yield
    finally:
        _any_size.reset(token)


def takes_any_size() -> bool:
    """Whether :func:`open_sides` asks for a graph that holds for every size."""
    return _any_size.get()


def is_static(size: list[int | paddle.Tensor]) -> bool:
    """Whether every length of ``size`` is a Python int."""
    return all(isinstance(length, int) for length in size)


# Tracing rewrites the source of the functions it meets; these decide by Python types what is
# written into the graph, and must run as they stand.
spatial_size = paddle.jit.not_to_static(spatial_size)
is_static = paddle.jit.not_to_static(is_static)
