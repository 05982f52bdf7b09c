"""Whether a student can learn from a teacher: everything that two configurations and two networks must agree on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import paddle

from mobileseg.config.classes import class_difference, class_names
from mobileseg.config.load import Config
from mobileseg.config.schema_distill import Distill
from mobileseg.config.structure import nearest
from mobileseg.errors import Problem
from mobileseg.registry import TRANSFORMS
from mobileseg.tasks import task_of
from mobileseg.training.task import training_of

IMITATED = ("logits", "head")
"""Keys of a ``distill`` section that imitate outputs; which of them a task has, it says itself."""


def section_problems(config: Config, section: Distill) -> list[Problem]:
    """A section that names no loss, or files that are not there."""
    origins = config.origins
    problems = []
    if section.logits is None and section.head is None and not section.features:
        fix = "add logits: {}, head: {} or features: [{student: ..., teacher: ...}]"
        problems.append(origins.problem(("distill",), "names nothing that the student is to imitate", fix))
    for key in ("teacher_config", "teacher_weights"):
        place = getattr(section, key)
        if "://" not in place and not Path(place).exists():
            fix = f"paths are relative to the working folder; or give another with -o distill.{key}=..."
            problems.append(origins.problem(("distill", key), f"{place} does not exist", fix))
    weights = section.logits.class_weight if section.logits else None
    classes = dict(config.model or {}).get("num_classes")
    if weights is not None and len(weights) != classes:
        seen, fix = f"{len(weights)} weights for {classes} classes", f"give {classes} numbers, one per class"
        problems.append(origins.problem(("distill", "logits", "class_weight"), seen, fix))
    return problems


def config_problems(config: Config, teacher: Config) -> list[Problem]:
    """Classes, or numbers that images are normalised with, that differ."""
    problems = []
    own, other = (dict(one.model or {}).get("num_classes") for one in (config, teacher))
    names, known = class_names(config), class_names(teacher)
    fix = "take a teacher of the same classes in the same order"
    if own != other:
        seen = f"the student has {own} classes, the teacher of {teacher.path} has {other}"
        problems.append(_problem(config, seen, fix))
    elif difference := class_difference(names, known):
        problems.append(_problem(config, f"student and teacher do not have the same classes: {difference}", fix))
    mine, theirs = normalisation(config), normalisation(teacher)
    if mine and theirs and not np.allclose(mine, theirs):
        seen = "images are normalised by mean {} and std {} for the student, {} and {} for the teacher".format(
            *mine, *theirs
        )
        problems.append(_problem(config, seen, "both see the same batch: normalise it as the teacher was trained"))
    return problems


def normalisation(config: Config) -> list[list[float]]:
    """Mean and std [R, G, B] that images are normalised with, [] where the configuration has no dataset."""
    for section in (config.train_dataset, config.val_dataset):
        for step in (section or {}).get("transforms") or []:
            if step["type"] == "Normalize":
                transform = TRANSFORMS.get("Normalize")(**{key: value for key, value in step.items() if key != "type"})
                return [list(map(float, transform.mean)), list(map(float, transform.std))]
    return []


def network_problems(
    config: Config, section: Distill, student: paddle.nn.Layer, teacher: paddle.nn.Layer
) -> list[Problem]:
    """Networks of different tasks, losses that are for another task, and layers that are not there."""
    tasks = [task_of(network) for network in (student, teacher)]
    problems = []
    if tasks[0] != tasks[1]:
        seen = f"the student is for {tasks[0]} segmentation, the teacher for {tasks[1]}"
        return [_problem(config, seen, "take a teacher of the same task")]
    fit = training_of(student).IMITATED
    for unfit in IMITATED:
        if unfit not in fit and getattr(section, unfit) is not None:
            seen = f"these networks are for {tasks[0]} segmentation and have no {unfit} to imitate"
            fix = f"use {' or '.join((*fit, 'features'))} instead"
            problems.append(config.origins.problem(("distill", unfit), seen, fix))
    for index, pair in enumerate(section.features):
        for key, network in (("student", student), ("teacher", teacher)):
            name = getattr(pair, key)
            known = [found for found, _ in network.named_sublayers()]
            if name not in known:
                path = ("distill", "features", index, key)
                near = nearest(name, known)
                near = near if near.startswith("did") else f"its parts are {', '.join(dict(network.named_children()))}"
                problems.append(config.origins.problem(path, f"the {key} has no layer '{name}'", near))
    return problems


def anchor_problems(
    config: Config, student: paddle.nn.Layer, teacher: paddle.nn.Layer, size: tuple[int, int]
) -> list[Problem]:
    """Heads whose predictions are not about the same anchors for an input of that (height, width)."""
    own, other = student.anchors(*size), teacher.anchors(*size)
    same = own.shape == other.shape and np.allclose(own, other, atol=1e-6)
    if same and tuple(student.variances) == tuple(teacher.variances):
        return []
    seen = f"at {size[0]}x{size[1]} the student predicts for {len(own)} anchors, the teacher for {len(other)}, and they"
    fix = "give the student's model the input_size, anchor_scales, anchor_ratios and square_anchors of the teacher's"
    return [config.origins.problem(("distill", "head"), f"{seen} are not the same", fix)]


def feature_problems(
    config: Config, section: Distill, shapes: Mapping[str, Mapping[str, list[tuple[int, ...]]]]
) -> list[Problem]:
    """Layers that do not give exactly one map [N, C, h, w].

    Args:
        config: the configuration.
        section: its ``distill``.
        shapes: for 'student' and 'teacher', what each layer gave in one pass, () for what is no tensor.
    """
    problems = []
    for index, pair in enumerate(section.features):
        for key, layers in shapes.items():
            outputs = layers[getattr(pair, key)]
            if len(outputs) != 1 or len(outputs[0]) != 4:
                what = "is not run" if not outputs else "gives no map"
                what = f"runs {len(outputs)} times" if len(outputs) > 1 else what
                seen = f"in a pass of the {key} this layer {what}; expected one output [N, C, h, w]"
                path = ("distill", "features", index, key)
                problems.append(config.origins.problem(path, seen, "name a convolution or a block around one"))
    return problems


def _problem(config: Config, seen: str, fix: str) -> Problem:
    return config.origins.problem(("distill", "teacher_config"), seen, fix)
