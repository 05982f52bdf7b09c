"""YAML files with line numbers, and their ``_base_`` chains."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from mobileseg.config.tree import Key, Node, Origin, inherits, merge, strip, walk
from mobileseg.errors import ConfigError, Problem

logger = logging.getLogger(__name__)

BASE_KEY = "_base_"
MAX_DEPTH = 50
MAX_VALUES = 100_000  # aliases of aliases can blow up a small file to any size
_MERGE_TAG = "tag:yaml.org,2002:merge"
# YAML 1.1 reads 1e-5 as text, because there is no point in it. Nobody means that.
_FLOAT = re.compile(r"[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+\Z")
_FLOAT_STARTS = list("-+.0123456789")


class _Loader(yaml.SafeLoader):
    """The safe loader, with exponents as people write them; it remembers which nodes carry an anchor."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.anchored: set[int] = set()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node of the document, noted when it is anchored (an alias is not)."""
        event = self.peek_event()
        anchored = isinstance(event, yaml.NodeEvent) and not isinstance(event, yaml.AliasEvent) and event.anchor
        node = super().compose_node(parent, index)
        if anchored:
            self.anchored.add(id(node))
        return node


class _Dumper(yaml.SafeDumper):
    """Writes what :class:`_Loader` reads back unchanged, without aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, _FLOAT_STARTS)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, _FLOAT_STARTS)


def dump(data: dict[str, Any]) -> str:
    """Plain values as YAML text in their given order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def read_tree(path: str | Path, chain: tuple[Path, ...] = ()) -> Node:
    """The tree of a file on top of its bases.

    Of several bases the first wins over the later ones, as in PaddleSeg.

    Args:
        path: the file.
        chain: files that are being read and that led here, to notice a circle.

    Raises:
        ConfigError: a file is missing, unreadable, not YAML, or part of a circle.
    """
    file = Path(os.path.normpath(path))
    resolved = file.resolve()
    if resolved in chain:
        names = " -> ".join(link.name for link in (*chain[chain.index(resolved) :], resolved))
        raise ConfigError(f"the _base_ chain goes in a circle: {names}")
    node = parse(_read_text(file), Origin(str(file), file.parent))
    if not isinstance(node.value, dict):
        raise ConfigError(f"{node.origin.text}: expected a mapping of keys, found {type(node.value).__name__}")
    own = Node({key: child for key, child in node.value.items() if key != BASE_KEY}, node.origin)
    base_node = node.value.get(BASE_KEY)
    below: Node | None = None
    for name, origin in _base_names(base_node):
        base_file = file.parent / name
        if not base_file.is_file():
            seen = f"the base file {base_file} does not exist"
            raise ConfigError([Problem(BASE_KEY, seen, origin.text, "paths are relative to the file that names them")])
        base = read_tree(base_file, (*chain, resolved))
        below = base if below is None else merge(base, below)
    if below is None or not inherits(own):
        return strip(own)
    return merge(below, own)


