"""Weights of any accepted format as NumPy arrays by name, without Paddle and without PyTorch."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from mobileseg.errors import WeightsError
from mobileseg.weights.download import fetch, is_url
from mobileseg.weights.package import is_package_file, package_file
from mobileseg.weights.pdparams import read_pdparams
from mobileseg.weights.quantised import refuse_exported
from mobileseg.weights.torch_file import LEGACY_HEAD, read_torch_legacy, read_torch_zip

MAX_TOTAL_BYTES = 4 << 30
"""A file whose arrays would need more memory than this is refused."""

_FORMATS = ".pdparams, .npz, .pth, .pt, or a .tar.gz or .zip with one of them inside"
_MAX_ENTRIES = 1000
_NESTED = "{}: an archive inside an archive is not read"
_SUFFIXES = (".pdparams", ".npz", ".pth", ".pt", ".pth.tar")


def read_weights(path_or_url: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Arrays by parameter name, as the file spells the names.

    The format is told by the content, not by the ending. An http(s) address is downloaded once to a cache;
    ``package:NAME/path`` is a file of an installed package.

    Raises:
        WeightsError: no such file, not a weights file, damaged, refused because it is more than arrays, too large,
            or the download failed.
    """
    if is_url(path_or_url):
        return read_weights(fetch(str(path_or_url)))
    if is_package_file(path_or_url):
        return read_weights(package_file(str(path_or_url)))
    path = Path(path_or_url)
    refuse_exported(path)
    if path.is_dir():
        raise WeightsError(f"{path} is a folder, a weights file is expected", remedy=f"name a file: {_FORMATS}")
    try:
        with path.open("rb") as stream:
            state = _read_stream(stream, str(path))
    except FileNotFoundError:
        raise WeightsError(
            f"there is no weights file {path}", remedy="check the path, or give an http(s) URL"
        ) from None
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    return _checked(state, str(path))


def _read_stream(stream: BinaryIO, what: str, *, archive: bool = True) -> dict[str, np.ndarray]:
    head = stream.read(512)
    stream.seek(0)
    if not head:
        raise WeightsError(f"{what} is empty", remedy="fetch the file again")
    if head[:2] == b"\x1f\x8b" or head[257:262] == b"ustar":
        if not archive:
            raise WeightsError(_NESTED.format(what))
        return _read_tar(stream, what)
    if head[:4] == b"PK\x03\x04":
        return _read_zip(stream, what, archive=archive)
    if head[:1] != b"\x80":
        raise WeightsError(f"{what} is not a weights file", remedy=f"accepted are {_FORMATS}")
    if head.startswith(LEGACY_HEAD):
        return read_torch_legacy(stream, what, MAX_TOTAL_BYTES)
    return read_pdparams(stream, what)


def _read_zip(stream: BinaryIO, what: str, *, archive: bool) -> dict[str, np.ndarray]:
    """NumPy's .npz, PyTorch's .pth or an archive around one weights file: all three are zip files."""
    try:
        with zipfile.ZipFile(stream) as bundle:
            entries = bundle.infolist()
            total = sum(entry.file_size for entry in entries)
            if total > MAX_TOTAL_BYTES:
                raise WeightsError(
                    f"{what} would unpack to {total / 2**30:.1f} GiB; the limit is {MAX_TOTAL_BYTES >> 30} GiB"
                )
            is_numpy = bool(entries) and all(entry.filename.endswith(".npy") for entry in entries)
            if any(entry.filename.lower().endswith(_SUFFIXES) for entry in entries):
                if not archive:
                    raise WeightsError(_NESTED.format(what))
                return _read_zip_member(bundle, what)
        stream.seek(0)
        if not is_numpy:
            return read_torch_zip(stream, what, MAX_TOTAL_BYTES)
        with np.load(stream, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        odd = [name for name, value in found.items() if not isinstance(value, np.ndarray)]
        if odd:
            raise WeightsError(f"{what}: the member '{odd[0]}.npy' is no array", remedy="save arrays with np.savez")
        return found
    except WeightsError:
        raise
    except ValueError as error:
        if "allow_pickle" in str(error) or "Object arrays" in str(error):
            raise WeightsError(
                f"{what} holds Python objects, not only arrays: refused", remedy="save arrays of numbers with np.savez"
            ) from error
        raise WeightsError(f"{what} is damaged: {error}", remedy="fetch the file again") from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        KeyError,
        NotImplementedError,
        MemoryError,
        RuntimeError,
    ) as error:
        raise WeightsError(
            f"{what} is damaged: {error or type(error).__name__}", remedy="fetch the file again"
        ) from error


def _read_tar(stream: BinaryIO, what: str) -> dict[str, np.ndarray]:
    """The one weights file of an archive, read in memory: nothing is unpacked to the disk."""
    found: dict[str, dict[str, np.ndarray]] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r:*") as bundle:
            unpacked = 0
            for number, member in enumerate(bundle):
                unpacked += member.size
                if number >= _MAX_ENTRIES:
                    raise WeightsError(_too_many(what))
                if unpacked > MAX_TOTAL_BYTES:
                    raise WeightsError(f"{what} would unpack to more than {MAX_TOTAL_BYTES >> 30} GiB: refused")
                if not member.name.lower().endswith(_SUFFIXES):
                    continue
                if not member.isreg():
                    raise WeightsError(f"{what}: '{member.name}' is a link or a device, not a file: refused")
                inner = f"{what}:{member.name}"
                found[member.name] = _read_stream(cast(BinaryIO, bundle.extractfile(member)), inner, archive=False)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise WeightsError(f"{what} is not a complete archive: {error}", remedy="fetch the file again") from error
    return found[_only(list(found), what)]


def _read_zip_member(bundle: zipfile.ZipFile, what: str) -> dict[str, np.ndarray]:
    """The one weights file of an archive, read in memory; the sizes were checked by the caller."""
    entries = bundle.infolist()
    if len(entries) > _MAX_ENTRIES:
        raise WeightsError(_too_many(what))
    names = [entry.filename for entry in entries if entry.filename.lower().endswith(_SUFFIXES)]
    name = _only(names, what)
    return _read_stream(io.BytesIO(bundle.read(name)), f"{what}:{name}", archive=False)


def _too_many(what: str) -> str:
    return f"{what} holds more than {_MAX_ENTRIES} entries; a weights archive holds a few"


def _only(names: list[str], what: str) -> str:
    if len(names) != 1:
        raise WeightsError(
            f"{what} must hold exactly one weights file, found: {', '.join(names) or 'none'}",
            remedy="unpack it and name the file",
        )
    return names[0]


def _checked(state: dict[str, np.ndarray], what: str) -> dict[str, np.ndarray]:
    total = sum(array.nbytes for array in state.values())
    if total > MAX_TOTAL_BYTES:
        raise WeightsError(f"{what} needs {total / 2**30:.1f} GiB of memory; the limit is {MAX_TOTAL_BYTES >> 30} GiB")
    for name, array in state.items():
        if array.dtype.kind not in "fiub":
            raise WeightsError(f"{what}: '{name}' is of type {array.dtype}; only numbers and booleans are weights")
    return {name: array.astype(array.dtype.newbyteorder("="), order="C", copy=False) for name, array in state.items()}
