"""Names of the classes, and the check that two sides mean the same by a class index."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mobileseg.config.build import build_dataset
from mobileseg.config.load import Config
from mobileseg.data.formats.listfile import find_file, read_class_names
from mobileseg.errors import ConfigError, MobileSegError
from mobileseg.registry import DATASETS

_PLACEHOLDER = re.compile(r"class \d+")
_SHOWN = 3


def class_names(config: Config) -> tuple[str, ...]:
    """Names of the classes where a configuration, a file it names or its data say them, else nothing."""
    for section in (config.train_dataset, config.val_dataset):
        if not section:
            continue
        classes = section.get("classes")
        if isinstance(classes, list):
            return tuple(map(str, classes))
        try:
            if isinstance(classes, str):
                return read_class_names(find_file(classes, Path(str(section.get("dataset_root", "")))))
            return known_names(build_dataset(section).classes)
        except MobileSegError:  # the data need not be on this machine
            component = DATASETS.get(section["type"]) if section["type"] in DATASETS else None
            if getattr(component, "CLASSES", None):
                return tuple(component.CLASSES)  # type: ignore[union-attr]
    return ()


def known_names(classes: Sequence[str]) -> tuple[str, ...]:
    """The names, or nothing where they were made up ('class 0', 'class 1', ...) and so say nothing."""
    names = tuple(map(str, classes))
    return () if all(_PLACEHOLDER.fullmatch(name) for name in names) else names


def class_difference(one: Sequence[str], other: Sequence[str]) -> str | None:
    """What differs between two lists of class names, in one clause; None when they agree or one says nothing."""
    one, other = known_names(one), known_names(other)
    if not one or not other or one == other:
        return None
    if sorted(one) == sorted(other):
        places = [index for index, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]]
        shown = ", ".join(f"{index} is '{one[index]}' and '{other[index]}'" for index in places[:_SHOWN])
        return f"the same classes in another order: {shown}{', ...' if len(places) > _SHOWN else ''}"
    lacking = [name for name in one if name not in other]
    extra = [name for name in other if name not in one]
    parts = [
        f"{len(names)} only {side} ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"
        for side, names in (("on the first side", lacking), ("on the second", extra))
        if names
    ]
    return f"{len(one)} and {len(other)} classes, of which {' and '.join(parts)}"


def require_same_classes(
    one: Sequence[str],
    other: Sequence[str],
    sides: tuple[str, str],
    remedy: str,
    error: type[MobileSegError] = ConfigError,
) -> None:
    """Refuse two sides that mean different things by a class index.

    Args:
        one: names of the first side; made-up ones say nothing.
        other: names of the second side.
        sides: how to call them.
        remedy: smallest one.
        error: to raise.

    Raises:
        MobileSegError: content or order differ.
    """
    difference = class_difference(one, other)
    if difference is not None:
        raise error(f"{sides[0]} and {sides[1]} do not have the same classes: {difference}", remedy=remedy)


def name_table(model: Sequence[str], dataset: Sequence[str]) -> np.ndarray:
    """Where a model's classes are among those of a dataset, by name.

    Returns:
        int64 [number of the model's classes]: index in the dataset, -1 for a class that it does not have.

    Raises:
        ConfigError: the dataset has classes that the model does not know.
    """
    unknown = [name for name in dataset if name not in model]
    if unknown:
        raise ConfigError(
            f"the dataset has classes that the model does not know: {', '.join(unknown[:_SHOWN])}",
            remedy="leave them out of the dataset (classes: [...]), or ignore them with label_map",
        )
    places = {name: index for index, name in enumerate(dataset)}
    return np.array([places.get(name, -1) for name in model], np.int64)
