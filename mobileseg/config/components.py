"""All components of a configuration against their constructors, before anything is built."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mobileseg.config.load import Config
from mobileseg.config.paddleseg_names import PADDLESEG
from mobileseg.config.signatures import REGISTRIES, check_component
from mobileseg.config.structure import DATASET_SECTIONS, components, spokesman
from mobileseg.config.tree import KeyPath, dotted
from mobileseg.errors import ConfigError, Problem, WeightsError
from mobileseg.limits import home_expanded, number_faults
from mobileseg.registry import LOSSES
from mobileseg.tasks import accepts, known
from mobileseg.weights.package import is_package_file, package_file

_LISTS = {"train": "train_path", "val": "val_path", "test": "test_path"}
_PLACES = {"annotation_file": "annotation file", "image_dir": "folder of images"}


def check_components(config: Config) -> None:
    """Check names and arguments of network, backbone, losses, datasets and transforms, and that they go together.

    Imports Paddle, builds nothing but the transforms and reads no data.

    Raises:
        ConfigError: every problem, with the line that set the value.
    """
    data = config.to_dict()
    problems: list[Problem] = []
    for path, kind, section in components(data):
        problems.extend(check_component(path, kind, section, config.origins))
    for name in ("model", "loss", *DATASET_SECTIONS):
        faults = number_faults({name: data[name]})
        problems += [config.origins.problem(fault.path, fault.message, fault.remedy) for fault in faults]
    problems = problems or [*loss_problems(config), *task_problems(config), *pipeline_problems(config)]
    if problems:
        raise ConfigError(problems)


def pipeline_problems(config: Config) -> list[Problem]:
    """Transforms whose arguments or order cannot be, and pipelines that do not normalise as that of training does."""
    from mobileseg.data.transforms.build import build_transforms
    from mobileseg.data.transforms.ranges import normalisation_problem

    problems: list[Problem] = []
    pipelines = {}
    for name in DATASET_SECTIONS:
        section = config.to_dict()[name]
        if not isinstance(section, dict) or "transforms" not in section:
            continue
        path: tuple[str | int, ...] = (name, "transforms")
        steps = section["transforms"]
        parts = [([step], (*path, index)) for index, step in enumerate(steps)] if isinstance(steps, list) else []
        before = len(problems)
        for part, place in parts if len(parts) > 1 else []:
            problems += _refused(part, place, config)
        if len(problems) == before:
            problems += _refused(steps, path, config)
        if len(problems) == before:
            pipelines[name] = build_transforms(steps)
    train = pipelines.pop("train_dataset", None)
    for name, pipeline in pipelines.items():
        if train is None:
            break
        difference = normalisation_problem(train, pipeline, name.removesuffix("_dataset"))
        if difference:
            fix = "give both pipelines the same Normalize"
            problems.append(config.origins.problem((name, "transforms"), difference, fix))
    return problems


def _refused(steps: Any, path: tuple[str | int, ...], config: Config) -> list[Problem]:
    """Why a pipeline cannot be built, [] when it can."""
    from mobileseg.data.transforms.build import build_transforms

    try:
        build_transforms(steps)
    except ConfigError as error:
        return [config.origins.problem(path, error.message, error.remedy or "")]
    return []


def loss_problems(config: Config) -> list[Problem]:
    """A criterion must stand alone, other losses need coefficients; the names of the losses are known."""
    loss = config.to_dict()["loss"]
    if loss is None:
        return []
    whole = [is_criterion(section) for section in loss["types"]]
    path = ("loss", "types", whole.index(True)) if any(whole) else ("loss", "coef")
    if not any(whole):
        fix = f"add coef: {[1.0] * len(whole)}, one weight per loss"
        return [] if loss["coef"] else [config.origins.problem(path, "missing; these losses need it", fix)]
    name = loss["types"][whole.index(True)]["type"]
    if len(whole) > 1:
        seen = f"{name} takes all outputs of the network at once and cannot stand beside other losses"
        return [config.origins.problem(path, seen, f"make {name} the only entry of loss.types, with coef: null")]
    if loss["coef"] not in (None, [1.0]):
        seen = f"{name} weighs its own parts, it has no coefficient"
        return [config.origins.problem(("loss", "coef"), seen, f"remove it; {name} has arguments for its weights")]
    return []


def is_criterion(section: dict[str, Any]) -> bool:
    """Whether a section of ``loss.types`` names a loss that takes all outputs of a network at once."""
    name = section["type"]
    return name in LOSSES and bool(getattr(LOSSES.get(name), "is_criterion", False))


def task_problems(config: Config) -> list[Problem]:
    """A network or dataset that does not say its task, and losses and datasets of a task that the network's does not
    accept; a loss that does not say suits every task."""
    data = config.to_dict()
    if data["model"] is None:
        return []
    wanted = _task("network", data["model"])
    problems: list[Problem] = []
    for path, kind, section in components(data):
        if kind not in ("network", "loss", "dataset") or section["type"] not in REGISTRIES[kind]:
            continue
        own = _task(kind, section)
        if own is None and kind != "loss":
            seen = f"the {kind} {section['type']} does not say which task it is for"
            problems.append(config.origins.problem((*path, "type"), seen, f"give it an attribute `task`: {known()}"))
        elif None not in (own, wanted) and not _fits(kind, str(wanted), str(own)):
            seen = f"{section['type']} is for {own} segmentation, the network {data['model']['type']} for {wanted}"
            fitting = [name for name in REGISTRIES[kind] if _fits(kind, str(wanted), _task(kind, {"type": name}))]
            problems.append(config.origins.problem((*path, "type"), seen, f"use {' or '.join(fitting)}"))
    return problems


def _fits(kind: str, wanted: str, own: str | None) -> bool:
    """Whether a component of a task is for networks of another; a loss's or dataset's may be accepted beside theirs."""
    return own == wanted or (own is not None and kind in ("loss", "dataset") and accepts(wanted, own))


def _task(kind: str, section: dict[str, Any]) -> str | None:
    """The task of a component, None where it does not say."""
    said = spokesman(section) if kind == "dataset" else section
    name, registry = said.get("type") if isinstance(said, dict) else None, REGISTRIES[kind]
    if not isinstance(name, str):
        return None
    if name.startswith(PADDLESEG):
        from mobileseg.semantic.paddleseg_bridge import PaddleSegNetwork

        return PaddleSegNetwork.task
    return (getattr(registry.get(name), "task", None) if name in registry else None) or None


def check_files(config: Config, sections: tuple[str, ...] = (*DATASET_SECTIONS, "model")) -> None:
    """Check that the folders, lists and weights that a configuration names are there.

    Args:
        config: the configuration.
        sections: which of the datasets and ``model`` are needed.

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
                if isinstance(source, str):
                    problems.extend(_weights_file((*path, "pretrained"), source, config))
            continue
        problems.extend(_dataset_files((name,), section, config))
    if problems:
        raise ConfigError(problems)


