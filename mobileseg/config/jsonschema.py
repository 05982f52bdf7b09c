"""JSON schema of configuration files, for editors that complete and check YAML.

Made from the structure (:mod:`mobileseg.config.schema`) and the constructors of all registered components:

    python -m mobileseg.config.jsonschema > configs/schema.json
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import PydanticUserError, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError

from mobileseg.config.paddleseg_names import PADDLESEG
from mobileseg.config.schema import Schema
from mobileseg.config.signatures import BUILDER_KEYS, PLAN, REGISTRIES, argument_names, hints, signature
from mobileseg.config.structure import DATASET_SECTIONS
from mobileseg.registry import Registry

_PATH_OR_URL = {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "weights: a path or an address"}
_PLAN = {
    "type": ["object", "null"],
    "description": "channel plan of a pruned network: parameter -> shape",
    "additionalProperties": {"type": "array", "items": {"type": "integer", "minimum": 1}},
}
# Keys whose values are components themselves.
_NESTED: dict[str, dict[str, Any]] = {
    "backbone": {"$ref": "#/$defs/backbone"},
    "transforms": {"type": "array", "items": {"$ref": "#/$defs/transform"}},
    "losses": {"type": "array", "items": {"$ref": "#/$defs/loss"}},
}
_COMPONENTS = {"model": "network"} | dict.fromkeys(DATASET_SECTIONS, "dataset")


def json_schema() -> dict[str, Any]:
    """The schema as plain values; the same code gives the same bytes."""
    schema = Schema.model_json_schema()
    definitions: dict[str, Any] = {name: _file_form(section) for name, section in schema.pop("$defs").items()}
    for kind, registry in REGISTRIES.items():
        definitions[kind] = _any_of(kind, registry)
    definitions["Loss"]["properties"]["types"]["items"] = {"$ref": "#/$defs/loss"}
    properties = schema["properties"]
    for key, kind in _COMPONENTS.items():
        about = properties[key]["description"]
        properties[key] = {"anyOf": [{"$ref": f"#/$defs/{kind}"}, {"type": "null"}], "description": about}
    properties["_base_"] = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": "files below this one, relative to it; of several the first wins",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mobileseg configuration",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": dict(sorted(definitions.items())),
    }


def text() -> str:
    """The schema as it stands in the file."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def _file_form(section: dict[str, Any]) -> dict[str, Any]:
    """A section of a file: its base may give what is required, so nothing is required here."""
    section = {key: value for key, value in section.items() if key != "required"}
    section["properties"] = {**section["properties"], "_inherited_": {"type": "boolean"}}
    return section


def _any_of(kind: str, registry: Registry) -> dict[str, Any]:
    """One alternative per component; a section without ``type`` completes the one of a base."""
    choices = []
    for name in registry:
        component = registry.get(name)
        if component.__module__.startswith("mobileseg."):  # not a plugin that this process happened to load
            choices.append(_component(kind, name, component))
    inherited: dict[str, Any] = {"type": "object", "not": {"required": ["type"]}}
    if kind in ("network", "backbone"):
        pattern = {"type": "string", "pattern": f"^{PADDLESEG.replace('.', '[.]')}"}
        choices.append({"type": "object", "required": ["type"], "properties": {"type": pattern}})
    return {"anyOf": [*choices, inherited]}


def _component(kind: str, name: str, component: Callable[..., Any]) -> dict[str, Any]:
    about = (inspect.getdoc(component) or "").split("\n\n")[0].replace("\n", " ")
    properties: dict[str, Any] = {"type": {"const": name}, "_inherited_": {"type": "boolean"}}
    parameters, known = signature(component), argument_names(kind, name)
    for key, parameter in parameters.items():
        if known is None or key in known:
            properties[key] = _NESTED.get(key) or _argument(hints(component).get(key), parameter)
    for key in BUILDER_KEYS.get(kind, ()):
        properties[key] = _PLAN if key == PLAN else _PATH_OR_URL
    closed = {} if known is None else {"additionalProperties": False}
    return {
        "title": name,
        "description": about,
        "type": "object",
        "required": ["type"],
        "properties": properties,
    } | closed


def _argument(hint: Any, parameter: inspect.Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    try:
        if hint is not None:
            schema = TypeAdapter(hint).json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError):
        schema = {}  # no simple type: anything goes here, the constructor decides
    if _is_plain(parameter.default):
        schema["default"] = parameter.default
    return schema


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    if isinstance(value, Mapping):
        return False
    return value is None or isinstance(value, bool | int | float | str)


if __name__ == "__main__":
    sys.stdout.write(text())
