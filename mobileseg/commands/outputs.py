"""Where results may be written: never over what they are made from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mobileseg.errors import ConfigError


def keep_apart(output: Path, inputs: Iterable[Path]) -> None:
    """Make sure that an output is none of the inputs, lies in none and holds none.

    Args:
        output: file or folder to write; it need not exist.
        inputs: files and folders that are read. Give the files where the output may lie in their folder.

    Raises:
        ConfigError: it is, or does.
    """
    place = output.resolve()
    for path in inputs:
        source = path.resolve()
        if place == source:
            where = f"is the input {path}"
        elif place.is_relative_to(source):
            where = f"lies in the input {path}"
        elif source.is_relative_to(place):
            where = f"holds the input {path}"
        else:
            continue
        raise ConfigError(f"the output {output} {where}", remedy="name a place of its own for the output")
