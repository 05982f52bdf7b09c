"""Checks that need more than one value, and values that follow from others."""

from __future__ import annotations

import logging
from itertools import pairwise
from pathlib import Path
from typing import Any

from mobileseg.config.structure import DATASET_SECTIONS, Origins, spokesman
from mobileseg.config.tree import KeyPath
from mobileseg.errors import MobileSegError, Problem
from mobileseg.registry import DATASETS

logger = logging.getLogger(__name__)

_IGNORE_INDEX = {"PSSLDataset": 1001}
"""Datasets whose ignored value is fixed and not 255."""


def cross_check(data: dict[Any, Any], origins: Origins) -> list[Problem]:
    """Contradictions between values; tolerates data whose structure is wrong, which is reported elsewhere."""
    return [
        *_losses(data, origins),
        *_schedule(data, origins),
        *_sliding_window(data, origins),
        *_ignore_index(data, origins),
        *_export(data, origins),
        *_channels(data, origins),
    ]


def settle_num_classes(data: dict[Any, Any], origins: Origins) -> list[Problem]:
    """Set ``model.num_classes`` where model or datasets say it; report those that disagree."""
    known: list[tuple[int, KeyPath, str]] = []
    model = data.get("model")
    for path in (("model", "num_classes"), *((name, "num_classes") for name in DATASET_SECTIONS)):
        value = _at(data, path)
        if isinstance(value, int) and not isinstance(value, bool):
            known.append((value, path, f"{'.'.join(path)} is {value} ({origins.text(path) or 'default'})"))
    for name in DATASET_SECTIONS:
        count = _classes_of(data.get(name))
        if count is not None and _at(data, (name, "num_classes")) != count:
            path = (name, "type")
            known.append((count, path, f"{name} ({_at(data, path)}) has {count} classes ({origins.text(path)})"))
    if not known:
        return []
    if len({count for count, _, _ in known}) > 1:
        seen = "the class counts contradict each other: " + "; ".join(text for _, _, text in known)
        return [origins.problem(("model", "num_classes"), seen, "make them equal")]
    if isinstance(model, dict) and model.get("num_classes") is None:
        model["num_classes"] = known[0][0]
        origins.move(known[0][1], ("model", "num_classes"))
    return []


def ignore_index_of(section: Any) -> Any:
    """The label value that a dataset section (or none) calls ignored."""
    section = spokesman(section)
    if not isinstance(section, dict):
        return 255
    return section.get("ignore_index", _IGNORE_INDEX.get(str(section.get("type")), 255))


def _classes_of(section: Any) -> int | None:
    """Class count of a dataset section from its classes, its class file or its type; None when nothing says it."""
    section = spokesman(section)
    if not isinstance(section, dict) or not isinstance(section.get("type"), str):
        return None
    named = section.get("classes")
    if isinstance(named, list):
        return len(named)
    if section["type"] not in DATASETS:
        return None
    component = DATASETS.get(section["type"])
    fixed = getattr(component, "CLASSES", None)
    if fixed is not None:
        return len(fixed)
    number: int | None = getattr(component, "COUNT", None)  # of datasets whose names stand in a file
    if number is not None:
        return number
    count = getattr(component, "count_classes", None)  # of datasets whose files say it
    if count is not None:
        found: int | None = count(section)
        return found
    return _classes_in_file(section, named) if section["type"] == "Dataset" else None


def _classes_in_file(section: dict[Any, Any], named: Any) -> int | None:
    from mobileseg.data.formats.listfile import CLASS_FILE, find_file, read_class_names

    root = Path(str(section.get("dataset_root", "")))
    if isinstance(named, str):
        file = find_file(named, root)
    else:
        lists = [section[key] for key in ("train_path", "val_path", "test_path") if isinstance(section.get(key), str)]
        file = find_file(lists[0], root).parent / CLASS_FILE if lists else root / CLASS_FILE
    try:
        return len(read_class_names(file)) if file.is_file() else None
    except MobileSegError:
        return None  # the dataset reports it when it is built


def _losses(data: dict[Any, Any], origins: Origins) -> list[Problem]:
    found: list[Problem] = []
    types, coef = _at(data, ("loss", "types")), _at(data, ("loss", "coef"))
    if isinstance(types, list) and isinstance(coef, list) and len(types) != len(coef):
        seen = f"{len(types)} losses but {len(coef)} coefficients"
        fix = "give one coefficient per loss; a single loss may have several coefficients, one per output"
        found.append(origins.problem(("loss", "coef"), seen, fix))
    for index, item in enumerate(types if isinstance(types, list) else []):
        parts, factors = (item.get("losses"), item.get("coef")) if isinstance(item, dict) else (None, None)
        if isinstance(parts, list) and isinstance(factors, list) and len(parts) != len(factors):
            seen = f"{len(parts)} losses but {len(factors)} coefficients"
            found.append(origins.problem(("loss", "types", index, "coef"), seen, "give one coefficient per loss"))
    return found


