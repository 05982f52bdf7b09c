"""Optical flow files of Middlebury (Baker et al., IJCV 2011): 'PIEH', width, height, and (u, v) of every pixel.

All numbers are little-endian: int32 width and height, then float32 rows of pairs. A pair says by how many columns and
rows the point of a pixel moves until the next frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mobileseg.data.io import FileError, SizeError, TruncatedFileError, read_bytes
from mobileseg.errors import DataError
from mobileseg.files import write_whole
from mobileseg.limits import size_fault

_TAG = b"PIEH"
_HEADER = 12
_FLOATS = np.dtype("<f4")
_INTEGERS = np.dtype("<i4")
_REDOWNLOAD = "copy or download the file again, or take the pair out of the list"

UNKNOWN = 1e9
"""Components beyond this mark pixels whose flow is not known."""


def read_flow(path: str | Path) -> np.ndarray:
    """Read a .flo file.

    Returns:
        float32 [H, W, 2], columns and rows in pixels; unknown flow is beyond :data:`UNKNOWN`.

    Raises:
        FileError: missing, no .flo file, of an impossible size, truncated, longer than it says, or with numbers that
            are none.
    """
    data = read_bytes(path, "flow")
    if not data.startswith(_TAG) or len(data) < _HEADER:
        raise FileError(
            f"the flow {path} is no .flo file: it begins with {data[:4]!r}, expected {_TAG!r} and two numbers",
            remedy="write flow as Middlebury .flo, little-endian",
        )
    width, height = (int(number) for number in np.frombuffer(data, _INTEGERS, 2, offset=4))
    fault = size_fault(height, width)
    if fault:
        raise SizeError(f"the flow {path} cannot be taken: {fault}", remedy=_REDOWNLOAD)
    expected = _HEADER + height * width * 2 * _FLOATS.itemsize
    if len(data) < expected:
        raise TruncatedFileError(
            f"the flow {path} is truncated: {width}x{height} takes {expected} bytes, the file has {len(data)}",
            remedy=_REDOWNLOAD,
        )
    if len(data) > expected:
        raise FileError(
            f"the flow {path} has {len(data)} bytes, {width}x{height} takes {expected}: its size is not what it says",
            remedy=_REDOWNLOAD,
        )
    flow = np.frombuffer(data, _FLOATS, height * width * 2, offset=_HEADER).reshape(height, width, 2)
    if not np.isfinite(flow).all():
        raise FileError(f"the flow {path} has values that are no finite numbers", remedy=_REDOWNLOAD)
    return flow.astype(np.float32)


def write_flow(path: str | Path, flow: np.ndarray) -> None:
    """Write a .flo file, whole or not at all.

    Args:
        path: the file.
        flow: float [H, W, 2], columns and rows in pixels.

    Raises:
        DataError: the array is no flow.
        OSError: the file cannot be written.
    """
    if flow.ndim != 3 or flow.shape[2] != 2 or size_fault(flow.shape[0], flow.shape[1]):
        raise DataError(f"flow of the shape {list(flow.shape)}; expected [H, W, 2]")
    size = np.array([flow.shape[1], flow.shape[0]], _INTEGERS).tobytes()
    write_whole(path, _TAG + size + np.ascontiguousarray(flow, _FLOATS).tobytes())
