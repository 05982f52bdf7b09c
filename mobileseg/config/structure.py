"""Structural errors of a configuration as problems with key, line and the nearest known key."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from mobileseg.config.schema import Schema
from mobileseg.config.schema_base import Section
from mobileseg.config.schema_optimizers import OPTIMIZERS
from mobileseg.config.schema_schedules import SCHEDULES
from mobileseg.config.tree import Key, KeyPath, Origin, dotted
from mobileseg.errors import Problem

_UNIONS: dict[str, dict[str, type[Section]]] = {"optimizer": OPTIMIZERS, "lr_scheduler": SCHEDULES}


TRANSFORM_LISTS = ("transforms", "common_transforms", "transforms1", "transforms2")
"""Keys of a dataset that hold transforms; the last three are those of PaddleSeg's portrait datasets."""


DATASET_SECTIONS = ("train_dataset", "val_dataset", "stills_dataset")
"""Sections that are datasets."""

MAX_INTEGER = 2**63 - 1


class Origins:
    """The lines of a configuration's values.

    Args:
        table: origin of every key path that something wrote.
    """

    def __init__(self, table: dict[KeyPath, Origin]) -> None:
        self.table = table

    def find(self, path: KeyPath) -> Origin | None:
        """Origin of the value, else of what contains it; None when nothing but the root does."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.table:
                return self.table[path[:length]]
        return None

    def text(self, path: KeyPath) -> str:
        """``file:line`` of :meth:`find`, '' when there is none."""
        origin = self.find(path)
        return "" if origin is None else origin.text

    def move(self, old: KeyPath, new: KeyPath) -> None:
        """What stood at ``old`` now stands at ``new``."""
        origin = self.find(old)
        if origin is not None:
            self.table[new] = origin

    def problem(self, path: KeyPath, message: str, remedy: str = "") -> Problem:
        """A problem with the value at ``path``."""
        return Problem(dotted(path) or "(root)", message, self.text(path), remedy)


def nearest(name: object, known: Iterable[str]) -> str:
    """'did you mean ...?' or the list of what there is."""
    names = sorted(known)
    lowered = {candidate.lower(): candidate for candidate in names}
    hits = difflib.get_close_matches(str(name).lower(), lowered, n=2, cutoff=0.6)
    if hits:
        return f"did you mean {' or '.join(lowered[hit] for hit in hits)}?"
    return f"known: {', '.join(names)}" if names else ""


def validate(data: dict[Key, Any], origins: Origins) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Check the structure and fill in the defaults.

    Returns:
        The complete data, or None when there are problems, and the problems.
    """
    problems = component_problems(data, origins)
    try:
        checked = Schema.model_validate(data)
    except ValidationError as error:
        problems.extend(_problem(details, data, origins) for details in error.errors(include_url=False))
        return None, problems
    return (None, problems) if problems else (checked.model_dump(), [])


def components(data: Mapping[Any, Any]) -> list[tuple[KeyPath, str, Any]]:
    """Every component of a configuration: key path, kind ('network', 'backbone', ...), value."""
    found: list[tuple[KeyPath, str, Any]] = []
    model = data.get("model")
    if model is not None:
        found.append((("model",), "network", model))
        if isinstance(model, dict) and model.get("backbone") is not None:
            found.append((("model", "backbone"), "backbone", model["backbone"]))
    for name in DATASET_SECTIONS:
        section = data.get(name)
        if section is None:
            continue
        found.append(((name,), "dataset", section))
        if not isinstance(section, dict):
            continue
        for key in TRANSFORM_LISTS:
            steps = section.get(key)
            for index, item in enumerate(steps if isinstance(steps, list) else ()):
                found.append(((name, key, index), "transform", item))
    loss = data.get("loss")
    if isinstance(loss, dict) and isinstance(loss.get("types"), list):
        for index, item in enumerate(loss["types"]):
            found.extend(_losses(("loss", "types", index), item))
    return found


def _losses(path: KeyPath, loss: Any) -> list[tuple[KeyPath, str, Any]]:
    found: list[tuple[KeyPath, str, Any]] = [(path, "loss", loss)]
    parts = loss.get("losses") if isinstance(loss, dict) else None
    if isinstance(parts, list):
        for index, part in enumerate(parts):
            found.extend(_losses((*path, "losses", index), part))
    return found


def spokesman(section: Any) -> Any:
    """The section that says task, classes, ignored value and pixels of a dataset: of one made of parts, the first's."""
    while isinstance(section, Mapping) and isinstance(section.get("parts"), list) and section["parts"]:
        part = section["parts"][0]
        section = part.get("dataset") if isinstance(part, Mapping) else None
    return section


