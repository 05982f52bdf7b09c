"""Folders that appear whole or not at all, and scratch folders of which no death leaves anything for long.

A folder is written under another name beside its place (so that renaming works) and renamed. While that goes on its
place is locked, which also tells what killed processes left there: the next one that writes this folder removes it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mobileseg.errors import MobileSegError
from mobileseg.locks import locked, take

_SCRATCH = "mobileseg-"
_LOCK = ".lock"


@contextmanager
def held(folder: Path, error: type[MobileSegError]) -> Iterator[None]:
    """Inside, no other process of the suite writes into this folder, which is made; an empty one goes away again.

    Args:
        folder: files are written into it one by one.
        error: raised when another process has it.

    Raises:
        MobileSegError: of the type ``error``.
        OSError: nothing can be written there.
    """
    busy = error(
        f"another process writes its results into {folder}", remedy="wait until it has ended, or name another folder"
    )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder / _LOCK, busy):
            yield
    finally:
        with suppress(OSError):  # it holds results
            folder.rmdir()


@contextmanager
def staged(folder: Path, error: type[MobileSegError], *, waiting: Callable[[], None] | None = None) -> Iterator[Path]:
    """A new folder to fill, to be given to :func:`put_in_place`; it goes away at the end of the block.

    Args:
        folder: the place it is for. Parents are made. What a killed process left there is tidied up first.
        error: raised when another process is writing the same folder.
        waiting: wait for that process instead, after this was called.

    Raises:
        MobileSegError: of the type ``error``.
        OSError: nothing can be written there.
    """
    folder = _real(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    busy = error(
        f"{folder} is being written by another process", remedy="wait until it has ended, or name another folder"
    )
    with locked(folder.with_name(f".{folder.name}.lock"), busy, waiting=waiting) as alone:
        if alone:
            recover(folder)
        stage = folder.with_name(f".{folder.name}.new-{os.getpid()}")
        stage.mkdir()
        try:
            yield stage
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def put_in_place(stage: Path, folder: Path, *, durable: bool = False) -> None:
    """Rename; an older folder steps aside first and is deleted only afterwards.

    Args:
        stage: a complete folder on the same file system.
        folder: where it goes; a symbolic link stays and what it points to is replaced.
        durable: flush the entries to the disk, so that a power cut leaves the old folder or the new one.
    """
    folder = _real(folder)
    aside = aside_of(folder)
    if durable:
        flush(stage)
    if folder.exists():
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(folder, aside)
    try:
        os.replace(stage, folder)
    except OSError:
        if aside.exists():
            os.replace(aside, folder)
        raise
    if durable:
        flush(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def recover(folder: Path) -> None:
    """Tidy up after a process that was killed while it wrote this folder, whose lock the caller holds.

    A folder that had stepped aside and was not replaced comes back; everything else is removed.
    """
    aside = aside_of(folder)
    if aside.is_dir() and not folder.exists():
        os.replace(aside, folder)
    shutil.rmtree(aside, ignore_errors=True)
    stage = re.compile(rf"\.{re.escape(folder.name)}\.new-\d+")
    for path in folder.parent.iterdir():
        if stage.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def aside_of(folder: Path) -> Path:
    """Where a folder is while it is being replaced."""
    return folder.with_name(f".{folder.name}.old")


def flush(path: Path) -> None:
    """Write a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder for intermediate files, removed at the end of the block.

    Those of killed processes are removed by the next call, in this process or another.
    """
    place = Path(tempfile.gettempdir())
    folder = place / f"{_SCRATCH}{secrets.token_hex(6)}"
    lock = folder.with_name(f"{folder.name}.lock")
    with locked(lock, MobileSegError(f"{folder} is in use")) as alone:
        if alone:
            _remove_abandoned(place)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(place: Path) -> None:
    for path in place.glob(f"{_SCRATCH}*.lock"):
        try:
            if path.stat(follow_symlinks=False).st_uid != os.getuid():  # the folder is shared with other users
                continue
            handle = take(path)
        except OSError:
            continue
        if handle is not None:
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            handle.release()


def _real(folder: Path) -> Path:
    """With a name of its own, whatever the caller wrote: '.', '..', or a symbolic link."""
    return folder.resolve()
