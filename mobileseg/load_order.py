"""Whether Paddle was loaded before zlib, with which images and archives crash."""

from __future__ import annotations

import ctypes
from typing import Any

_PROBED = "deflateReset"
_VISITOR = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


class _Library(ctypes.Structure):
    """The beginning of ``struct dl_phdr_info``."""

    _fields_ = (("address", ctypes.c_void_p), ("name", ctypes.c_char_p))


def refuse_paddle_before_zlib() -> None:
    """Make sure that a zlib was loaded before the one inside Paddle's library, which others then call by mistake.

    Raises:
        ImportError: Paddle came first, and the next PNG or NPZ would end the process.
    """
    names = _libraries()
    paddle = next((place for place, name in enumerate(names) if "libpaddle" in name.rsplit("/", 1)[-1]), None)
    zlib = next((place for place, name in enumerate(names) if name.rsplit("/", 1)[-1].startswith("libz.so")), None)
    if paddle is None or (zlib is not None and zlib < paddle) or not hasattr(ctypes.CDLL(names[paddle]), _PROBED):
        return
    raise ImportError(
        "paddle was imported before mobileseg: this Paddle brings a zlib of its own, with which the next PNG or NPZ "
        "file would end the process\n  hint: import mobileseg before paddle"
    )


def _libraries() -> list[str]:
    """Paths of the shared libraries of this process, in the order of loading; none where that is not known."""
    found: list[str] = []

    def visit(info: Any, _size: int, _data: Any) -> int:
        name = ctypes.cast(info, ctypes.POINTER(_Library)).contents.name
        found.append((name or b"").decode(errors="replace"))
        return 0

    walk = getattr(ctypes.CDLL(None), "dl_iterate_phdr", None)
    if walk is not None:
        walk(_VISITOR(visit), None)
    return found
