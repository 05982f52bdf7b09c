"""The message about a network that cannot be traced."""

import pytest

from mobileseg.nn.trace_failure import trace_failure

pytestmark = pytest.mark.both


@pytest.mark.parametrize(
    ("error", "end"),
    [(ValueError("a\n  b\nthe shape is open\n"), "ValueError: the shape is open"), (KeyError(), "KeyError: ")],
)
def test_the_last_line_is_told(error, end):
    assert trace_failure(error, (64, 96)) == f"Paddle cannot trace the network at 64x96: {end}"