def value_problems(value: Any, origins: Origins, path: KeyPath = ()) -> list[Problem]:
    """Numbers and texts, anywhere in a configuration, that no setting can hold."""
    if isinstance(value, dict):
        return [problem for key, child in value.items() for problem in value_problems(child, origins, (*path, key))]
    if isinstance(value, list):
        return [one for index, child in enumerate(value) for one in value_problems(child, origins, (*path, index))]
    reason = _unusable(value)
    return [origins.problem(path, reason)] if reason else []


def _unusable(value: Any) -> str:
    """Why a scalar has no place in a configuration, or ''."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"a number must be finite, got {value}"
    if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
        return f"a whole number has at most 63 bits, got one of {value.bit_length()}"
    if isinstance(value, str) and "\0" in value:
        return "text must not hold the character NUL"
    if isinstance(value, str) and any("\ud800" <= mark <= "\udfff" for mark in value):
        return "text must not hold half of a character (a lone surrogate)"
    return ""


def component_problems(data: Mapping[Any, Any], origins: Origins) -> list[Problem]:
    """Components that are no mapping, have no usable ``type`` or a key that cannot be an argument."""
    problems = _list_problems(data, origins)
    for path, kind, value in components(data):
        if not isinstance(value, dict):
            if len(path) > 1 and path[:2] != ("loss", "types"):  # the schema itself reports the others
                problems.append(origins.problem(path, f"a {kind} is a mapping with a 'type', got {value!r}"))
            continue
        name = value.get("type")
        if name is None:
            problems.append(origins.problem(path, f"this {kind} has no 'type'", "add type: <name>"))
        elif not isinstance(name, str) or not name:
            problems.append(origins.problem((*path, "type"), f"the name of a {kind} is text, got {name!r}"))
        for key in value:
            if not isinstance(key, str):
                problems.append(origins.problem((*path, key), f"an argument's name is text, got {key!r}"))
    return problems


def _list_problems(data: Mapping[Any, Any], origins: Origins) -> list[Problem]:
    """Lists of components that are something else."""
    problems: list[Problem] = []
    for name in DATASET_SECTIONS:
        section = data.get(name)
        if not isinstance(section, dict):
            continue
        for key in TRANSFORM_LISTS:
            value = section.get(key)
            if value is not None and not isinstance(value, list):
                seen = f"must be a list of transforms, got {_shown(value)}"
                problems.append(origins.problem((name, key), seen, "begin each with '- type: NAME'"))
    return problems


def _problem(details: ErrorDetails, data: dict[Key, Any], origins: Origins) -> Problem:
    path = tuple(details["loc"])
    if len(path) > 1 and path[0] in _UNIONS and path[1] in _UNIONS[str(path[0])]:
        tag, path = str(path[1]), (path[0], *path[2:])
        section: type[Any] | None = _UNIONS[str(path[0])][tag]
        inside = path[1:]
    else:
        section, inside = Schema, path
    kind, value = details["type"], details.get("input")
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        owner = _section_at(section, inside[:-1])
        return origins.problem(path, "unknown key", nearest(path[-1], _fields(owner)))
    if kind == "missing":
        return origins.problem(path, "missing; it has no default", f"add {path[-1]}: ...")
    if kind == "union_tag_not_found":
        names = ", ".join(_UNIONS[str(path[0])])
        return origins.problem(path, "has no 'type'", f"add type: one of {names}")
    if kind == "union_tag_invalid":
        name = value.get("type") if isinstance(value, dict) else value
        return origins.problem((*path, "type"), f"there is no '{name}'", nearest(name, _UNIONS[str(path[0])]))
    return origins.problem(path, f"{_expected(details)}, got {_shown(value)}")


def _expected(details: ErrorDetails) -> str:
    text = details["msg"]
    for begin in ("Input should be ", "Value should "):
        if text.startswith(begin):
            return "should be " + text[len(begin) :]
    text = text.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _section_at(section: type[Any] | None, path: KeyPath) -> type[Any] | None:
    """The section class that a path inside ``section`` leads to."""
    for key in path:
        if section is None or isinstance(key, int):
            continue
        info = _fields(section).get(str(key))
        section = None if info is None else _section_in(info.annotation)
    return section


def _section_in(annotation: Any) -> type[Any] | None:
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_pydantic_dataclass(annotation)):
        return annotation
    for argument in get_args(annotation):
        found = _section_in(argument)
        if found is not None:
            return found
    return None


def _fields(section: type[Any] | None) -> dict[str, FieldInfo]:
    found: dict[str, FieldInfo] = {} if section is None else section.__pydantic_fields__
    return found
