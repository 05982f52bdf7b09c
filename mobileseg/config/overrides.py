"""Values given on the command line or by a caller, on top of what the files say."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from mobileseg.config.source import parse
from mobileseg.config.tree import Key, Node, Origin, dotted, mark_carried, merge, strip
from mobileseg.errors import ConfigError, Problem

Overrides: TypeAlias = Sequence[str] | Mapping[str, Any]


def apply(root: Node, overrides: Overrides) -> Node:
    """The tree with every override set.

    Args:
        root: the tree of the files.
        overrides: ``["model.backbone.type=GhostNet_x1_0", "iters=200"]``, values in YAML, or a mapping whose keys
            may be dotted and whose values may be mappings. A number in a key is a position in a list.

    Raises:
        ConfigError: an override has no '=', no valid value, or points into a value that holds no keys.
    """
    problems: list[Problem] = []
    changed = root
    for keys, value in _read(overrides, problems):
        try:
            changed = _set(changed, keys, value, ())
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    return mark_carried(root, changed)


def _read(overrides: Overrides, problems: list[Problem]) -> list[tuple[list[str], Node]]:
    pairs: list[tuple[list[str], Node]] = []
    if isinstance(overrides, str):
        overrides = [overrides]
    if isinstance(overrides, Mapping):
        for name, value in overrides.items():
            origin = Origin(f"override {name}", override=True)
            try:
                pairs.append((str(name).split("."), strip(_node(value, str(name), origin))))
            except ConfigError as error:
                problems.extend(error.problems)
        return pairs
    for text in overrides:
        name, equals, value = text.partition("=")
        origin = Origin(f"-o {text}", override=True)
        if not equals or not all(part.strip() for part in name.split(".")):
            problems.append(Problem(text, "an override is written key=value", origin.text, "example: iters=200"))
            continue
        try:
            # Command lines written for PaddleSeg spell null as Python does.
            node = Node(None, origin) if value.strip() == "None" else parse(value, origin)
            pairs.append(([part.strip() for part in name.split(".")], node))
        except ConfigError as error:
            problems.extend(error.problems or [Problem(name, error.message, origin.text)])
    return pairs


def _node(value: Any, key: str, origin: Origin) -> Node:
    if isinstance(value, Mapping):
        return Node({name: _node(child, f"{key}.{name}", origin) for name, child in value.items()}, origin)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, list | tuple):
        return Node([_node(child, f"{key}.{index}", origin) for index, child in enumerate(value)], origin)
    if value is None or isinstance(value, bool | int | float | str):
        return Node(value, origin)
    message = f"a {type(value).__name__} has no place in a configuration"
    raise ConfigError([Problem(key, message, origin.text, "use numbers, text, lists and mappings")])


def _set(node: Node, keys: list[str], value: Node, done: tuple[Key, ...]) -> Node:
    if not keys:
        return merge(node, value)
    head, rest = keys[0], keys[1:]
    if node.value is None:
        node = Node({}, value.origin)
    if isinstance(node.value, dict):
        key: Key = int(head) if head not in node.value and head.isdigit() and int(head) in node.value else head
        child = node.value.get(key)
        made = _nested(rest, value) if child is None else _set(child, rest, value, (*done, key))
        return replace(node, value={**node.value, key: made}, carried=False)
    if isinstance(node.value, list):
        size = len(node.value)
        if not head.isdigit() or int(head) >= size:
            seen = f"'{head}' is no position in this list of {size}"
            fix = f"positions go from 0 to {size - 1}" if size else "the list is empty; set it as a whole"
            raise ConfigError([Problem(dotted((*done, *keys)), seen, value.origin.text, fix)])
        items = list(node.value)
        items[int(head)] = _set(items[int(head)], rest, value, (*done, int(head)))
        return replace(node, value=items, carried=False)
    seen = f"{dotted(done)} is {node.value!r} ({node.origin.text}), which holds no key '{head}'"
    raise ConfigError([Problem(dotted((*done, *keys)), seen, value.origin.text)])


def _nested(keys: list[str], value: Node) -> Node:
    for key in reversed(keys):
        value = Node({key: value}, value.origin)
    return strip(value)
