"""A configuration before it is checked: plain values that remember the line that wrote them.

A file becomes a tree of :class:`Node`; trees are merged and overridden without being changed in
place; :func:`flatten` separates values and origins again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from mobileseg.errors import ConfigError, Problem

Key: TypeAlias = str | int
KeyPath: TypeAlias = tuple[Key, ...]

INHERIT_KEY = "_inherited_"


OF_THE_TYPE = frozenset({"pretrained", "plan"})
"""Keys that belong to one type of component and never carry over to another."""


@dataclass(frozen=True)
class Origin:
    """Where a value was written.

    Attributes:
        text: ``file:line``, or ``-o key=value``.
        folder: folder of the file; paths that belong to a file are relative to it.
        override: written on the command line or by the caller, not in a file.
    """

    text: str
    folder: Path = field(default_factory=Path)
    override: bool = False


@dataclass(frozen=True)
class Node:
    """A value with its origin; mappings and lists hold nodes again.

    Attributes:
        value: dict of nodes, list of nodes, or a scalar (None, bool, int, float, str).
        origin: where it was written.
        carried: it was written for a component whose ``type`` was changed since.
        anchor: a key of a mapping that names an anchor (``key: &name ...``); it may be there for that alone.
    """

    value: Any
    origin: Origin
    carried: bool = False
    anchor: bool = False


def merge(base: Node, upper: Node) -> Node:
    """``upper`` on top of ``base``: mappings merge key by key, everything else is replaced.

    ``_inherited_: false`` in a mapping of ``upper`` drops what ``base`` has there. Where ``type`` changes,
    ``pretrained`` and ``plan`` of the old type are dropped and its other arguments are marked as carried.
    """
    if not isinstance(upper.value, dict) or not isinstance(base.value, dict) or not inherits(upper):
        return strip(upper)
    changed = _type_of(base) is not None and _type_of(upper) not in (None, _type_of(base))
    merged: dict[Key, Node] = {}
    for key, child in base.value.items():
        if key in upper.value:
            merged[key] = merge(child, upper.value[key])
        elif not changed:
            merged[key] = child
        elif key not in OF_THE_TYPE:
            merged[key] = replace(child, carried=True)
    for key, child in upper.value.items():
        if key not in base.value and key != INHERIT_KEY:
            merged[key] = strip(child)
    return Node(merged, upper.origin)


def inherits(node: Node) -> bool:
    """Whether a mapping merges with what is below it.

    Raises:
        ConfigError: ``_inherited_`` is neither true nor false.
    """
    flag = node.value.get(INHERIT_KEY)
    if flag is None:
        return True
    if not isinstance(flag.value, bool):
        message = f"must be True or False, got {flag.value!r}"
        raise ConfigError([Problem(INHERIT_KEY, message, flag.origin.text)])
    return flag.value


def strip(node: Node) -> Node:
    """The node without its ``_inherited_`` keys, which have done their work."""
    if isinstance(node.value, dict):
        inherits(node)  # refuses a value that is no boolean
        children = {key: strip(child) for key, child in node.value.items() if key != INHERIT_KEY}
        return replace(node, value=children)
    if isinstance(node.value, list):
        return replace(node, value=[strip(child) for child in node.value])
    return node


def mark_carried(before: Node, after: Node) -> Node:
    """Treat types changed by overrides as :func:`merge` treats types changed by a file.

    Args:
        before: the tree as the files made it.
        after: the same tree with overrides; what an override wrote is never carried.
    """
    if isinstance(before.value, list) and isinstance(after.value, list) and len(before.value) == len(after.value):
        items = [mark_carried(old, new) for old, new in zip(before.value, after.value, strict=True)]
        return replace(after, value=items)
    if not isinstance(before.value, dict) or not isinstance(after.value, dict):
        return after
    changed = _type_of(before) is not None and _type_of(after) != _type_of(before)
    children: dict[Key, Node] = {}
    for key, child in after.value.items():
        if key in before.value:
            child = mark_carried(before.value[key], child)
        if changed and not any(node.origin.override for node in walk(child)):
            if key in OF_THE_TYPE:
                continue
            child = replace(child, carried=True)
        children[key] = child
    return replace(after, value=children)


def walk(node: Node) -> Iterator[Node]:
    """The node and everything inside it."""
    yield node
    if isinstance(node.value, dict):
        for child in node.value.values():
            yield from walk(child)
    elif isinstance(node.value, list):
        for child in node.value:
            yield from walk(child)


def flatten(root: Node) -> tuple[dict[Key, Any], dict[KeyPath, Origin], list[KeyPath]]:
    """Separate a tree into plain values, the origin of every key path, and the carried key paths."""
    origins: dict[KeyPath, Origin] = {}
    carried: list[KeyPath] = []
    plain = _flatten(root, (), origins, carried)
    return plain, origins, carried


def _flatten(node: Node, path: KeyPath, origins: dict[KeyPath, Origin], carried: list[KeyPath]) -> Any:
    origins[path] = node.origin
    if node.carried:
        carried.append(path)
    if isinstance(node.value, dict):
        return {key: _flatten(child, (*path, key), origins, carried) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [_flatten(child, (*path, index), origins, carried) for index, child in enumerate(node.value)]
    return node.value


def dotted(path: KeyPath) -> str:
    """``('model', 'backbone', 'type')`` as ``model.backbone.type``."""
    return ".".join(str(key) for key in path)


def _type_of(node: Node) -> Any:
    child = node.value.get("type")
    return None if child is None else child.value
