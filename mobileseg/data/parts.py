"""Datasets that are made of parts, each drawn as often as its ratio says."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np

from mobileseg.data.base import ImageDataset
from mobileseg.data.nested import nested_dataset
from mobileseg.errors import ConfigError
from mobileseg.limits import shown

_EXAMPLE = "write parts: [{ratio: 1, dataset: {...}}, {ratio: 2, dataset: {...}}]"


class Parts:
    """Datasets whose images are numbered through, in the order of the parts.

    Attributes:
        datasets: the parts.
        shares: float64 [parts], how often each is drawn from, with the sum 1; None: every image once per epoch.

    Args:
        datasets: the parts.
        ratios: numbers above 0, one per part; None: every image once per epoch.
    """

    def __init__(self, datasets: Sequence[Any], ratios: Sequence[float] | None) -> None:
        self.datasets = list(datasets)
        self.shares = None if ratios is None else np.array(ratios, np.float64) / sum(ratios)
        self.starts = np.cumsum([0, *(len(part) for part in self.datasets)])
        self._used = list(range(len(self.datasets)))

    def drawing_from(self, indices: np.ndarray) -> Parts:
        """The same parts, of which nothing but some images is drawn; a part without any of them is left alone.

        Args:
            indices: int64 [n], at least one.

        Raises:
            DataError: a part has some of them, and none can be drawn.
        """
        found = copy.copy(self)
        found.datasets = list(self.datasets)
        owns = [indices[(indices >= low) & (indices < high)] - low for low, high in pairwise(self.starts)]
        found._used = [number for number in self._used if len(owns[number])]
        for number in found._used:
            found.datasets[number] = self.datasets[number].drawing_from(owns[number])
        if self.shares is not None:
            left = np.isin(np.arange(len(self.datasets)), found._used) * self.shares
            found.shares = left / left.sum()
        return found

    def find(self, index: int) -> tuple[int, int]:
        """Number of the part that an image belongs to, and the image's index there."""
        number = int(np.searchsorted(self.starts, index, "right")) - 1
        return number, index - int(self.starts[number])

    def place(self, index: int) -> tuple[Any, int]:
        """The part that an image belongs to, and the image's index there."""
        number, own = self.find(index)
        return self.datasets[number], own

    def drawn(self, index: int, rng: np.random.Generator) -> int:
        """The image that stands for number ``index`` of an epoch: one of a part drawn by the ratios, if there are."""
        if self.shares is None:
            number, own = self.find(index)
            if number not in self._used:
                number = self._used[index % len(self._used)]
                own = index % len(self.datasets[number])
        else:
            number = int(rng.choice(len(self.datasets), p=self.shares))
            own = int(rng.integers(len(self.datasets[number])))
        return int(self.starts[number]) + int(self.datasets[number].drawn(own, rng))

    def each(self, ask: Callable[[Any, int], Any]) -> list[Any]:
        """``ask(part, index there)`` for every image."""
        return [ask(part, index) for part in self.datasets for index in range(len(part))]


class JoinedDataset(ImageDataset):
    """What datasets made of parts have in common; stands before the kind of dataset among the bases.

    Attributes:
        parts: the datasets.
    """

    _joined: Parts
    parts: list[Any]

    def drawing_from(self, indices: np.ndarray) -> ImageDataset:
        """This dataset with parts that draw nothing but these images, in the same ratios."""
        found = cast("JoinedDataset", super().drawing_from(indices))
        found._joined = self._joined.drawing_from(indices)
        found.parts = found._joined.datasets
        return found

    def drawn(self, index: int, rng: np.random.Generator) -> int:
        """The image that stands for number ``index`` of an epoch; for evaluation that one."""
        return index if self.evaluates else self._joined.drawn(index, rng)


def read_parts(owner: str, sections: Any, check: Callable[[str, Any], None]) -> Parts:
    """The datasets and ratios of a list of parts.

    Args:
        owner: type of the dataset that is made of them, for messages.
        sections: at least two mappings with ``dataset`` and, all of them or none, ``ratio``, a number above 0.
        check: called with (place for messages, dataset) of every part; raises ConfigError for one that cannot be used.

    Raises:
        ConfigError: no such list, or a part that cannot be used.
        DataError: see the datasets.
    """
    if not isinstance(sections, Sequence) or isinstance(sections, str) or len(sections) < 2:
        raise ConfigError(f"{owner}: parts is {shown(sections)}; expected a list of at least two", remedy=_EXAMPLE)
    ratios, datasets = [], []
    for number, section in enumerate(sections):
        where = f"parts.{number}"
        keys = set(section) if isinstance(section, Mapping) else set()
        if keys not in ({"ratio", "dataset"}, {"dataset"}) or not _positive(section.get("ratio", 1)):
            raise ConfigError(
                f"{owner}: {where} is {shown(section)}; expected ratio, a number above 0, and dataset", remedy=_EXAMPLE
            )
        dataset = nested_dataset(f"{where}.dataset", section["dataset"])
        check(where, dataset)
        datasets.append(dataset)
        ratios += [float(section["ratio"])] if "ratio" in keys else []
    if ratios and len(ratios) < len(datasets):
        raise ConfigError(
            f"{owner}: {len(ratios)} of {len(datasets)} parts have a ratio",
            remedy="give every part a ratio, or none to use every image once per epoch",
        )
    return Parts(datasets, ratios or None)


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