def parse(text: str, origin: Origin) -> Node:
    """The tree of one YAML document.

    Args:
        text: the document; an empty one is an empty mapping.
        origin: of the document; its lines are appended to ``origin.text``, except for overrides.

    Raises:
        ConfigError: bad YAML, a key given twice, a tag or a type that has no place in a configuration.
    """
    try:
        loader = _Loader(text)
        document = loader.get_single_node()
        if document is None:
            return Node(None if origin.override else {}, origin)
        return _Converter(loader, origin).convert(document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark is not None and not origin.override else ""
        raise ConfigError(f"{origin.text}{line}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin.text}: not valid YAML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{origin.text}: nested too deeply for a configuration") from error


class _Converter:
    """Composed YAML nodes to :class:`Node`; what is wrong is collected and raised together."""

    def __init__(self, loader: _Loader, origin: Origin) -> None:
        self._loader = loader
        self._origin = origin
        self._done: dict[int, Node] = {}
        self._open: set[int] = set()
        self._problems: list[Problem] = []

    def convert(self, document: yaml.Node) -> Node:
        node = self._node(document, "")
        if self._problems:
            raise ConfigError(self._problems)
        if any(count > MAX_VALUES for count, _ in enumerate(walk(node))):
            raise ConfigError(f"{self._origin.text}: expands to more than {MAX_VALUES} values through its aliases")
        return node

    def _node(self, node: yaml.Node, key: str) -> Node:
        if id(node) in self._done:
            return self._done[id(node)]
        origin = self._at(node)
        if id(node) in self._open:
            self._problem(node, key, "an alias must not point to what contains it")
            return Node(None, origin)
        if len(self._open) >= MAX_DEPTH:
            raise ConfigError(f"{origin.text}: nested too deeply for a configuration, more than {MAX_DEPTH} levels")
        self._open.add(id(node))
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            made = Node(self._mapping(node, key), origin)
        elif isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            made = Node([self._node(item, f"{key}.{index}") for index, item in enumerate(node.value)], origin)
        else:
            made = Node(self._scalar(node, key), origin)
        self._open.discard(id(node))
        self._done[id(node)] = made
        return made

    def _mapping(self, node: yaml.MappingNode, parent: str) -> dict[Key, Node]:
        own: dict[Key, Node] = {}
        merged: dict[Key, Node] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE_TAG:
                self._merge_key(value_node, parent, merged)
                continue
            key = self._key(key_node, parent)
            if key is None:
                continue
            path = f"{parent}.{key}" if parent else str(key)
            if key in own:  # as YAML's own readers do it, PaddleSeg's among them
                where, first = self._at(key_node).text, own[key].origin.text
                logger.warning("warning: %s: %s: given twice, first at %s; this one counts", where, path, first)
            anchor = id(value_node) in self._loader.anchored and id(value_node) not in self._done  # not its alias
            child = self._node(value_node, path)
            # The line of the key, which is where one looks for a block; of an alias, not of its anchor.
            own[key] = Node(child.value, self._at(key_node), anchor=anchor)
        return {**merged, **own}

    def _merge_key(self, value: yaml.Node, parent: str, merged: dict[Key, Node]) -> None:
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for source in sources:
            node = self._node(source, parent)
            if not isinstance(node.value, dict):
                self._problem(source, f"{parent}.<<", "a merge key needs a mapping or a list of mappings")
                continue
            for key, child in node.value.items():
                merged.setdefault(key, child)

    def _key(self, node: yaml.Node, parent: str) -> Key | None:
        value = self._scalar(node, parent) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(value, bool) or not isinstance(value, str | int):
            shown = node.value if isinstance(node, yaml.ScalarNode) else "a collection"
            self._problem(node, parent, f"'{shown}' cannot be a key: YAML reads it as {value!r}", "put it in quotes")
            return None
        return value

    def _scalar(self, node: yaml.Node, key: str) -> Any:
        value: Hashable = None
        try:
            value = self._loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError) as error:
            reason = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
            self._problem(node, key, f"the value cannot be read: {reason}")
            return None
        if value is not None and not isinstance(value, bool | int | float | str):
            self._problem(node, key, f"YAML reads this as {type(value).__name__}", "put it in quotes")
            return None
        return value

    def _at(self, node: yaml.Node) -> Origin:
        if self._origin.override:
            return self._origin
        return Origin(f"{self._origin.text}:{node.start_mark.line + 1}", self._origin.folder)

    def _problem(self, node: yaml.Node, key: str, message: str, remedy: str = "") -> None:
        self._problems.append(Problem(key or "(document)", message, self._at(node).text, remedy))


def _base_names(node: Node | None) -> list[tuple[str, Origin]]:
    if node is None:
        return []
    items = node.value if isinstance(node.value, list) else [node]
    for item in items:
        if not isinstance(item.value, str):
            message = f"must be a path or a list of paths, got {item.value!r}"
            raise ConfigError([Problem(BASE_KEY, message, item.origin.text)])
    return [(item.value, item.origin) for item in items]


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"the configuration file {file} does not exist", remedy="check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text", remedy="is this a YAML file?") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
