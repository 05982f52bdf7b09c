"""Which task a network, or a folder, is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobileseg.errors import ExportError
from mobileseg.export.options import ExportOptions
from mobileseg.export.semantic import SemanticTask
from mobileseg.export.task import Task
from mobileseg.runtime.artefact import Manifest


def task_for(network: Any, options: ExportOptions) -> Task:
    """The task of a network in memory.

    Args:
        network: its attribute `task` says which; one without it labels pixels.
        options: form of the export.

    Raises:
        ExportError: no such task, or options that make no sense for it.
    """
    name = getattr(network, "task", SemanticTask.name)
    if name != SemanticTask.name:
        raise ExportError(f"networks of the task '{name}' cannot be exported")
    task = SemanticTask()
    task.check(options)
    return task


def task_of(folder: Path, manifest: Manifest) -> Task:
    """The task of an artefact folder."""
    return SemanticTask()
