"""All transforms, registered by importing this module; and the builder of a pipeline.

Argument names are PaddleSeg's. Sizes given as a pair are **(width, height)**, as in PaddleSeg's configs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mobileseg.data.sample import Transform
from mobileseg.data.transforms import affine, color, crop, mosaic, objects, paste, photometric, resize, square
from mobileseg.data.transforms.ranges import check_chain
from mobileseg.errors import ConfigError
from mobileseg.limits import number_faults
from mobileseg.registry import TRANSFORMS

__all__ = [
    "affine",
    "build_transforms",
    "color",
    "crop",
    "mosaic",
    "objects",
    "paste",
    "photometric",
    "resize",
    "square",
]


def build_transforms(sections: Sequence[Mapping[str, Any] | Transform] | None) -> list[Transform]:
    """Build the steps of a pipeline from the ``transforms:`` list of a configuration.

    Raises:
        ConfigError: no list; a step has no ``type``, an unknown one, or arguments it does not take; or the steps do not
            fit together (:mod:`mobileseg.data.transforms.ranges`).
    """
    if isinstance(sections, Mapping | str) or not isinstance(sections, Sequence | None):
        raise ConfigError(
            f"transforms is a {type(sections).__name__}, expected a list",
            remedy="write one line '- type: NAME' per step",
        )
    steps: list[Transform] = []
    for position, section in enumerate(sections or ()):
        if not isinstance(section, Mapping):
            if not callable(section):
                raise ConfigError(
                    f"transform number {position + 1} is {section!r}, expected a mapping",
                    remedy="write '- type: Normalize'",
                )
            steps.append(section)
            continue
        arguments = dict(section)
        name = arguments.pop("type", None)
        if not isinstance(name, str):
            raise ConfigError(
                f"transform number {position + 1} has no type: {dict(section)}", remedy="write '- type: Normalize'"
            )
        component = TRANSFORMS.get(name)
        for fault in number_faults(arguments):
            raise ConfigError(f"{name}.{'.'.join(map(str, fault.path))} {fault.message}", remedy=fault.remedy)
        try:
            steps.append(component(**arguments))
        except (TypeError, ValueError, OverflowError) as error:
            raise ConfigError(f"transform {name}: {error}", remedy=f"see the table of transforms for {name}") from error
    check_chain(steps)
    return steps