def _weights_file(path: tuple[str, ...], source: str, config: Config) -> list[Problem]:
    if is_package_file(source):
        try:
            package_file(source)
        except WeightsError as error:
            return [config.origins.problem(path, error.message, error.remedy or "")]
    elif "://" not in source and not Path(source).exists():
        fix = "paths are relative to the working folder; null starts from random weights"
        return [config.origins.problem(path, f"the weights file {source} does not exist", fix)]
    return []


def _dataset_files(where: KeyPath, section: Any, config: Config) -> list[Problem]:
    problems: list[Problem] = []
    if not isinstance(section, dict):
        return problems  # the dataset reports it
    parts = section.get("parts")
    for number, part in enumerate(parts if isinstance(parts, list) else ()):
        if isinstance(part, dict):
            problems += _dataset_files((*where, "parts", number, "dataset"), part.get("dataset"), config)
    root = section.get("dataset_root")
    root = str(home_expanded(root)) if isinstance(root, str) else root
    if isinstance(root, str) and not os.path.isdir(root):
        seen = f"the folder {root} does not exist"
        fix = "paths are relative to the working folder; or give another with "
        fix += f"-o {dotted(where)}.dataset_root=FOLDER"
        problems.append(config.origins.problem((*where, "dataset_root"), seen, fix))
    list_key = _LISTS.get(str(section.get("mode")), "train_path")
    for key, what in {list_key: "list file", **_PLACES}.items():
        value = section.get(key)
        if not isinstance(value, str) or os.path.exists(home_expanded(value)):
            continue
        if not (isinstance(root, str) and os.path.exists(Path(root) / value)):
            seen = f"the {what} {value} does not exist"
            fix = "paths are relative to the working folder or to dataset_root"
            problems.append(config.origins.problem((*where, key), seen, fix))
    return problems
