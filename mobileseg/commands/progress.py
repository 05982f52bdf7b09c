"""How far a command has come."""

from __future__ import annotations

import sys
from collections.abc import Callable


def progress_counter() -> Callable[[int, int], None] | None:
    """A counter ``(done, total)`` on a terminal; None elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        print(f"\r{done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show
