"""All transforms, registered by importing this module; and the builder of a pipeline.

Argument names are PaddleSeg's. Sizes given as a pair are **(width, height)**, as in PaddleSeg's configs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mobileseg.data import (
    transforms_affine,
    transforms_color,
    transforms_crop,
    transforms_instance,
    transforms_photometric,
    transforms_resize,
    transforms_square,
)
from mobileseg.data.sample import Transform
from mobileseg.errors import ConfigError
from mobileseg.registry import TRANSFORMS

__all__ = [
    "build_transforms",
    "transforms_affine",
    "transforms_color",
    "transforms_crop",
    "transforms_instance",
    "transforms_photometric",
    "transforms_resize",
    "transforms_square",
]


def build_transforms(sections: Sequence[Mapping[str, Any] | Transform] | None) -> list[Transform]:
    """Build the steps of a pipeline from the ``transforms:`` list of a configuration.

    Raises:
        ConfigError: a step has no ``type``, an unknown one, or arguments it does not take.
    """
    steps: list[Transform] = []
    for position, section in enumerate(sections or ()):
        if not isinstance(section, Mapping):
            steps.append(section)
            continue
        arguments = dict(section)
        name = arguments.pop("type", None)
        if not isinstance(name, str):
            raise ConfigError(
                f"transform number {position + 1} has no type: {dict(section)}", remedy="write '- type: Normalize'"
            )
        component = TRANSFORMS.get(name)
        try:
            steps.append(component(**arguments))
        except TypeError as error:
            raise ConfigError(f"transform {name}: {error}", remedy=f"see the table of transforms for {name}") from error
    return steps
