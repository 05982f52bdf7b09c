"""``plugins:`` of a configuration: Python files that register components of the user's own.

A plugin is code and runs with the rights of whoever loads the configuration.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mobileseg.config.structure import Origins
from mobileseg.errors import Problem
from mobileseg.registry import BACKBONES, DATASETS, LOSSES, NETWORKS, TRANSFORMS

_REGISTRIES = (BACKBONES, NETWORKS, LOSSES, DATASETS, TRANSFORMS)
_PREFIX = "mobileseg_plugin_"
_LONGEST_PATH = 4096


def load_plugins(data: dict[Any, Any], origins: Origins) -> list[Problem]:
    """Make the paths of ``data['plugins']`` absolute and load each file once per process.

    Paths are relative to the file that lists them, or to the working folder when an override does.

    Returns:
        A problem for every file that is missing, raises, or registers a name that is taken.
    """
    names = data.get("plugins")
    if not isinstance(names, list):
        return []
    problems: list[Problem] = []
    for index, name in enumerate(names):
        if not isinstance(name, str):
            continue  # the schema reports it
        origin = origins.find(("plugins", index))
        if "\0" in name or len(name) > _LONGEST_PATH:
            seen, fix = f"{name[:60]!r} is no path", "name a Python file"
            problems.append(origins.problem(("plugins", index), seen, fix))
            continue
        file = ((origin.folder if origin else Path()) / Path(name).expanduser()).resolve()
        names[index] = str(file)
        if not file.is_file():
            fix = "paths are relative to the file that lists the plugin"
            problems.append(origins.problem(("plugins", index), f"the plugin {file} does not exist", fix))
            continue
        failure = load_file(file)
        if failure:
            problems.append(origins.problem(("plugins", index), f"the plugin {file} failed: {failure}"))
    return problems


def loaded_files() -> dict[str, str]:
    """Module name -> file of the plugins loaded in this process."""
    modules = list(sys.modules.items())
    return {name: str(module.__file__) for name, module in modules if name.startswith(_PREFIX)}


def module_name(file: Path) -> str:
    """Name under which a plugin stands in ``sys.modules``: readable, and different for every path."""
    digest = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    return f"{_PREFIX}{file.stem}_{digest}"


def load_file(path: str | Path) -> str:
    """Execute a plugin unless that was done before; what it registered is forgotten when it fails.

    Args:
        path: absolute path, as :func:`load_plugins` and :func:`loaded_files` give it.

    Returns:
        The reason of a failure, or ''.
    """
    file = Path(path)
    name = module_name(file)
    if name in sys.modules:
        return ""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        return "not a Python file (its name must end in .py)"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with ExitStack() as stack:
            for registry in _REGISTRIES:
                stack.enter_context(registry.undo_on_error())
            before = {registry.kind: registry.size for registry in _REGISTRIES}
            spec.loader.exec_module(module)
            for registry in _REGISTRIES:
                if registry.size > before[registry.kind]:
                    registry.load()  # a name of the suite's own that is taken shows now, not later
    except Exception as error:
        del sys.modules[name]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        line = error.lineno if isinstance(error, SyntaxError) else (lines[-1] if lines else None)
        return f"{type(error).__name__}: {error}" + (f" (line {line})" if line else "")
    return ""
