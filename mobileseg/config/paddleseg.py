"""PaddleSeg's spellings, rewritten in the one form that the schema knows.

What PaddleSeg accepts in several ways or puts elsewhere is moved here, before the structure is checked;
the origins move along, so that an error still names the line of the file. What its training does not look at is
removed with a warning.
"""

from __future__ import annotations

import logging
from typing import Any

from mobileseg.config.structure import DATASET_SECTIONS, Origins
from mobileseg.config.tree import Key, KeyPath
from mobileseg.errors import Problem

logger = logging.getLogger(__name__)

_OPTIMIZERS = {
    "sgd": "SGD",
    "momentum": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "adamwdl": "AdamW",
    "adamwdl_cae": "AdamW",
}
_LAYERWISE_DECAY = 0.65  # PaddleSeg's default of AdamWDL
_UNUSED = {
    "to_static_training": "training runs in dynamic graphs",
    "distill_loss": "training does not read it; distillation is the section distill, see docs/distill.md",
    "learning_rate": "PaddleSeg does not read it either; the rate stands under lr_scheduler",
}
_RATES = {
    "CosineDecay": (("T_max", "decay_steps"), ("eta_min", "end_lr")),
    "OneCycleLR": (("max_learning_rate", "learning_rate"),),
    "CyclicLR": (("base_learning_rate", "learning_rate"),),
}
_NO_SCHEDULE = {
    "LambdaDecay": "it needs a function, which YAML cannot hold",
    "MultiplicativeDecay": "it needs a function, which YAML cannot hold",
    "ReduceOnPlateau": "the rate must follow from the iteration, so that a resumed run is the same; use early_stop "
    "and another schedule",
}
_TARGETS_FROM_LABELS = "GenerateInstanceTargets"


def normalise(data: dict[Key, Any], origins: Origins) -> list[Problem]:
    """Rewrite ``data`` in place; ``origins`` follows.

    Returns:
        Problems with what PaddleSeg knows and this suite cannot do.
    """
    problems: list[Problem] = []
    for key, reason in _UNUSED.items():
        if key in data:
            _ignored(origins, (key,), reason)
            del data[key]
    _optimizer(data, origins, problems)
    _schedule(data, origins, problems)
    _loss(data)
    _test_config(data, origins, problems)
    for name in DATASET_SECTIONS:
        if isinstance(data.get(name), dict):
            data[name].setdefault("mode", "val" if name == "val_dataset" else "train")
            _transforms(name, data[name], origins)
    if "eval_interval" not in data or data["eval_interval"] is None:
        data["eval_interval"] = data.get("save_interval", 1000)
        origins.move(("save_interval",), ("eval_interval",))
    for name in ("test_config", "export", "plugins", "freeze", "param_groups"):
        if name in data and data[name] is None:  # an empty section
            del data[name]
    return problems


def _optimizer(data: dict[Key, Any], origins: Origins, problems: list[Problem]) -> None:
    section = data.get("optimizer")
    if not isinstance(section, dict):
        return
    name = section.get("type")
    if isinstance(name, str):
        if name.lower() == "momentum":
            section.setdefault("momentum", 0.9)
        if name.lower().startswith("adamwdl"):
            section.setdefault("layerwise_decay", _LAYERWISE_DECAY)
            if name.lower().endswith("_cae"):
                section.setdefault("decay_norms", False)
        section["type"] = _OPTIMIZERS.get(name.lower(), name)
    if section.pop("lazy_mode", False):
        _ignored(origins, ("optimizer", "lazy_mode"), "gradients of these networks are dense")
    _clipping(data, section, origins, problems)
    _groups(data, section, origins, problems)


def _clipping(data: dict[Key, Any], section: dict[Key, Any], origins: Origins, problems: list[Problem]) -> None:
    given = section.pop("grad_clip_cfg", None)
    if given is None:
        return
    path = ("optimizer", "grad_clip_cfg")
    clip = _clip_of(given) if isinstance(given, dict) else None
    if clip is None:
        known = "ClipGradByGlobalNorm or ClipGradByNorm with clip_norm, or ClipGradByValue with max"
        problems.append(origins.problem(path, f"this clipping is not known, got {given}", f"known are {known}"))
    elif data.get("clip") is not None:
        problems.append(origins.problem(path, "clipping is given twice, here and as 'clip'", "keep one of them"))
    else:
        data["clip"] = clip
        origins.move(path, ("clip",))
        origins.move((*path, "clip_norm" if "clip_norm" in given else "max"), ("clip", next(iter(clip))))


def _clip_of(given: dict[Key, Any]) -> dict[str, Any] | None:
    """A ``grad_clip_cfg`` as a ``clip`` section; None when it is none of the three that Paddle has."""
    arguments = {key: value for key, value in given.items() if key != "name"}
    if given.get("name") == "ClipGradByGlobalNorm" and set(arguments) == {"clip_norm"}:
        return {"norm": arguments["clip_norm"]}
    if given.get("name") == "ClipGradByNorm" and set(arguments) == {"clip_norm"}:
        return {"tensor_norm": arguments["clip_norm"]}
    highest = arguments.get("max")
    known = given.get("name") == "ClipGradByValue" and set(arguments) <= {"max", "min"}
    if known and isinstance(highest, int | float):
        return {"value": [arguments.get("min", -highest), highest]}
    return None


