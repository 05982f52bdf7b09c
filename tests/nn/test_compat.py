from __future__ import annotations

import logging

import paddle
import pytest

from mobileseg.errors import DependencyError
from mobileseg.nn.compat import (
    is_static,
    is_tracing,
    own_copy,
    require_static_programs,
    say_untested_paddle,
    spatial_size,
)

pytestmark = pytest.mark.both


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_own_copy_is_changed_alone(dtype: str) -> None:
    """Whatever Paddle shares (astype does since 3.0, detach always did), what this gives is nobody else's."""
    source = paddle.arange(4, dtype="float32").reshape([2, 2])
    source.stop_gradient = False
    copy = own_copy(source, dtype)
    assert str(copy.dtype) == f"paddle.{dtype}"
    assert copy.stop_gradient
    copy.scale_(3.0)
    assert source.numpy().tolist() == [[0, 1], [2, 3]]
    assert copy.numpy().tolist() == [[0, 3], [6, 9]]


@pytest.mark.parametrize(("found", "lines"), [("2.5.2", 1), ("2.6.2", 0), ("3.0.0", 1), ("3.3.1", 0), ("3.4.0", 1)])
def test_an_untested_paddle_is_named_once(
    found: str, lines: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(paddle, "__version__", found)
    monkeypatch.setattr(logging.getLogger("mobileseg"), "propagate", True)
    say_untested_paddle.cache_clear()
    with caplog.at_level("WARNING"):
        say_untested_paddle()
        say_untested_paddle()
    say_untested_paddle.cache_clear()
    assert len(caplog.messages) == lines
    assert all(f"never tested with Paddle {found};" in line for line in caplog.messages)


def test_only_the_converter_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paddle, "__version__", "3.3.1")
    with pytest.raises(DependencyError, match=r"Paddle 2\.6\.2, and this process runs Paddle 3\.3\.1"):
        require_static_programs()
    monkeypatch.setattr(paddle, "__version__", "2.6.2")
    require_static_programs()
