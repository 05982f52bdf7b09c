"""All components of a configuration against their constructors, before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobileseg.config.load import Config
from mobileseg.config.signatures import check_component
from mobileseg.config.structure import components
from mobileseg.errors import ConfigError, Problem

_PATH_KEYS = ("dataset_root", "train_path", "val_path", "test_path")
_OWN_LIST = {"train": "train_path", "val": "val_path", "test": "test_path"}


def check_components(config: Config) -> None:
    """Check names and arguments of network, backbone, losses, datasets and transforms.

    Imports Paddle, builds nothing and reads no data.

    Raises:
        ConfigError: every problem, with the line that set the value.
    """
    data = config.to_dict()
    problems: list[Problem] = []
    for path, kind, section in components(data):
        problems.extend(check_component(path, kind, section, config.origins))
    if problems:
        raise ConfigError(problems)


def check_files(config: Config, sections: tuple[str, ...] = ("train_dataset", "val_dataset", "model")) -> None:
    """Check that the folders, lists and weights that a configuration names are there.

    Args:
        config: the configuration.
        sections: which of ``train_dataset``, ``val_dataset`` and ``model`` are needed.

    Raises:
        ConfigError: names everything that is missing, with the line that named it.
    """
    data = config.to_dict()
    problems: list[Problem] = []
    for name in sections:
        section = data.get(name)
        if not isinstance(section, dict):
            continue
        if name == "model":
            for path in (("model",), ("model", "backbone")):
                holder = section if len(path) == 1 else section.get("backbone")
                source = holder.get("pretrained") if isinstance(holder, dict) else None
                if isinstance(source, str) and "://" not in source and not Path(source).exists():
                    seen = f"the weights file {source} does not exist"
                    fix = "paths are relative to the working folder; null starts from random weights"
                    problems.append(config.origins.problem((*path, "pretrained"), seen, fix))
            continue
        problems.extend(_dataset_files(name, section, config))
    if problems:
        raise ConfigError(problems)


def _dataset_files(name: str, section: dict[str, Any], config: Config) -> list[Problem]:
    problems: list[Problem] = []
    root = section.get("dataset_root")
    if isinstance(root, str) and not Path(root).is_dir():
        seen = f"the folder {root} does not exist"
        fix = "paths are relative to the working folder; or give another with "
        fix += f"-o {name}.dataset_root=FOLDER"
        problems.append(config.origins.problem((name, "dataset_root"), seen, fix))
    needed = _OWN_LIST.get(str(section.get("mode")))
    for key in _PATH_KEYS[1:]:
        value = section.get(key)
        if key != needed or not isinstance(value, str):
            continue
        if not Path(value).is_file() and not (isinstance(root, str) and (Path(root) / value).is_file()):
            seen = f"the list file {value} does not exist"
            fix = "paths are relative to the working folder or to dataset_root"
            problems.append(config.origins.problem((name, key), seen, fix))
    return problems
