"""List files made of folders: images and labels found by their names, and divided at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobileseg.errors import DataError

_SHOWN = 5


@dataclass(frozen=True)
class Naming:
    """How the files of a folder are told: ``*<postfix>.<suffix>``, at any depth.

    Attributes:
        suffix: of the file name, without the dot.
        postfix: end of the name before the suffix, which image and label do not share.
    """

    suffix: str
    postfix: str = ""

    def files(self, folder: Path) -> dict[str, Path]:
        """Name below the folder, without postfix and suffix -> file; sorted."""
        ending = f"{self.postfix}.{self.suffix}"
        found = sorted(path for path in folder.rglob(f"*{ending}") if path.is_file())
        return {path.relative_to(folder).as_posix()[: -len(ending)]: path for path in found}


def paired(images: Path, labels: Path, namings: tuple[Naming, Naming]) -> list[tuple[Path, Path]]:
    """Every image with the label of its name, sorted by name.

    Args:
        images: folder.
        labels: folder; the folders in it are those of the images.
        namings: of images and of labels.

    Raises:
        DataError: a folder has no such file, or an image or a label has no counterpart.
    """
    found = [naming.files(folder) for naming, folder in zip(namings, (images, labels), strict=True)]
    for what, files, naming, folder in zip(("image", "label"), found, namings, (images, labels), strict=True):
        if not files:
            seen = "has no" if folder.is_dir() else "does not exist, so there is no"
            raise DataError(
                f"the folder {folder} {seen} {what} *{naming.postfix}.{naming.suffix}",
                remedy="name the suffixes of images and labels with --format, their endings with --postfix",
            )
    first, second = found
    for alone, of, other in ((first.keys() - second.keys(), "image", "label"),
                             (second.keys() - first.keys(), "label", "image")):  # fmt: skip
        if alone:
            names = ", ".join(sorted(alone)[:_SHOWN]) + (", ..." if len(alone) > _SHOWN else "")
            raise DataError(
                f"{len(alone)} {of}s have no {other} of their name: {names}",
                remedy=f"add the {other}, take the {of} out, or name what the names differ by with --postfix",
            )
    return [(first[name], second[name]) for name in sorted(first)]


def list_text(rows: Sequence[Sequence[Path]], root: Path, separator: str) -> str:
    """A list file: one row per line, paths relative to ``root``.

    Raises:
        DataError: a path has the separator in it.
    """
    lines = []
    for row in rows:
        names = [path.relative_to(root).as_posix() for path in row]
        broken = [name for name in names if separator in name]
        if broken:
            raise DataError(
                f"the separator {separator!r} is in the file name {broken[0]}",
                remedy="choose another one, for example --separator ','",
            )
        lines.append(separator.join(names))
    return "".join(f"{line}\n" for line in lines)


def divided(count: int, shares: Mapping[str, float], seed: int) -> dict[str, list[int]]:
    """Numbers below ``count`` at random in parts of the given shares, each part ascending.

    Args:
        count: how many there are.
        shares: part -> share; they sum up to 1, and parts of share 0 are left out.
        seed: the same seed, the same parts.

    Raises:
        DataError: a part would be empty.
    """
    order = np.random.default_rng(seed).permutation(count)
    ends = np.rint(np.cumsum(list(shares.values())) * count).astype(int)
    starts = [0, *ends[:-1].tolist()]
    parts = {
        name: sorted(order[start:end].tolist())
        for (name, share), start, end in zip(shares.items(), starts, ends.tolist(), strict=True)
        if share > 0
    }
    empty = [name for name, chosen in parts.items() if not chosen]
    if empty:
        raise DataError(
            f"of {count} images none would be for {empty[0]} (share {shares[empty[0]]:g})",
            remedy="give it a larger share, or 0",
        )
    return parts
