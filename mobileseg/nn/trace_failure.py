"""What to say when Paddle cannot trace a network."""

from __future__ import annotations

REMEDY = "run again with --debug for the traceback; shapes and branches must not depend on data"


def trace_failure(error: Exception, size: tuple[int, int]) -> str:
    """The message for people: Paddle raises many types, whose texts end in the line that matters.

    Args:
        error: what tracing raised.
        size: height and width of the image.
    """
    reason = str(error).strip().splitlines()
    return (
        f"Paddle cannot trace the network at {size[0]}x{size[1]}: {type(error).__name__}: "
        f"{reason[-1] if reason else ''}"
    )