def _schedule(data: dict[Any, Any], origins: Origins) -> list[Problem]:
    found: list[Problem] = []
    iters = data.get("iters", 1000)
    warmup = _at(data, ("lr_scheduler", "warmup_iters"))
    if _is_number(iters) and _is_number(warmup) and warmup >= iters > 0:
        where = origins.text(("lr_scheduler", "warmup_iters"))
        logger.warning("warning: %s: training ends after %s of the %s iterations of the warm-up", where, iters, warmup)
    milestones = _at(data, ("lr_scheduler", "milestones"))
    steps = milestones if isinstance(milestones, list) and all(_is_number(step) for step in milestones) else []
    if any(later <= earlier for earlier, later in pairwise(steps)):
        seen = f"milestones must rise, got {steps}"
        found.append(origins.problem(("lr_scheduler", "milestones"), seen, f"write {sorted(set(steps))}"))
    return found


def _sliding_window(data: dict[Any, Any], origins: Origins) -> list[Problem]:
    section = data.get("test_config")
    if not isinstance(section, dict) or section.get("is_slide") is not True:
        return []
    found: list[Problem] = []
    for key in ("crop_size", "stride"):
        if section.get(key) is None:
            path: KeyPath = ("test_config", key)
            found.append(origins.problem(path, "a sliding window needs it", f"write {key}: [512, 512]"))
    crop, stride = section.get("crop_size"), section.get("stride")
    if crop and stride and _is_size(crop) and _is_size(stride) and (stride[0] > crop[0] or stride[1] > crop[1]):
        seen = f"steps of {stride} with a window of {crop} leave pixels out"
        found.append(origins.problem(("test_config", "stride"), seen, "use steps no larger than crop_size"))
    return found


def _ignore_index(data: dict[Any, Any], origins: Origins) -> list[Problem]:
    """Losses must ignore what the training labels call ignored."""
    train = data.get("train_dataset")
    types = _at(data, ("loss", "types"))
    if not isinstance(train, dict) or not isinstance(types, list):
        return []
    wanted = ignore_index_of(train)
    found: list[Problem] = []
    for index, item in enumerate(types):
        parts: list[tuple[KeyPath, Any]] = [(("loss", "types", index), item)]
        if isinstance(item, dict) and isinstance(item.get("losses"), list):
            parts += [(("loss", "types", index, "losses", i), part) for i, part in enumerate(item["losses"])]
        for path, part in parts:
            value = part.get("ignore_index", wanted) if isinstance(part, dict) else wanted
            if value != wanted:
                seen = f"the loss ignores {value!r}, the training labels say {wanted!r}"
                fix = "remove it: losses follow the dataset"
                found.append(origins.problem((*path, "ignore_index"), seen, fix))
    return found


def _export(data: dict[Any, Any], origins: Origins) -> list[Problem]:
    section = data.get("export")
    if not isinstance(section, dict):
        return []
    found: list[Problem] = []
    if section.get("input_dtype") == "uint8" and section.get("normalize_in_graph") is not True:
        seen, fix = "a uint8 input needs the normalisation inside the graph", "add normalize_in_graph: true"
        found.append(origins.problem(("export", "input_dtype"), seen, fix))
    if section.get("dynamic") is True and section.get("output_size") is not None:
        seen, fix = "a graph of dynamic shape cannot end at a fixed one", "remove output_size or dynamic"
        found.append(origins.problem(("export", "output_size"), seen, fix))
    return found


def _channels(data: dict[Any, Any], origins: Origins) -> list[Problem]:
    """The network takes as many channels as the datasets give."""
    stated = {path: _at(data, path) for path in (("model", "in_channels"), ("model", "backbone", "in_channels"))}
    found = []
    for section in ("train_dataset", "val_dataset"):
        for place, dataset in _datasets_in((section,), data.get(section)):
            channels = dataset.get("img_channels", 3)
            for path, value in stated.items():
                if _is_number(value) and _is_number(channels) and value != channels:
                    where = ".".join(map(str, place))
                    seen = f"{where} gives images of {channels} channels (img_channels), the network takes {value}"
                    found.append(origins.problem(path, seen, f"write in_channels: {channels}"))
            if channels != 3 and _is_number(channels) and not any(map(_is_number, stated.values())):
                seen = f"is {channels}, and the network takes three channels"
                fix = f"write in_channels: {channels} in model.backbone, or in model where it has no backbone"
                found.append(origins.problem((*place, "img_channels"), seen, fix))
    return found


def _datasets_in(path: KeyPath, section: Any) -> list[tuple[KeyPath, dict[Any, Any]]]:
    """A dataset section, or those of its parts, with their places."""
    if not isinstance(section, dict):
        return []
    if not isinstance(section.get("parts"), list):
        return [(path, section)]
    inside = [(number, _at(part, ("dataset",))) for number, part in enumerate(section["parts"])]
    return [((*path, "parts", number, "dataset"), found) for number, found in inside if isinstance(found, dict)]


def _at(data: Any, path: KeyPath) -> Any:
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return None
        data = data[key]
    return data


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_number(part) for part in value)
