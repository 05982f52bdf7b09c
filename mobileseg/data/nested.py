"""Datasets that are made of other datasets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mobileseg.errors import ConfigError
from mobileseg.limits import shown
from mobileseg.registry import DATASETS


def nested_dataset(name: str, section: Any) -> Any:
    """The dataset of a section inside of another dataset's section, whose transforms are those of the outer one.

    Args:
        name: of the section, for messages.
        section: ``type`` and arguments.

    Raises:
        ConfigError: no section of a dataset, or it has transforms.
        DataError: see the dataset.
    """
    if not isinstance(section, Mapping) or not isinstance(section.get("type"), str):
        raise ConfigError(
            f"{name} is {shown(section)}; expected a dataset", remedy=f"write {name}: {{type: CocoInstances}}"
        )
    arguments = dict(section)
    component = DATASETS.get(arguments.pop("type"))
    if arguments.get("transforms"):
        raise ConfigError(f"{name} has transforms of its own", remedy="write the transforms beside it, for whole clips")
    try:
        return component(**arguments)
    except TypeError as error:
        raise ConfigError(f"{name}: {error}", remedy="see the arguments of its type") from error
