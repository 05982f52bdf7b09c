"""Arguments that were written for another ``type``.

When a file or an override changes the ``type`` of a component, ``pretrained`` is dropped at once
(:func:`mobileseg.config.tree.merge`). Of the other arguments those stay that the new type also has:
PaddleSeg's files rely on it, for instance where ResNet101_vd takes over the ``output_stride`` of ResNet50_vd.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mobileseg.config.schema_optimizers import OPTIMIZERS
from mobileseg.config.schema_schedules import SCHEDULES
from mobileseg.config.signatures import argument_names
from mobileseg.config.structure import components
from mobileseg.config.tree import Key, KeyPath

_CLOSED = {"optimizer": OPTIMIZERS, "lr_scheduler": SCHEDULES}


def drop_carried(data: dict[Key, Any] | dict[str, Any], carried: Iterable[KeyPath]) -> None:
    """Remove the carried arguments that the component's present type does not have.

    Args:
        data: the configuration, changed in place.
        carried: key paths of the arguments.
    """
    for path in carried:
        owner = _mapping_at(data, path[:-1])
        if owner is None or path[-1] not in owner:
            continue
        names = _names(data, path[:-1], owner.get("type"))
        if names is not None and path[-1] not in names:
            del owner[path[-1]]


def _names(data: dict[Any, Any], path: KeyPath, name: Any) -> frozenset[str] | None:
    """Arguments of the type ``name`` at ``path``; None when they cannot be known or any name is taken."""
    if not isinstance(name, str):
        return None
    if len(path) == 1 and path[0] in _CLOSED:
        section = _CLOSED[str(path[0])].get(name)
        return None if section is None else frozenset(section.model_fields)
    for where, kind, _ in components(data):
        if where == path:
            return argument_names(kind, name)
    return None


def _mapping_at(data: Any, path: KeyPath) -> dict[Any, Any] | None:
    for key in path:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data if isinstance(data, dict) else None
