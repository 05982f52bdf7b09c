"""The files of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, overload


class Item(NamedTuple):
    """One image of a dataset and the file that its label is in (None: the dataset has no label for it)."""

    image: Path
    label: Path | None


class Items(Sequence[Item]):
    """The items of a dataset, kept as texts; paths are made when one is asked for.

    A path is pickled and built anew from its parts: for the 118,287 images of COCO that takes every data worker most of
    a second.

    Args:
        items: image and label files.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        labels: dict[str, str] = {}  # a file that has the annotations of all images is there once
        self._images: list[str] = []
        self._labels: list[str | None] = []
        for image, label in items:
            self._images.append(str(image))
            self._labels.append(None if label is None else labels.setdefault(str(label), str(label)))

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Items: ...

    def __getitem__(self, index: int | slice) -> Item | Items:
        if isinstance(index, slice):
            return self.select(range(len(self))[index])
        label = self._labels[index]
        return Item(Path(self._images[index]), None if label is None else Path(label))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Items):
            return NotImplemented
        return self._images == other._images and self._labels == other._labels

    __hash__ = None  # type: ignore[assignment]

    def select(self, chosen: Sequence[int]) -> Items:
        """Some of the items, in that order."""
        selected = Items(())
        selected._images = [self._images[index] for index in chosen]
        selected._labels = [self._labels[index] for index in chosen]
        return selected
