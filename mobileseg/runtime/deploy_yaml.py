"""Reading deploy.yaml: safe, of bounded size and depth, and every way in which it can be damaged has a message."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from mobileseg.errors import RuntimeEngineError

DEPLOY_FILE = "deploy.yaml"

_LARGEST = 4 << 20
"""Bytes of deploy.yaml: what is larger was not written by an export."""


_DEEPEST = 64
"""Levels of nesting; a manifest has fewer than ten, and the composer of PyYAML calls itself for each."""


class _ManifestLoader(yaml.SafeLoader):
    """A SafeLoader of bounded depth without aliases: a few lines of those expand to gigabytes."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed here", event.start_mark)
        self._depth += 1
        if self._depth > _DEEPEST:
            raise RecursionError
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def read_document(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a folder's deploy.yaml, as it is written.

    Raises:
        RuntimeEngineError: it is missing or not YAML.
    """
    path = Path(folder) / DEPLOY_FILE
    if not path.parent.is_dir():
        raise RuntimeEngineError(
            f"there is no exported model {path.parent}", remedy="name the folder that `mobileseg export` printed"
        )
    try:
        if path.stat().st_size > _LARGEST:
            raise RuntimeEngineError(f"{path} has {path.stat().st_size} bytes, a manifest has at most {_LARGEST}")
        document = _ManifestLoader(path.read_text(encoding="utf-8")).get_single_data()
    except FileNotFoundError:
        raise RuntimeEngineError(
            f"{path.parent} is no exported model: it has no {DEPLOY_FILE}",
            remedy="write one with `mobileseg export`, or name the folder that export printed",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RuntimeEngineError(f"cannot read {path}: {error}") from error
    except RecursionError:
        raise RuntimeEngineError(f"{path} is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none, an integer of thousands of digits
        raise RuntimeEngineError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise RuntimeEngineError(f"{path} is {type(document).__name__}, expected a mapping at the top")
    return document
