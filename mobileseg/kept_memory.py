"""Memory of large arrays that is kept for the next ones instead of being given back to the system."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Names of glibc's mallopt(3)."""

_KEPT = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1, _TOP_PAD: 64 << 20}
_USUAL = {_MMAP_MAX: 65536, _TRIM_THRESHOLD: 128 << 10, _TOP_PAD: 128 << 10}


@contextmanager
def kept_memory(active: bool = True) -> Iterator[bool]:
    """Within the context, large blocks that are freed stay with the process.

    NumPy, OpenCV and, on a CPU, Paddle take the memory of every array from malloc, and glibc maps blocks above 32 MiB
    anew each time and gives the free top of its heap back: the system then clears every page when it is touched again,
    which takes longer than adding two arrays does. Kept blocks were touched already. A training step or a batch frees
    what it allocates, so the process grows little beyond its largest one.

    Args:
        active: False: nothing is changed.

    Yields:
        whether memory is kept; False with another C library than glibc.
    """
    mallopt = _mallopt() if active else None
    if mallopt is None:
        yield False
        return
    for name, value in _KEPT.items():
        mallopt(name, value)
    try:
        yield True
    finally:
        for name, value in _USUAL.items():
            mallopt(name, value)


def _mallopt() -> ctypes._FuncPointer | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return None
    library.mallopt.argtypes, library.mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    return library.mallopt
