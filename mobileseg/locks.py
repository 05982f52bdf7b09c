"""Locks between processes, which the system releases on any death of their holder.

A lock is a file that its holder keeps open with an advisory lock (flock). The file says who holds it; it is removed
at the end, and one that a killed process left is simply taken over. Two threads of one process exclude each other
like two processes. A file system without such locks (some network shares) is used without, after a warning.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mobileseg.errors import MobileSegError

_log = logging.getLogger(__name__)
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_open_handles: set[int] = set()


@contextmanager
def locked(
    path: str | os.PathLike[str], busy: MobileSegError, *, waiting: Callable[[], None] | None = None
) -> Iterator[bool]:
    """Hold a lock while the block runs.

    Args:
        path: the lock file, in a folder that exists: beside a folder that is replaced as a whole
            (`mobileseg.folders`), inside one that is written in place.
        busy: raised, with the name of the holder, when another process or another part of this one has the lock.
        waiting: wait for the lock instead, after this was called.

    Yields:
        Whether the lock is real: False on a file system that has none.

    Raises:
        OSError: the lock file cannot be made.
    """
    place = Path(path)
    handle = take(place)
    if handle is None:
        if waiting is None:
            raise type(busy)(f"{busy.message} ({_holder(place)})", remedy=busy.remedy)
        waiting()
        handle = take(place, wait=True)
    assert handle is not None
    try:
        yield handle.real
    finally:
        handle.release()


_PARTIAL = re.compile(r"\..+\.(part|partial|partial\.mp4)")  # of files, downloads and videos that are being written


def remove_partial_files(folder: Path, *, below: bool = False) -> None:
    """Remove what writers that were killed left in a folder; call it only while holding the folder's lock.

    Args:
        folder: need not exist.
        below: also in the folders in it.
    """
    for root, folders, files in os.walk(folder):
        if not below:
            folders.clear()
        for name in files:
            if _PARTIAL.fullmatch(name):
                Path(root, name).unlink(missing_ok=True)


class Handle:
    """A lock that is held.

    Attributes:
        real: False on a file system without locks.
    """

    def __init__(self, path: Path, number: int, real: bool) -> None:
        self._path = path
        self._number = number
        self.real = real
        _open_handles.add(number)

    def release(self) -> None:
        """Remove the file and let go, in this order: whoever waits for the removed file looks for a new one."""
        with suppress(OSError):
            self._path.unlink()
        _open_handles.discard(self._number)
        os.close(self._number)


def take(path: Path, *, wait: bool = False) -> Handle | None:
    """The lock of a file, None when somebody else holds it.

    Raises:
        OSError: the file cannot be made.
    """
    while True:
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            real = _lock(number, path, wait)
        except BlockingIOError:
            os.close(number)
            return None
        except BaseException:
            os.close(number)
            raise
        if _is_at(number, path):
            with suppress(OSError):  # of a full disk: who holds it is a courtesy
                os.ftruncate(number, 0)
                os.write(number, _own_name().encode("utf-8", "replace"))
            return Handle(path, number, real)
        os.close(number)  # its holder removed it meanwhile: the next one has a file of its own


def _lock(number: int, path: Path, wait: bool) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        _log.warning("%s: this file system has no locks; do not let two processes write there at once", path.parent)
        return False
    return True


def _is_at(number: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _own_name() -> str:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]]) if sys.argv and sys.argv[0] else "python"
    return f"process {os.getpid()} on {socket.gethostname()} ({command})"


def _holder(path: Path) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(200).strip() or "another process"
    except OSError:
        return "another process"


def _close_inherited() -> None:
    """A forked child would hold its parent's locks beyond the parent's death."""
    while _open_handles:
        with suppress(OSError):
            os.close(_open_handles.pop())


os.register_at_fork(after_in_child=_close_inherited)
