"""Exported models that appear complete or not at all, and what may be replaced by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mobileseg.errors import ExportError, MobileSegError
from mobileseg.folders import put_in_place, scratch_folder, staged
from mobileseg.runtime.deploy_yaml import DEPLOY_FILE
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.manifest_json import JSON_FILE

__all__ = ["keep_failed", "put_in_place", "refuse_existing", "staging"]

_SHOWN = 3


def refuse_existing(folder: Path, overwrite: bool, in_use: Sequence[Path] = ()) -> None:
    """Refuse a place where an exported model would destroy something else.

    Args:
        folder: where it is to appear.
        overwrite: replace an exported model that is there; nothing else is ever replaced.
        in_use: files and folders that are read, such as the weights.

    Raises:
        ExportError: there is something at the folder that must not be replaced.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ExportError(f"{folder} exists and is no folder", remedy="name another --save_dir")
    if Path.cwd().is_relative_to(folder.resolve()):
        raise ExportError(
            f"{folder} is the working directory, or contains it: it cannot be replaced by another folder",
            remedy="name a new folder with --save_dir",
        )
    if not any(folder.iterdir()):
        return
    if not overwrite:
        remedy = "name another --save_dir" + (", or add --overwrite" if _is_replaceable(folder) else "")
        raise ExportError(f"{folder} exists and is not empty", remedy=remedy)
    for path in in_use:
        if path.resolve().is_relative_to(folder.resolve()):
            raise ExportError(f"{folder} contains {path}, which is in use", remedy="name another --save_dir")
    foreign = _foreign(folder)
    if foreign:
        shown = ", ".join(foreign[:_SHOWN]) + (f" and {len(foreign) - _SHOWN} more" if foreign[_SHOWN:] else "")
        raise ExportError(
            f"{folder} is not replaced: it holds what no export wrote there ({shown})",
            remedy="name another --save_dir, or move these away",
        )


@contextmanager
def staging(folder: Path, overwrite: bool) -> Iterator[tuple[Path, Path]]:
    """A folder beside the target (so that renaming works) and a work folder; both go away at the end.

    Raises:
        ExportError: another process is exporting to the same folder, or has put something there meanwhile.
    """
    with scratch_folder() as work, staged(folder, ExportError) as stage:
        refuse_existing(folder, overwrite)
        yield stage, work


def keep_failed(stage: Path, folder: Path) -> Path:
    """Keep a folder that failed its verification as ``<folder>.failed``, for inspection; returns where.

    An earlier one is replaced. Where something else has that name, a number is added.
    """
    folder = folder.resolve()
    kept, number = folder.with_name(f"{folder.name}.failed"), 1
    while kept.exists() and not _is_replaceable(kept):
        number += 1
        kept = folder.with_name(f"{folder.name}.failed{number}")
    put_in_place(stage, kept)
    return kept


def _is_replaceable(folder: Path) -> bool:
    return folder.is_dir() and not _foreign(folder)


def _foreign(folder: Path) -> list[str]:
    """What is in a folder and not in its manifest, by name; everything when it has no manifest that can be read."""
    try:
        known = {DEPLOY_FILE, JSON_FILE, *Manifest.read(folder).files}
    except MobileSegError:
        known = set()
    return sorted(path.name for path in folder.iterdir() if path.name not in known or path.is_dir())