def _groups(data: dict[Key, Any], section: dict[Key, Any], origins: Origins, problems: list[Problem]) -> None:
    """``custom_cfg`` (substrings of names) and ``backbone_lr_mult`` as ``param_groups`` (patterns)."""
    groups: list[dict[str, Any]] = []
    custom = section.pop("custom_cfg", None)
    for index, item in enumerate(custom if isinstance(custom, list) else []):
        path = ("optimizer", "custom_cfg", index)
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            problems.append(origins.problem(path, f"a group is a mapping with a 'name', got {item!r}"))
            continue
        for key in sorted(str(key) for key in set(item) - {"name", "lr_mult", "weight_decay_mult"}):
            _ignored(origins, (*path, key), "PaddleSeg does not read it; a group has name, lr_mult, weight_decay_mult")
        group: dict[str, Any] = {"match": f"*{item['name']}*", "lr_mult": item.get("lr_mult", 1.0), "optional": True}
        decay, factor = section.get("weight_decay"), item.get("weight_decay_mult")
        if isinstance(decay, int | float) and isinstance(factor, int | float):
            group["weight_decay"] = decay * factor
        groups.append(group)
        origins.move(path, ("param_groups", len(groups) - 1))
    if custom is not None and not isinstance(custom, list):
        problems.append(origins.problem(("optimizer", "custom_cfg"), f"must be a list of groups, got {custom!r}"))
    factor = section.pop("backbone_lr_mult", None)
    if factor is not None:
        groups.append({"match": "backbone.*", "lr_mult": factor})
        origins.move(("optimizer", "backbone_lr_mult"), ("param_groups", len(groups) - 1))
    if not groups:
        return
    if data.get("param_groups"):
        both = ("optimizer", "custom_cfg")
        problems.append(origins.problem(both, "groups are given twice, here and as 'param_groups'", "keep one of them"))
        return
    data["param_groups"] = groups


def _schedule(data: dict[Key, Any], origins: Origins, problems: list[Problem]) -> None:
    section = data.get("lr_scheduler")
    if not isinstance(section, dict) or not isinstance(section.get("type"), str):
        return
    name = section["type"]
    if name in _NO_SCHEDULE:
        problems.append(origins.problem(("lr_scheduler", "type"), f"{name} cannot be used", _NO_SCHEDULE[name]))
        del data["lr_scheduler"]
        return
    if name == "CosineAnnealingDecay":
        section["type"] = "CosineDecay"
    for old, new in _RATES.get(section["type"], ()):
        if old not in section:
            continue
        if new in section:
            seen = f"given twice, as '{old}' and as '{new}'"
            problems.append(origins.problem(("lr_scheduler", old), seen, "keep one of them"))
        section[new] = section.pop(old)
        origins.move(("lr_scheduler", old), ("lr_scheduler", new))
    values = section.get("values")
    if name == "PiecewiseDecay" and isinstance(values, list) and values:
        section.setdefault("learning_rate", values[0])
    for key in ("last_epoch", "verbose"):
        if key in section:
            _ignored(origins, ("lr_scheduler", key), "a run counts its iterations itself")
            del section[key]


def _transforms(name: str, section: dict[Key, Any], origins: Origins) -> None:
    """Remove the step whose work MaskFormerLoss does here."""
    steps = section.get("transforms")
    if not isinstance(steps, list):
        return
    kept = [step for step in steps if not (isinstance(step, dict) and step.get("type") == _TARGETS_FROM_LABELS)]
    if len(kept) < len(steps):
        index = next(index for index, step in enumerate(steps) if step not in kept)
        _ignored(origins, (name, "transforms", index), "MaskFormerLoss makes its targets from the labels")
        for place, step in enumerate(steps):
            if step in kept:
                _move_below(origins, (name, "transforms", place), (name, "transforms", kept.index(step)))
        section["transforms"] = kept


def _move_below(origins: Origins, old: KeyPath, new: KeyPath) -> None:
    """What stood at ``old``, with all inside it, now stands at ``new``."""
    for path in [path for path in origins.table if path[: len(old)] == old]:
        moved: KeyPath = new + path[len(old) :]
        origins.table[moved] = origins.table[path]


def _loss(data: dict[Key, Any]) -> None:
    """One loss with several coefficients serves all outputs."""
    section = data.get("loss")
    if not isinstance(section, dict):
        return
    types, coef = section.get("types"), section.get("coef")
    if isinstance(types, list) and isinstance(coef, list) and len(types) == 1 and len(coef) > 1:
        section["types"] = [dict(types[0]) if isinstance(types[0], dict) else types[0] for _ in coef]


def _test_config(data: dict[Key, Any], origins: Origins, problems: list[Problem]) -> None:
    section = data.get("test_config")
    if not isinstance(section, dict):
        return
    scales = section.get("scales")
    if isinstance(scales, int | float) and not isinstance(scales, bool):
        section["scales"] = [scales]
    elif isinstance(scales, str):  # test_config.scales=0.75,1.0,1.25 on the command line
        try:
            section["scales"] = [float(part) for part in scales.split(",")]
        except ValueError:
            fix = "write [0.75, 1.0, 1.25]"
            problems.append(origins.problem(("test_config", "scales"), f"not a list of numbers: {scales!r}", fix))
            del section["scales"]


def _ignored(origins: Origins, path: KeyPath, reason: str) -> None:
    problem = origins.problem(path, f"not used: {reason}")
    logger.warning("warning: %s", problem)
