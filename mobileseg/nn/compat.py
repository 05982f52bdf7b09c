"""Calls whose form differs between Paddle versions, or between eager and traced execution."""

from __future__ import annotations

import paddle

from mobileseg.errors import DependencyError


def require_tested_paddle() -> None:
    """Refuse a Paddle on which training would go wrong without a word (in-place operators changed in 3.0).

    Raises:
        DependencyError: its major version is not 2.
    """
    version = str(paddle.__version__)
    if version.split(".")[0] != "2":
        raise DependencyError(
            f"Paddle {version} is installed; the suite is tested with Paddle 2.6.2 and does not support other major "
            "versions yet",
            remedy="pip install paddlepaddle==2.6.2 (paddlepaddle-gpu==2.6.2 on a GPU)",
        )


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


def is_static(size: list[int | paddle.Tensor]) -> bool:
    """Whether every length of ``size`` is a Python int."""
    return all(isinstance(length, int) for length in size)


# Tracing rewrites the source of the functions it meets; these decide by Python types what is
# written into the graph, and must run as they stand.
spatial_size = paddle.jit.not_to_static(spatial_size)
is_static = paddle.jit.not_to_static(is_static)
