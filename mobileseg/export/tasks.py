"""The task of a network in memory, or of an artefact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobileseg import tasks
from mobileseg.errors import ExportError
from mobileseg.export.options import ExportOptions
from mobileseg.export.task import ExportTask
from mobileseg.runtime.manifest import Manifest


def task_for(network: Any, options: ExportOptions, settings: Mapping[str, Any] | None = None) -> ExportTask:
    """The task of a network in memory.

    Args:
        network: its attribute `task` says which.
        options: form of the graphs.
        settings: of the task (`ExportStage.settings_from`); None means the defaults.

    Raises:
        ConfigError: the network does not say its task.
        ExportError: options that make no sense for the task.
    """
    task: ExportTask = tasks.stage(network, "export").task_for(network, options, settings)
    task.check(options)
    return task


def task_of(folder: Path, manifest: Manifest) -> ExportTask:
    """The task of an artefact.

    Raises:
        RuntimeEngineError: a file that belongs to the task cannot be read.
    """
    task: ExportTask = tasks.stage(manifest, "export").task_of(folder, manifest)
    return task


def refuse_foreign_flags(network: Any, changes: Mapping[str, Any]) -> None:
    """Refuse options that were asked for and that the network's task does not have.

    Args:
        network: any network.
        changes: field of `ExportOptions` -> value, None where it was not asked for.

    Raises:
        ExportError: names them.
    """
    foreign = tasks.stage(network, "export").FOREIGN
    found = [_FLAGS[name] for name in foreign if changes.get(name) is not None]
    if found:
        raise ExportError(
            f"{', '.join(found)}: not for a network of the task '{tasks.task_of(network)}'",
            remedy=f"drop {', '.join(found)}",
        )


_FLAGS = {"output_op": "--output_op", "output_size": "--resize_in_graph", "nms_in_graph": "--nms_in_graph"}
