"""The table of tasks: what the suite can be asked to find in an image, and the package that knows how.

What only one task knows lives in that task's package, in one module per stage of life:

===============  =====================================================================================
module           what a stage of life asks of it
===============  =====================================================================================
``training``     objective, predictor, scorer (:mod:`mobileseg.training.task`)
``doctor``       preflight and summary of a dataset (:mod:`mobileseg.data.doctor.task`)
``export``       graphs, recording of the reference, agreement (:mod:`mobileseg.export.task`)
``runtime``      pipeline from an image to a result (:mod:`mobileseg.runtime.task`)
``visualize``    drawing, JSON, summary line (:mod:`mobileseg.viz.task`)
``tipc``         chain of the certification (tools/make_tipc.py)
===============  =====================================================================================

A stage calls :func:`stage` and never asks which task it is. A task of another distribution joins through an entry
point of the group ``mobileseg.tasks`` whose value is its package.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from mobileseg.errors import ConfigError

SEMANTIC = "semantic"
INSTANCE = "instance"
VIDEO = "video"

GROUP = "mobileseg.tasks"
"""Group of entry points by which tasks of other distributions are found."""

_BUILT_IN = {SEMANTIC: "mobileseg.semantic", INSTANCE: "mobileseg.instance", VIDEO: "mobileseg.video"}


@cache
def packages() -> dict[str, str]:
    """Name of a task -> its package."""
    from importlib.metadata import entry_points  # a sixth of the time of `mobileseg --help`, which does without

    return _BUILT_IN | {point.name: point.value for point in entry_points(group=GROUP)}


def task_of(owner: Any) -> str:
    """The task of a network, dataset, loss or manifest (its attribute ``task``), or of a name.

    Raises:
        ConfigError: it has none, or one that is not in the table.
    """
    name = owner if isinstance(owner, str) else getattr(owner, "task", None)
    if name is None:
        what = owner.__name__ if isinstance(owner, type) else type(owner).__name__
        raise ConfigError(f"{what} does not say which task it is for", remedy=f"give it an attribute `task`: {known()}")
    if name not in packages():
        raise ConfigError(f"there is no task '{name}'", remedy=f"known tasks: {known()}")
    return str(name)


def stage(owner: Any, name: str) -> ModuleType:
    """The module in which an owner's task answers for a stage of life.

    Args:
        owner: see :func:`task_of`.
        name: 'training', 'doctor', 'export', 'runtime', 'visualize' or 'tipc'.

    Raises:
        ConfigError: see :func:`task_of`.
    """
    return import_module(f"{packages()[task_of(owner)]}.{name}")


def accepts(task: str, data_task: str) -> bool:
    """Whether networks of a task train and are evaluated on datasets of another.

    A task says so by ``ACCEPTS`` in its module ``training``: a video network learns from still images too.
    """
    return data_task in (task, *getattr(stage(task, "training"), "ACCEPTS", ()))


def known() -> str:
    """The names of the table, for messages."""
    return ", ".join(f"'{name}'" for name in packages())
