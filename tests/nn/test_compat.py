from __future__ import annotations

import paddle
import pytest

from mobileseg.nn.compat import is_static, is_tracing, spatial_size


def test_eager_sizes_are_ints() -> None:
    size = spatial_size(paddle.zeros([2, 3, 5, 7]))
    assert size == [5, 7]
    assert is_static(size)
    assert not is_tracing()


@pytest.mark.parametrize(
    ("shape", "known"),
    [([1, 3, 5, 7], [True, True]), ([None, 3, 5, 7], [True, True]), ([1, 3, None, 7], [False, True])],
)
def test_traced_sizes_are_ints_where_known(shape: list[int | None], known: list[bool]) -> None:
    paddle.enable_static()
    try:
        with paddle.static.program_guard(paddle.static.Program()):
            size = spatial_size(paddle.static.data("x", shape))
            assert is_tracing()
    finally:
        paddle.disable_static()
    assert [isinstance(length, int) for length in size] == known
    assert is_static(size) == all(known)
