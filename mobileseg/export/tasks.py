"""Which task a network, or a folder, is of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.errors import ExportError
from mobileseg.export.instance import InstanceTask, read_anchors
from mobileseg.export.nms_in_graph import SuppressionTask, greedy
from mobileseg.export.options import ExportOptions
from mobileseg.export.semantic import SemanticTask
from mobileseg.export.task import Task
from mobileseg.instance.options import DetectionOptions
from mobileseg.runtime.manifest import Manifest

_TASKS: tuple[type[Task], ...] = (SemanticTask, InstanceTask)


def task_for(network: Any, options: ExportOptions, detection: DetectionOptions | None = None) -> Task:
    """The task of a network in memory.

    Args:
        network: its attribute `task` says which; one without it labels pixels.
        options: form of the export.
        detection: of a network that detects; None means the defaults.

    Raises:
        ExportError: options that make no sense for the task.
    """
    task: Task
    if _class_of(network) is InstanceTask:
        size = options.height, options.width
        anchors, variances = network.anchors(*size), tuple(network.variances)
        detection = detection or DetectionOptions()
        if options.nms_in_graph:
            task = SuppressionTask(anchors, greedy(detection), variances, size)
        else:
            task = InstanceTask(anchors, detection, variances, size)
    else:
        task = SemanticTask()
    task.check(options)
    return task


def task_of(folder: Path, manifest: Manifest) -> Task:
    """The task of an artefact folder.

    Raises:
        ExportError: the anchors of a graph that detects cannot be read.
    """
    spec = manifest.detection
    if spec is None:
        return SemanticTask()
    size = manifest.input.height, manifest.input.width
    if spec.anchors is None:
        return SuppressionTask(np.zeros((0, 4), np.float32), spec.options, spec.variances, size)
    return InstanceTask(read_anchors(folder / spec.anchors), spec.options, spec.variances, size)


def refuse_foreign_flags(network: Any, changes: Mapping[str, Any]) -> None:
    """Refuse options that were asked for and that the network's task does not have.

    Args:
        network: any network.
        changes: field of `ExportOptions` -> value, None where it was not asked for.

    Raises:
        ExportError: names them.
    """
    task = _class_of(network)
    found = [_FLAGS[name] for name in task.foreign if changes.get(name) is not None]
    if found:
        raise ExportError(
            f"{', '.join(found)}: not for a network of the task '{task.name}'", remedy=f"drop {', '.join(found)}"
        )


_FLAGS = {"output_op": "--output_op", "output_size": "--resize_in_graph", "nms_in_graph": "--nms_in_graph"}


def _class_of(network: Any) -> type[Task]:
    name = getattr(network, "task", SemanticTask.name)
    for task in _TASKS:
        if task.name == name:
            return task
    raise ExportError(f"networks of the task '{name}' cannot be exported")
