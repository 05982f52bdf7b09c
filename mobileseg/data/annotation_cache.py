"""Annotations that were parsed before: their arrays in one file for each source, mapped into memory.

An entry belongs to a source (its resolved path), to what was asked of it, and to the version of the format; these make
the first part of its name. A source is an annotation file, or a folder of them. The second part of the name is a digest
of the size, the modification time, the change time and the inode of every file, and of the names of the files of a
folder in their order: an entry is used when all of them are what they were when it was parsed. Where one of the times
or the inode of a single file differs and the size does not (a copied or touched file), its entry is used when the
SHA-256 of the content is the same; a folder is parsed anew.

The system sets the change time at every write, and what sets a modification time back does not set that one: an edit
that keeps size and modification time is seen. Nothing else is trusted either: the head has a checksum and so has every
array, and an entry that does not fit is built anew. Entries are never changed in place but written beside and renamed,
so two trainings may build the same one, and who has mapped an older one keeps it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from mobileseg.cache import CACHE_VARIABLE, cache_folder
from mobileseg.files import sha256_of

VERSION = 2
MIN_BYTES = 2 << 20
"""Smaller sources are parsed every time: it takes a moment."""

_MAGIC = b"mobileseg annotations\n"
_ALIGNMENT = 64
_HEAD_LIMIT = 1 << 20
_KEPT_SECONDS = 86_400
"""How long an entry of another state of the source stays: workers of a training may not have mapped it yet."""

_log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """What is kept of a source.

    Attributes:
        facts: what JSON can hold.
        arrays: by name; read-only maps of the file where they were read from it.
    """

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]


class _SourceState(NamedTuple):
    """Of the files of a source: their bytes, and a digest of what the system says of them."""

    size: int
    digest: str


Kind = TypeVar("Kind", bound="Parsed")


class Parsed(Protocol):
    """What was parsed of a source."""

    def entry(self) -> Entry | None:
        """What is kept of it; None where nothing may be."""

    @classmethod
    def of_entry(cls: type[Kind], entry: Entry) -> Kind:
        """What was kept."""


class CachedSource:
    """The entry of one source.

    Args:
        source: annotation file, or folder of them.
        asked: what decides what is taken of it, as JSON can hold it.
        files: those of a folder that are parsed, in their order.
    """

    def __init__(self, source: Path, asked: Any, files: Sequence[Path] | None = None) -> None:
        self._source, self._asked, self._folder = source, asked, files is not None
        self._files = [source] if files is None else files

    def read(self, kind: type[Kind], parse: Callable[[], Kind]) -> Kind:
        """What was kept of the source, or else what ``parse`` gives, which is then kept.

        Small sources are parsed every time, and so is what cannot be found or is no regular file.
        """
        state = self._state()
        if state is None or state.size < MIN_BYTES:
            return parse()
        entry = self._load(state)
        if entry is None:
            found = parse()
            entry = found.entry()
            if entry is None:
                return found
            entry = self._store(entry, state)
        return kind.of_entry(entry)

    def _load(self, state: _SourceState) -> Entry | None:
        place = self._place(state)
        entry, _ = _read(place)
        if entry is not None or self._folder:
            return entry
        for other in self._others(place):
            entry, head = _read(other)
            if entry is None or head["size"] != state.size or sha256_of(self._source) != head["sha256"]:
                continue
            with suppress(OSError):
                os.link(other, place)
            return entry
        return None

    def _store(self, entry: Entry, state: _SourceState) -> Entry:
        """Write the entry and return it as the file has it; as it was given where nothing can be written."""
        place = self._place(state)
        partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
        try:
            digest = "" if self._folder else sha256_of(self._source)
            if self._state() != state:  # written while it was parsed
                return entry
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write(partial, entry, {"size": state.size, "sha256": digest})
                os.replace(partial, place)
            finally:
                partial.unlink(missing_ok=True)
            self._tidy(place)
        except OSError as error:
            _log.warning(
                "parsed annotations cannot be kept in %s (%s): every start parses %s, and every data worker has its "
                "own copy; %s names another folder",
                place.parent,
                error.strerror or error,
                self._source,
                CACHE_VARIABLE,
            )
            return entry
        return _read(place)[0] or entry

    def _state(self) -> _SourceState | None:
        """None where one of the files is missing, or no regular file."""
        size, digest, source = 0, hashlib.sha256(), str(self._source)
        for path in self._files:
            try:
                found = os.stat(path)
            except (OSError, ValueError):  # also a name that no file can have
                return None
            if not stat.S_ISREG(found.st_mode):
                return None
            size += found.st_size
            facts = [str(path).removeprefix(source), found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
            digest.update(json.dumps(facts).encode())
        return _SourceState(size, digest.hexdigest()[:16])

    @cached_property
    def _key(self) -> str:
        text = json.dumps([VERSION, str(self._source.resolve()), self._asked])
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def _place(self, state: _SourceState) -> Path:
        return cache_folder() / "annotations" / f"{self._key}-{state.digest}"

    def _others(self, place: Path) -> list[Path]:
        return sorted(path for path in place.parent.glob(f"{self._key}-*") if path != place)

    def _tidy(self, place: Path) -> None:
        """Remove entries of earlier states, and what killed writers left."""
        for path in [*self._others(place), *place.parent.glob(f".{self._key}-*.partial")]:
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                    path.unlink()


def packed_texts(texts: Sequence[str]) -> np.ndarray:
    """Many texts, uint8 [n]."""
    return np.frombuffer(json.dumps(texts).encode(), np.uint8)


def unpacked_texts(packed: np.ndarray) -> list[str]:
    """The texts of `packed_texts`."""
    texts: list[str] = json.loads(packed.tobytes())
    return texts


def _write(path: Path, entry: Entry, head: dict[str, Any]) -> None:
    arrays = {name: np.ascontiguousarray(array) for name, array in entry.arrays.items()}
    described, offset = {}, 0
    for name, array in arrays.items():
        shape = list(array.shape)
        described[name] = {"dtype": array.dtype.str, "shape": shape, "offset": offset, "crc32": _crc(array)}
        offset += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    text = json.dumps({**head, "facts": entry.facts, "arrays": described, "bytes": offset}).encode()
    if len(text) > _HEAD_LIMIT:
        raise OSError("there are too many classes")
    with path.open("wb") as file:
        file.write(_MAGIC + b"%08x %08x\n" % (len(text), zlib.crc32(text)) + text)
        file.write(bytes(-file.tell() % _ALIGNMENT))
        for array in arrays.values():
            file.write(_bytes(array))
            file.write(bytes(-file.tell() % _ALIGNMENT))


def _read(path: Path) -> tuple[Entry | None, dict[str, Any]]:
    """The entry of a file and its head; None for one that is not there, or not whole."""
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                return None, {}
            length, checksum = (int(part, 16) for part in file.read(18).split())
            text = file.read(min(length, _HEAD_LIMIT))
            start = -(-file.tell() // _ALIGNMENT) * _ALIGNMENT
            size = os.fstat(file.fileno()).st_size
        if zlib.crc32(text) != checksum:
            return None, {}
        head = json.loads(text)
        if size != start + head["bytes"]:
            return None, {}
        arrays = {name: _mapped(path, start, described) for name, described in head["arrays"].items()}
        if any(_crc(array) != head["arrays"][name]["crc32"] for name, array in arrays.items()):
            return None, {}
    except (OSError, ValueError, KeyError, TypeError):
        return None, {}
    return Entry(head["facts"], arrays), head


def _mapped(path: Path, start: int, described: Mapping[str, Any]) -> np.ndarray:
    dtype, shape = np.dtype(described["dtype"]), tuple(described["shape"])
    if 0 in shape:
        return np.zeros(shape, dtype)  # nothing can be mapped
    return np.memmap(path, dtype, "r", start + described["offset"], shape)


def _crc(array: np.ndarray) -> int:
    return zlib.crc32(_bytes(array))


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
