"""Instances in COCO's results format: category, box as x, y, width, height, score, run-length encoded mask."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

from mobileseg.files import GrowingText
from mobileseg.instance.metric import coco_entries
from mobileseg.structures import InstanceResult


class ImageIds:
    """Ids of images by name: COCO's images bear their number, ``000000397133.jpg``, others stand for themselves.

    A number that another image bears already, in another folder, is no id any more: the name with its folders is.
    """

    def __init__(self) -> None:
        self._owners: dict[int, str] = {}

    def of(self, name: str) -> int | str:
        """The id of an image; always the same one for the same name.

        Args:
            name: path without suffix, which no other image has.
        """
        stem = PurePath(name).name
        if not (stem.isascii() and stem.isdecimal()):
            return name
        owner = self._owners.setdefault(int(stem), name)
        return int(stem) if owner == name else name


def coco_results(
    result: InstanceResult, image_id: int | str, classes: Sequence[str], category_ids: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """An entry per instance, best first: numbers for reading, rounded; evaluation uses those that are not.

    Args:
        result: the instances; those of a stream have ``track_id`` in their entries.
        image_id: of the image.
        classes: class names; ``category`` names them, which COCO's own format leaves out and its tools ignore.
        category_ids: number of every class; None counts from 1.
    """
    ids = category_ids or range(1, len(classes) + 1)
    return [
        {
            **entry,
            "category": classes[kind],
            "bbox": [round(value, 2) for value in entry["bbox"]],
            "score": round(entry["score"], 6),
        }
        for entry, kind in zip(coco_entries(result, image_id, ids), result.classes.tolist(), strict=True)
    ]


class CocoResultsFile:
    """A results file that grows image by image and appears under its name when it is complete.

    A context manager; left by an error or Ctrl-C it writes nothing.

    Args:
        path: file to write; its folder is made.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file = GrowingText(path)
        self._first = True

    def add(self, facts: Mapping[str, Any]) -> None:
        """Append the entries of an image, ``results`` of its facts: those of :func:`coco_results`."""
        for entry in facts["results"]:
            self._file.write(("" if self._first else ",\n") + json.dumps(entry))
            self._first = False

    def __enter__(self) -> CocoResultsFile:
        self._file.write("[")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.write("]\n")
        self._file.close(complete=kind is None)
