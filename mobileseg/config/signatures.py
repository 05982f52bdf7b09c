"""Constructor signatures: the one place where a component's arguments are written down."""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from mobileseg.config.paddleseg_names import PADDLESEG
from mobileseg.config.structure import TRANSFORM_LISTS, Origins, nearest
from mobileseg.config.tree import KeyPath
from mobileseg.errors import ConfigError, MobileSegError, Problem
from mobileseg.registry import BACKBONES, DATASETS, LOSSES, NETWORKS, TRANSFORMS, Registry

REGISTRIES: dict[str, Registry] = {
    "network": NETWORKS,
    "backbone": BACKBONES,
    "loss": LOSSES,
    "dataset": DATASETS,
    "transform": TRANSFORMS,
}
PRETRAINED, PLAN = "pretrained", "plan"
BUILDER_KEYS = {"network": (PRETRAINED, PLAN), "backbone": (PRETRAINED,)}
"""Keys of a section that the builder handles itself, no arguments of the constructor."""
MAX_SIDE = 32768
MAX_NUMBER = 1e38
_PIXELS = re.compile("target_size|crop_size|size|long_size|short_size|size_divisor|min_long|min_value|max_value")
_NESTED = {"network": ("backbone",), "dataset": TRANSFORM_LISTS, "loss": ("losses",)}


def argument_names(kind: str, name: str) -> frozenset[str] | None:
    """Keys that a section of this type may have besides ``type``; None when any may, or the type is not known here."""
    if name.startswith(PADDLESEG):
        return _paddleseg_names(kind, name)
    if name not in REGISTRIES[kind]:
        return None
    parameters = signature(REGISTRIES[kind].get(name))
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    return frozenset(_named(parameters)) | set(BUILDER_KEYS.get(kind, ()))


def signature(component: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Parameters of a constructor or builder function, without ``self``."""
    return inspect.signature(component).parameters


def check_component(path: KeyPath, kind: str, section: Mapping[str, Any], origins: Origins) -> list[Problem]:
    """Check the name and the arguments of one component against its constructor.

    Arguments whose annotation is simple (numbers, text, sequences and mappings of them, choices) are checked for
    their type; nested components are checked on their own.
    """
    name = section["type"]
    if name.startswith(PADDLESEG):
        return _paddleseg_problems(path, kind, section, origins)
    registry = REGISTRIES[kind]
    if name not in registry:
        return [origins.problem((*path, "type"), f"there is no {kind} named '{name}'", nearest(name, registry))]
    component = registry.get(name)
    parameters = signature(component)
    known = argument_names(kind, name)
    annotations = hints(component)
    problems: list[Problem] = []
    for key, value in section.items():
        if key == "type":
            continue
        if key in BUILDER_KEYS.get(kind, ()):
            expected = _builder_error(key, value)
            if expected:
                problems.append(origins.problem((*path, key), f"{expected}, got {str(value)[:60]!r}"))
        elif known is not None and key not in known:
            problems.append(origins.problem((*path, key), f"{name} has no argument '{key}'", nearest(key, known)))
        elif key in annotations and key not in _NESTED.get(kind, ()):
            reason = _type_error(annotations[key], value) or _size_error(kind, key, value)
            if reason:
                problems.append(origins.problem((*path, key), f"{reason}, got {value!r}"))
    for key, parameter in _named(parameters).items():
        if parameter.default is inspect.Parameter.empty and key not in section:
            fix = "set it, or num_classes of the dataset" if key == "num_classes" else f"add {key}: ..."
            problems.append(origins.problem(path, f"{name} needs the argument '{key}'", fix))
    return problems


def _paddleseg_names(kind: str, name: str) -> frozenset[str] | None:
    from mobileseg.semantic import paddleseg_package

    if kind not in paddleseg_package.KINDS:
        return None
    try:
        names = paddleseg_package.argument_names(kind, name.removeprefix(PADDLESEG))
    except MobileSegError:
        return None  # reported where the component is checked
    return None if names is None else names | set(BUILDER_KEYS.get(kind, ()))


def _paddleseg_problems(path: KeyPath, kind: str, section: Mapping[str, Any], origins: Origins) -> list[Problem]:
    """Name and arguments of a component of the package; DependencyError when the package is not there."""
    from mobileseg.semantic import paddleseg_package

    name = section["type"].removeprefix(PADDLESEG)
    if kind not in paddleseg_package.KINDS:
        fix = f"write {name}" if name in REGISTRIES[kind] else nearest(name, REGISTRIES[kind])
        seen = f"a {kind} is not taken from the paddleseg package; the suite has its own"
        return [origins.problem((*path, "type"), seen, fix)]
    own = BUILDER_KEYS.get(kind, ())
    arguments = {key: value for key, value in section.items() if key not in own}
    try:
        wrong = paddleseg_package.unknown_arguments(kind, name, arguments)
    except ConfigError as error:
        return [origins.problem((*path, "type"), error.message, error.remedy or "")]
    return [origins.problem((*path, key), seen, fix) for key, (seen, fix) in wrong.items()]


def _named(parameters: Mapping[str, inspect.Parameter]) -> dict[str, inspect.Parameter]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {key: parameter for key, parameter in parameters.items() if parameter.kind in kinds}


@cache
def hints(component: Callable[..., Any]) -> dict[str, Any]:
    """Resolved annotations of a constructor or builder function; empty when they cannot be resolved."""
    target = component.__init__ if inspect.isclass(component) else component
    try:
        return typing.get_type_hints(target)
    except (NameError, TypeError, AttributeError):
        return {}  # an annotation that only a type checker can resolve


def _builder_error(key: str, value: Any) -> str:
    """What a value of the builder's own keys should be, or ''."""
    if key == PRETRAINED:
        return "" if value is None or isinstance(value, str) else "should be a path or an address"
    lists = value.values() if isinstance(value, Mapping) else [] if value is None else [None]
    lengths = [length for shape in lists for length in (shape if isinstance(shape, list) else [None])]
    right = all(isinstance(length, int) and length > 0 for length in lengths)
    return "" if right else "should be a mapping of parameter names to shapes"


def _size_error(kind: str, key: str, value: Any) -> str:
    """Why a number cannot be meant: images of more pixels than memory has, or beyond float32; '' when it can."""
    numbers = [part for part in (value if isinstance(value, list) else [value]) if type(part) in (int, float)]
    if any(abs(number) > MAX_NUMBER for number in numbers):
        return f"should be at most {MAX_NUMBER:g}, beyond which float32 has no numbers"
    if kind == "transform" and _PIXELS.fullmatch(key) and any(number > MAX_SIDE for number in numbers):
        return f"should be at most {MAX_SIDE} pixels"
    return ""


def _type_error(hint: Any, value: Any) -> str:
    """Why a value does not fit an annotation; '' when it does or the annotation is not a simple one."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
        adapter.validate_json(json.dumps(value), strict=True)
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError):
        return ""
    except ValidationError as error:
        reasons = dict.fromkeys(details["msg"].replace("Input should be ", "") for details in error.errors())
        return "should be " + " or ".join(reasons)
    return ""
