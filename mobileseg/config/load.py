"""Read a configuration: files, bases, overrides, checks, defaults."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr, ValidationError

from mobileseg.config import overrides as override_module
from mobileseg.config.carried import drop_carried
from mobileseg.config.overrides import Overrides
from mobileseg.config.paddleseg import normalise
from mobileseg.config.paddleseg_names import resolve_names
from mobileseg.config.plugins import load_plugins
from mobileseg.config.rules import cross_check, settle_num_classes
from mobileseg.config.schema import Schema
from mobileseg.config.signatures import REGISTRIES, check_component
from mobileseg.config.source import dump, read_tree
from mobileseg.config.structure import Origins, components, validate, value_problems
from mobileseg.config.tree import KeyPath, Node, dotted, flatten
from mobileseg.errors import ConfigError, MobileSegError, Problem

DEFAULT = "default"

RUN_CONFIG = "config.yml"
"""The resolved configuration in a run or zoo folder; there the folder carries the name."""


class Config(Schema):
    """A checked configuration with all defaults filled in; it does not change any more.

    Sections with a fixed structure are attributes with attributes (``config.lr_scheduler.learning_rate``); components
    are dictionaries (``config.model['backbone']['type']``). Two configurations with the same values are equal.
    """

    _path: Path = PrivateAttr()
    _origins: Origins = PrivateAttr()

    @property
    def path(self) -> Path:
        """The file that was loaded."""
        return self._path

    @property
    def name(self) -> str:
        """Name of the file without its ending; of the folder for the config.yml of a run or zoo folder."""
        return self._path.resolve().parent.name if self._path.name == RUN_CONFIG else self._path.stem

    @property
    def data(self) -> dict[str, Any]:
        """All values as plain dictionaries, lists and scalars; a copy."""
        return self.to_dict()

    @property
    def hash(self) -> str:
        """sha256 of the values, the same on every machine: of plugins the file's name counts, not its folder."""
        data = self.to_dict()
        data["plugins"] = [Path(plugin).name for plugin in data["plugins"]]
        return hashlib.sha256(json.dumps(_canonical(data), separators=(",", ":")).encode()).hexdigest()

    @property
    def origins(self) -> Origins:
        """Lines of the values, for messages."""
        return self._origins

    def origin(self, key: str) -> str:
        """``file:line`` (or ``-o key=value``) that set a value, 'default' when nothing did.

        Args:
            key: dotted key, for example ``train_dataset.transforms.0.type``.
        """
        return self._where(_key_path(self.to_dict(), key))

    def to_dict(self) -> dict[str, Any]:
        """All values as plain dictionaries, lists and scalars; a copy."""
        return copy.deepcopy(self.model_dump())

    def to_yaml(self) -> str:
        """The resolved configuration as a file without bases; loading it gives an equal configuration."""
        return dump(self.to_dict())

    def changed(self, sections: Mapping[str, Any]) -> Config:
        """The configuration with other values under some top-level keys; paths and lines stay those of this one.

        Raises:
            ConfigError: a value is not possible there.
        """
        try:
            found = Config.model_validate(self.to_dict() | dict(sections))
        except ValidationError as error:
            raise ConfigError(f"{self._path}: {error}") from error
        found._path, found._origins = self._path, self._origins
        return found

    def require(self, *sections: str) -> None:
        """Make sure that optional sections are there.

        Raises:
            ConfigError: names every one that is not.
        """
        message = "this section is missing"
        missing = [name for name in sections if getattr(self, name) is None]
        if missing:
            raise ConfigError([Problem(name, message, str(self._path), f"add {name}: ...") for name in missing])

    def _where(self, path: KeyPath) -> str:
        origin = self._origins.table.get(path)
        return DEFAULT if origin is None else origin.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.hash)


