"""``deploy.json``, the manifest for readers without YAML: the C++ core, Android and JavaScript programs.

It repeats ``deploy.yaml`` and holds its SHA-256, so a reader of either sees when the other was changed by hand.
``deploy.yaml`` remains the one that is edited and read by Python.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobileseg.files import write_whole

JSON_FILE = "deploy.json"

YAML_HASH = "deploy_yaml_sha256"
"""Key of ``deploy.json`` with the hash of the ``deploy.yaml`` that it repeats."""


def write_json(path: Path, document: Mapping[str, Any], yaml_text: str) -> None:
    """Write ``deploy.json``.

    Args:
        path: file to write.
        document: content of deploy.yaml.
        yaml_text: deploy.yaml as it is, or will be, written.

    Raises:
        OSError: it cannot be written.
    """
    content = {YAML_HASH: _sha256(yaml_text.encode("utf-8")), **document}
    write_whole(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def json_problems(folder: Path, document: Mapping[str, Any], yaml_file: str) -> list[str]:
    """Where ``deploy.json`` does not repeat ``deploy.yaml``; empty when it does.

    Args:
        folder: of the exported model.
        document: content of its deploy.yaml.
        yaml_file: name of deploy.yaml in the folder.
    """
    path = folder / JSON_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []  # a folder that was exported before deploy.json existed; only the C++ program needs it
    except (OSError, ValueError) as error:
        return [f"{path} cannot be read: {error}"]
    if not isinstance(content, dict):
        return [f"{path} is {type(content).__name__}, expected an object"]
    written = content.pop(YAML_HASH, None)
    problems = []
    if written != _sha256((folder / yaml_file).read_bytes()):
        problems.append(f"{path} was not written together with {yaml_file}: one of them was changed")
    different = sorted(
        f"{block}.{key}"
        for block in document.keys() | content.keys()
        for key in _keys(document.get(block)) | _keys(content.get(block))
        if _value(document.get(block), key) != _value(content.get(block), key)
    )
    if different:
        problems.append(f"{path} says other things than {yaml_file}: {', '.join(different)}")
    return problems


def _keys(block: Any) -> set[str]:
    return set(block) if isinstance(block, dict) else {""}


def _value(block: Any, key: str) -> Any:
    return block.get(key) if isinstance(block, dict) else block


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
