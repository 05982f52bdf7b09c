"""Whether datasets go with a network and with each other, before anything is trained."""

from __future__ import annotations

from typing import Any

from paddle import nn

from mobileseg.config.classes import require_same_classes
from mobileseg.errors import ConfigError
from mobileseg.tasks import accepts, task_of
from mobileseg.training.task import training_of


def check_datasets(network: nn.Layer, train: Any, val: Any | None) -> None:
    """Datasets are of a task that the network's accepts, can be used, and have the same classes.

    Args:
        network: says its task.
        train: training dataset.
        val: validation dataset, None without evaluations.

    Raises:
        ConfigError: something has no task, tasks do not go together, or classes differ.
        DataError: a dataset cannot be trained or evaluated on.
    """
    task = task_of(network)
    for where, dataset in (("train_dataset", train), ("val_dataset", val)):
        if dataset is None:
            continue
        own = task_of(dataset)
        if not accepts(task, own):
            raise ConfigError(
                f"{where} is for {own} segmentation, the network {type(network).__name__} for {task}",
                remedy=f"use a dataset for {task} segmentation",
            )
        training_of(dataset).require(dataset, where)
    if val is not None:
        require_same_classes(
            train.classes,
            val.classes,
            ("train_dataset", "val_dataset"),
            "give both the same classes in the same order (classes: [...])",
        )
