"""PaddleSeg's spellings, rewritten in the one form that the schema knows.

What PaddleSeg accepts in several ways or puts elsewhere is moved here, before the structure is checked;
the origins move along, so that an error still names the line of the file.
"""

from __future__ import annotations

import logging
from typing import Any

from mobileseg.config.structure import Origins
from mobileseg.config.tree import Key
from mobileseg.errors import Problem

logger = logging.getLogger(__name__)

_IGNORED_FACTOR = "lr_multi"
"""A key of a group in the published configurations of PP-MobileSeg that PaddleSeg never reads."""

_OPTIMIZERS = {"sgd": "SGD", "momentum": "SGD", "adamw": "AdamW"}
_NO_COUNTERPART = {
    "to_static_training": "remove it: training runs in dynamic graphs",
    "distill_loss": "remove it: distillation is the section distill, see docs/distill.md",
    "learning_rate": "write it under lr_scheduler",
}


def normalise(data: dict[Key, Any], origins: Origins) -> list[Problem]:
    """Rewrite ``data`` in place; ``origins`` follows.

    Returns:
        Problems with keys that PaddleSeg knows and this suite does not.
    """
    problems: list[Problem] = []
    for key, remedy in _NO_COUNTERPART.items():
        if key in data:
            problems.append(origins.problem((key,), "this key of PaddleSeg has no counterpart here", remedy))
            del data[key]
    _optimizer(data, origins, problems)
    _schedule(data, origins)
    _loss(data)
    _test_config(data, origins, problems)
    for name, mode in (("train_dataset", "train"), ("val_dataset", "val")):
        if isinstance(data.get(name), dict):
            data[name].setdefault("mode", mode)
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
        section["type"] = _OPTIMIZERS.get(name.lower(), name)
    if section.get("lazy_mode") is False:  # PaddleSeg's default, spelt out
        del section["lazy_mode"]
    _clipping(data, section, origins, problems)
    _groups(data, section, origins, problems)


def _clipping(data: dict[Key, Any], section: dict[Key, Any], origins: Origins, problems: list[Problem]) -> None:
    given = section.pop("grad_clip_cfg", None)
    if given is None:
        return
    path = ("optimizer", "grad_clip_cfg")
    usable = isinstance(given, dict) and set(given) == {"name", "clip_norm"} and given["name"] == "ClipGradByGlobalNorm"
    if not usable:
        seen = f"only clipping by the global norm is known, got {given}"
        problems.append(origins.problem(path, seen, "write {name: ClipGradByGlobalNorm, clip_norm: 1.0}"))
    elif data.get("clip") is not None:
        problems.append(origins.problem(path, "clipping is given twice, here and as 'clip'", "keep one of them"))
    else:
        data["clip"] = {"norm": given["clip_norm"]}
        origins.move(path, ("clip",))
        origins.move((*path, "clip_norm"), ("clip", "norm"))


def _groups(data: dict[Key, Any], section: dict[Key, Any], origins: Origins, problems: list[Problem]) -> None:
    """``custom_cfg`` (substrings of names) and ``backbone_lr_mult`` as ``param_groups`` (patterns)."""
    groups: list[dict[str, Any]] = []
    custom = section.pop("custom_cfg", None)
    for index, item in enumerate(custom if isinstance(custom, list) else []):
        path = ("optimizer", "custom_cfg", index)
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            problems.append(origins.problem(path, f"a group is a mapping with a 'name', got {item!r}"))
            continue
        if item.pop(_IGNORED_FACTOR, None) is not None:
            where = origins.problem(path, f"{_IGNORED_FACTOR} has no effect, as in PaddleSeg", "lr_mult would have one")
            logger.warning("%s", where)
        unknown = sorted(str(key) for key in set(item) - {"name", "lr_mult", "weight_decay_mult"})
        if unknown:
            known = "a group has name, lr_mult and weight_decay_mult"
            problems.append(origins.problem(path, f"unknown key {', '.join(unknown)} (PaddleSeg ignores it)", known))
            continue
        group: dict[str, Any] = {"match": f"*{item['name']}*", "lr_mult": item.get("lr_mult", 1.0)}
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


def _schedule(data: dict[Key, Any], origins: Origins) -> None:
    section = data.get("lr_scheduler")
    if isinstance(section, dict) and section.get("type") == "CosineAnnealingDecay":
        section["type"] = "CosineDecay"
        for old, new in (("T_max", "decay_steps"), ("eta_min", "end_lr")):
            if old in section:
                section[new] = section.pop(old)
                origins.move(("lr_scheduler", old), ("lr_scheduler", new))


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
    if section.get("auc_roc") is not None:
        problems.append(origins.problem(("test_config", "auc_roc"), "the AUC is not computed here", "remove it"))
        del section["auc_roc"]
