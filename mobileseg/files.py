"""Files that are there whole or not at all, and their checksums."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file (text as UTF-8), replacing an older one only when the new one is complete.

    Raises:
        OSError: it cannot be written; ``filename`` is the path, and what was there before is intact.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        os.replace(partial, target)
    except BaseException as error:
        with suppress(OSError):  # of a folder that cannot be written; the first error says so
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):  # one of a full disk carries no name, others that of the partial file
            raise OSError(error.errno, error.strerror or str(error), str(target)) from error
        raise


class GrowingText:
    """Text (UTF-8) that is written bit by bit, and appears under its name when it is complete.

    Args:
        path: file; its folder is made with the first bit.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        self._file: IO[str] | None = None

    def write(self, text: str) -> None:
        """Append text."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("w", encoding="utf-8")
        self._file.write(text)

    def close(self, *, complete: bool) -> None:
        """Give the file its name; or, when it is not complete, remove it and leave an older one as it is."""
        self.write("")
        assert self._file is not None
        try:
            self._file.close()
            if complete:
                os.replace(self._partial, self.path)
        finally:
            self._partial.unlink(missing_ok=True)


@contextmanager
def growing_text(path: Path | None) -> Iterator[GrowingText | None]:
    """A :class:`GrowingText`; what was written before an error stays, unless it could not be written itself.

    Args:
        path: file; None for none.
    """
    text = None if path is None else GrowingText(path)
    written = True
    try:
        yield text
    except OSError:
        written = False
        raise
    finally:
        if text is not None:
            text.close(complete=written)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, hexadecimal; read in blocks, so a large file needs no memory."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
