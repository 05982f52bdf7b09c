"""The way of a batch, or of an error in its place, from a data worker to the process that trains.

A description in JSON goes ahead, then the arrays as they lie in memory: nothing is pickled, and every byte is copied
once on either side.
"""

from __future__ import annotations

import json
import struct
import traceback
from collections.abc import Mapping
from io import BufferedReader, BufferedWriter
from typing import Any

import numpy as np

from mobileseg import errors
from mobileseg.errors import DataError, MobileSegError

_LENGTH = struct.Struct("<Q")


class WorkerTraceback(Exception):
    """The traceback of an error in a worker, as the cause of the error that it becomes here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def write_block(file: BufferedWriter, content: bytes) -> None:
    """Write bytes with their number in front."""
    file.write(_LENGTH.pack(len(content)) + content)
    file.flush()


def read_block(file: BufferedReader) -> bytes | None:
    """The bytes that :func:`write_block` wrote; None when the other side ended before."""
    size = file.read(_LENGTH.size)
    if len(size) < _LENGTH.size:
        return None
    count = _LENGTH.unpack(size)[0]
    content = file.read(count)
    return content if len(content) == count else None


def write_batch(file: BufferedWriter, batch: Mapping[str, np.ndarray]) -> None:
    """Write a batch of arrays."""
    arrays = [(key, np.asarray(array, order="C")) for key, array in batch.items()]
    _write_head(file, {"arrays": [(key, array.dtype.str, array.shape) for key, array in arrays]})
    for _, array in arrays:
        file.write(_bytes_of(array))
    file.flush()


def write_error(file: BufferedWriter, error: Exception) -> None:
    """Write an error instead of a batch."""
    message, remedy = getattr(error, "message", None) or str(error), getattr(error, "remedy", None)
    if not isinstance(error, MobileSegError | OSError):
        message = f"the dataset raised {type(error).__name__}: {message}"
        remedy = "run with --debug for the traceback"
    text = "".join(traceback.format_exception(error))
    _write_head(file, {"error": [type(error).__name__, message, remedy], "traceback": text})


def read_batch(file: BufferedReader) -> dict[str, np.ndarray] | None:
    """The batch that :func:`write_batch` wrote; None when the other side ended before it was whole.

    Raises:
        MobileSegError: the other side wrote an error; a DataError stands for those that are not the suite's own.
    """
    block = read_block(file)
    if block is None:
        return None
    head = json.loads(block)
    if "error" in head:
        name, message, remedy = head["error"]
        error: MobileSegError = getattr(errors, name, DataError)(message, remedy=remedy)
        raise error from WorkerTraceback(head["traceback"])
    batch = {}
    for key, dtype, shape in head["arrays"]:
        batch[key] = array = np.empty(shape, dtype)
        if file.readinto(_bytes_of(array)) < array.nbytes:
            return None
    return batch


def _bytes_of(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _write_head(file: BufferedWriter, head: Mapping[str, Any]) -> None:
    write_block(file, json.dumps(head).encode())
