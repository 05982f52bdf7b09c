"""Files that are there whole or not at all, and their checksums."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path


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


def sha256_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, hexadecimal; read in blocks, so a large file needs no memory."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