def load_config(path: str | Path, overrides: Overrides = ()) -> Config:
    """Load a configuration file.

    Paddle is not imported, with two exceptions: a plugin imports it, or a file or an override changes
    the ``type`` of a network or backbone whose other arguments must then be sorted out.

    Args:
        path: a YAML file.
        overrides: ``["iters=200", "model.backbone.type=GhostNet_x1_0"]`` or a mapping.

    Raises:
        ConfigError: every problem found, each with the line that set the value and the nearest known key.
    """
    tree = override_module.apply(_without_holders(read_tree(path)), overrides)
    data, table, carried = flatten(tree)
    _expand_home(data)
    origins = Origins(table)
    problems = value_problems(data, origins)
    unusable = {problem.key for problem in problems}
    problems += normalise(data, origins)
    drop_carried(data, [key for key in carried if key[0] in ("optimizer", "lr_scheduler")])
    complete, found = validate(data, origins)
    problems += [problem for problem in found if problem.key not in unusable] + cross_check(data, origins)
    late = [key for key in carried if key[0] not in ("optimizer", "lr_scheduler")]
    if problems or complete is None:
        raise ConfigError(_with_components(problems, data, origins, late))
    problems = load_plugins(complete, origins)
    if problems:
        raise ConfigError(problems)
    resolve_names(complete)
    drop_carried(complete, late)
    problems = settle_num_classes(complete, origins)
    if problems:
        raise ConfigError(_with_components(problems, complete, origins, []))
    config = Config.model_validate(complete)
    config._path, config._origins = Path(path), origins
    return config


def _expand_home(value: Any) -> Any:
    """Text that starts with ``~/`` as a path below the home folder, everywhere inside ``value``, in place."""
    if isinstance(value, dict):
        for key, child in value.items():
            value[key] = _expand_home(child)
    elif isinstance(value, list):
        value[:] = [_expand_home(child) for child in value]
    elif isinstance(value, str) and value.startswith("~/"):
        return os.path.expanduser(value)
    return value


def _with_components(
    problems: list[Problem], data: dict[Any, Any], origins: Origins, carried: list[KeyPath]
) -> list[Problem]:
    """The problems, and those of components beside them: all mistakes of a file are told at once.

    Imports Paddle, which a configuration without a mistake in its structure is loaded without.
    """
    found = list(problems)
    try:
        resolve_names(data)
        drop_carried(data, carried)
        for path, kind, section in components(data):
            name = section.get("type") if isinstance(section, dict) else None
            if not isinstance(name, str) or not name:
                continue
            if data.get("plugins") and name not in REGISTRIES[kind]:
                continue  # plugins are not run by a file with mistakes, and this may be a name of theirs
            named = {key: value for key, value in section.items() if isinstance(key, str)}
            found += [one for one in check_component(path, kind, named, origins) if one not in found]
    except (MobileSegError, ImportError):
        return found  # a package is missing; that is told when the rest is right
    return found


def _without_holders(root: Node) -> Node:
    """The tree without top-level keys that only hold an anchor for other places (``mean: &mean [...]``)."""
    known = set(Schema.model_fields)
    holders = {key for key, child in root.value.items() if child.anchor and key not in known}
    return replace(root, value={key: child for key, child in root.value.items() if key not in holders})


def explain(config: Config) -> str:
    """Every value of a configuration and the line that set it, one per line, aligned."""
    leaves = _leaves(config.to_dict(), ())
    shown = [(dotted(key), json.dumps(value, ensure_ascii=False), config._where(key)) for key, value in leaves]
    widths = [min(60, max((len(row[column]) for row in shown), default=0)) for column in (0, 1)]
    return "\n".join(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {where}" for key, value, where in shown)


def _leaves(value: Any, path: KeyPath) -> list[tuple[KeyPath, Any]]:
    if isinstance(value, dict) and value:
        return [leaf for key, child in value.items() for leaf in _leaves(child, (*path, key))]
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return [leaf for index, child in enumerate(value) for leaf in _leaves(child, (*path, index))]
    return [(path, value)]


def _key_path(data: Any, key: str) -> KeyPath:
    path: list[str | int] = []
    for part in key.split("."):
        number = part.isdigit() and (isinstance(data, list) or (isinstance(data, dict) and part not in data))
        path.append(int(part) if number else part)
        try:
            data = data[path[-1]]
        except (KeyError, IndexError, TypeError):
            data = None
    return tuple(path)


def _canonical(value: Any) -> Any:
    """Mappings as sorted lists of pairs, so that number keys and text keys stay apart; whole floats as written."""
    if isinstance(value, dict):
        pairs = [[repr(key), _canonical(child)] for key, child in value.items()]
        return ["map", sorted(pairs, key=lambda pair: str(pair[0]))]
    if isinstance(value, list):
        return [_canonical(child) for child in value]
    return value
