"""PyTorch's two file layouts, read without PyTorch and without executing anything.

Since 1.6 ``torch.save`` writes a zip archive: ``data.pkl`` refers to storages, which are the entries ``data/<key>``.
Before, it wrote a stream: magic number, version, system, the pickled object, the list of storage keys, and each
storage as a count and raw little-endian data. In both, a tensor is an offset, sizes and strides into a storage.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from mobileseg.errors import WeightsError
from mobileseg.weights import safe_pickle
from mobileseg.weights.safe_pickle import NUMPY_NAMES, Callee

MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001
LEGACY_HEAD = b"\x80\x02\x8a\x0a"
"""First bytes of a legacy stream: a pickle of protocol 2 that holds a ten-byte number."""

_STORAGE_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_STATE_KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")


_LARGEST_SIZE = 1 << 31
_EXPANDED = 1 << 16
"""Numbers of a tensor that may be more than its storage has: stride 0 makes gigabytes of one number."""


class _StorageType:
    """A storage class that the pickle names; an inert value."""

    __slots__ = ("bfloat16", "dtype")

    def __init__(self, name: str) -> None:
        self.dtype = np.dtype(_STORAGE_DTYPES[name])
        self.bfloat16 = name == "BFloat16Storage"

    def __setstate__(self, state: Any) -> None:
        raise WeightsError("the file tries to change a type; no weights file does that")


class _Storage:
    """Flat data of one or several tensors; filled later when the file keeps it behind the pickle."""

    __slots__ = ("count", "kind", "raw")

    def __init__(self, kind: _StorageType, count: int) -> None:
        self.kind = kind
        self.count = count
        self.raw: bytes | None = None

    def fill(self, raw: bytes, what: str) -> None:
        if len(raw) != self.count * self.kind.dtype.itemsize:
            raise WeightsError(
                f"{what} is damaged: a storage has {len(raw)} bytes, {self.count} numbers were announced"
            )
        self.raw = raw

    def __setstate__(self, state: Any) -> None:
        raise WeightsError("the file tries to change a storage; no weights file does that")


class _Tensor:
    """A tensor as the pickle describes it; becomes an array when its storage is there."""

    __slots__ = ("offset", "size", "storage", "stride")

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> None:
        numbers = [offset, *size, *stride]
        if not isinstance(storage, _Storage) or any(not isinstance(n, int) or n < 0 for n in numbers):
            raise WeightsError("the file holds a malformed tensor")
        if len(size) != len(stride):
            raise WeightsError("the file holds a tensor whose strides do not match its sizes")
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)

    def __setstate__(self, state: Any) -> None:
        raise WeightsError("the file tries to change a tensor; no weights file does that")

    def array(self, budget: list[int]) -> np.ndarray:
        """A copy of its own; ``budget`` holds the bytes that all arrays together may still take."""
        storage = self.storage
        if storage.raw is None:
            raise WeightsError("the file refers to data that it does not hold")
        count = 1
        for size in self.size:
            count *= size
        budget[0] -= count * storage.kind.dtype.itemsize
        if budget[0] < 0 or count > max(storage.count, _EXPANDED):
            raise WeightsError("the tensors of the file are larger than what it holds would explain: refused")
        last = self.offset + sum((size - 1) * step for size, step in zip(self.size, self.stride, strict=True))
        if count and last >= storage.count:
            raise WeightsError(f"the file is damaged: a tensor of {list(self.size)} reaches beyond its storage")
        flat = np.frombuffer(storage.raw, storage.kind.dtype)
        if not count:
            if max(self.size) > _LARGEST_SIZE:
                raise WeightsError(f"the file is damaged: a tensor has a side of {max(self.size)}")
            result = np.zeros(self.size, flat.dtype)
        else:
            pairs = zip(self.size, self.stride, strict=True)
            steps = [step * flat.itemsize if size > 1 else 0 for size, step in pairs]
            result = np.lib.stride_tricks.as_strided(flat[self.offset :], self.size, steps, writeable=False).copy()
        if storage.kind.bfloat16:  # the upper half of a float32
            return (result.astype(np.uint32) << 16).view(np.float32)
        return result


def _parameter(data: Any, *_: Any) -> Any:
    return data


TORCH_NAMES: dict[str, Any] = {
    **NUMPY_NAMES,
    **{f"torch.{name}": _StorageType(name) for name in _STORAGE_DTYPES},
    "torch._utils._rebuild_tensor": Callee("_rebuild_tensor", _Tensor),
    "torch._utils._rebuild_tensor_v2": Callee("_rebuild_tensor_v2", _Tensor),
    "torch._utils._rebuild_parameter": Callee("_rebuild_parameter", _parameter),
    "torch.Size": Callee("torch.Size", tuple),
}
"""What a PyTorch file may name, and what stands for it."""


def read_torch_zip(stream: BinaryIO, what: str, limit: int) -> dict[str, np.ndarray]:
    """Arrays by name from the zip layout.

    Args:
        limit: bytes that the arrays may take together.

    Raises:
        WeightsError: damaged, refused, or without a state_dict.
    """
    try:
        with zipfile.ZipFile(stream) as bundle:
            entries = {entry.filename: entry for entry in bundle.infolist()}
            pickles = [name for name in entries if name.endswith("/data.pkl") or name == "data.pkl"]
            if len(pickles) != 1:
                raise WeightsError(f"{what} is a zip file, but neither NumPy's nor PyTorch's")
            root = pickles[0].removesuffix("data.pkl")
            packed = [name for name, entry in entries.items() if entry.compress_type != zipfile.ZIP_STORED]
            if packed:
                raise WeightsError(f"{what} holds a compressed entry '{packed[0]}'; PyTorch never compresses: refused")
            order = bundle.read(entries[f"{root}byteorder"]) if f"{root}byteorder" in entries else b"little"
            if order != b"little":
                raise WeightsError(f"{what} was written on a big-endian machine; that is not read")
            storages: dict[str, _Storage] = {}

            def storage(pid: Any) -> _Storage:
                kind, key, count = _storage_id(pid, what)
                if key not in storages:
                    entry = entries.get(f"{root}data/{key}")
                    if entry is None:
                        raise WeightsError(f"{what} is damaged: the data of storage {key} is not there")
                    storages[key] = _Storage(kind, count)
                    storages[key].fill(bundle.read(entry), what)
                return storages[key]

            with bundle.open(pickles[0]) as pickled:
                content = safe_pickle.read_pickle(pickled, what, names=TORCH_NAMES, persistent=storage)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise WeightsError(f"{what} is damaged: {error}", remedy="fetch the file again") from error
    return _state(content, what, limit)


def read_torch_legacy(stream: BinaryIO, what: str, limit: int) -> dict[str, np.ndarray]:
    """Arrays by name from the stream layout that PyTorch wrote before 1.6.

    Args:
        limit: bytes that the arrays may take together.

    Raises:
        WeightsError: damaged, refused, or without a state_dict.
    """
    header = [safe_pickle.read_pickle(stream, what) for _ in range(3)]
    if header[0] != MAGIC or header[1] != LEGACY_VERSION:
        raise WeightsError(f"{what} is not a PyTorch file of version {LEGACY_VERSION}")
    if not (isinstance(header[2], dict) and header[2].get("little_endian", True)):
        raise WeightsError(f"{what} was written on a big-endian machine; that is not read")
    storages: dict[str, _Storage] = {}

    def storage(pid: Any) -> _Storage:
        kind, key, count = _storage_id(pid, what)
        if len(pid) > 5 and pid[5] is not None:
            raise WeightsError(f"{what} holds a storage that is a view of another one; that is not read")
        return storages.setdefault(key, _Storage(kind, count))

    content = safe_pickle.read_pickle(stream, what, names=TORCH_NAMES, persistent=storage)
    for key in _string_list(safe_pickle.read_pickle(stream, what), what):
        if key not in storages:
            raise WeightsError(f"{what} is damaged: nothing refers to its storage {key}")
        count = int.from_bytes(_exactly(stream, 8, what), "little")
        if count != storages[key].count:
            raise WeightsError(
                f"{what} is damaged: storage {key} has {count} numbers, {storages[key].count} were announced"
            )
        storages[key].fill(_exactly(stream, count * storages[key].kind.dtype.itemsize, what), what)
    return _state(content, what, limit)


def _storage_id(pid: Any, what: str) -> tuple[_StorageType, str, int]:
    if (
        not isinstance(pid, tuple)
        or len(pid) < 5
        or pid[0] != "storage"
        or not isinstance(pid[1], _StorageType)
        or not isinstance(pid[2], (str, int))
        or not isinstance(pid[4], int)
        or pid[4] < 0
    ):
        raise WeightsError(f"{what} refers to data in a way that PyTorch's weights files do not: refused")
    return pid[1], str(pid[2]), pid[4]


def _string_list(value: Any, what: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(key, (str, int)) for key in value):
        raise WeightsError(f"{what} is damaged: the list of its storages is missing")
    return [str(key) for key in value]


def _exactly(stream: BinaryIO, size: int, what: str) -> bytes:
    raw = stream.read(size)
    if len(raw) != size:
        raise WeightsError(f"{what} is truncated", remedy="fetch the file again")
    return raw


def _state(content: Any, what: str, limit: int) -> dict[str, np.ndarray]:
    """The parameters in what was saved: the dictionary itself, or the one under a usual key."""
    candidates = [content]
    if isinstance(content, dict):
        candidates = [*(content[key] for key in _STATE_KEYS if isinstance(content.get(key), dict)), content]
    for candidate in candidates:
        found = _arrays(candidate, [limit])
        if found:
            return found
    raise WeightsError(
        f"{what} holds no state_dict, neither at its top nor under {', '.join(_STATE_KEYS)}",
        remedy="save it again with torch.save(model.state_dict(), path)",
    )


def _arrays(candidate: Any, budget: list[int]) -> dict[str, np.ndarray]:
    if not isinstance(candidate, dict):
        return {}
    read: dict[type, Callable[[Any], np.ndarray]] = {
        _Tensor: lambda value: value.array(budget),
        np.ndarray: lambda value: value,
    }
    return {
        name: read[type(value)](value)
        for name, value in candidate.items()
        if isinstance(name, str) and type(value) in read
    }
