"""Artefact folders that appear complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mobileseg.errors import ExportError


def refuse_existing(folder: Path, overwrite: bool) -> None:
    """Raises ExportError when there is something at the folder that must not be replaced."""
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder} exists and is no folder", remedy="name another --save_dir")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise ExportError(f"{folder} exists and is not empty", remedy="name another --save_dir, or add --overwrite")


@contextmanager
def staging(folder: Path) -> Iterator[tuple[Path, Path]]:
    """A folder beside the target (so that renaming works) and a work folder; both go away at the end."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mobileseg-") as work:
        stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        stage.chmod(0o755)
        try:
            yield stage, Path(work)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def put_in_place(stage: Path, folder: Path) -> None:
    """Rename; an older folder steps aside first and is deleted only afterwards."""
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent)) if folder.exists() else None
    if aside is not None:
        os.replace(folder, aside / folder.name)
    try:
        os.replace(stage, folder)
    except OSError:
        if aside is not None:
            os.replace(aside / folder.name, folder)
        raise
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
