"""What may be added to training by a section of the configuration: an average of the weights, a teacher, sparsity.

An extension is found in the registry ``EXTENSIONS`` by the name of its section, so that training knows none of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from paddle import nn

from mobileseg.config.load import Config
from mobileseg.registry import EXTENSIONS
from mobileseg.training.objective import Objective
from mobileseg.training.optim import ParameterGroup


@dataclass(frozen=True)
class Surroundings:
    """What an extension is built from.

    Attributes:
        config: resolved configuration.
        network: as it was built: neither frozen nor synchronised between processes.
        dataset: training dataset.
    """

    config: Config
    network: nn.Layer
    dataset: Any


class Extension:
    """Does nothing; extensions replace what they need.

    Attributes:
        name: its section of the configuration, and the name of what it keeps in a checkpoint.
        description: one line for the log, '' for none.
        undecayed: names of parameters that get no weight decay; known after :meth:`attach`.
        evaluates: whether :meth:`evaluated` and the arrays of :meth:`state` are other weights than the network's.
    """

    name = ""
    description = ""
    undecayed: Collection[str] = ()
    evaluates = False

    def attach(self, objective: Objective) -> None:
        """Take part in the first step's objective, before the optimizer is made; it may be changed."""

    def groups(self, weight_decay: float) -> list[ParameterGroup]:
        """Parameters that are trained besides those of the network."""
        return []

    def start(self, network: nn.Layer) -> None:
        """The network is now as it will be trained, in its number format."""

    def before_step(self) -> None:
        """Gradients are complete, unscaled and clipped; the optimizer steps next."""

    def after_step(self) -> None:
        """The optimizer has stepped."""

    def evaluated(self) -> AbstractContextManager[None]:
        """Inside, the network has the weights that are evaluated."""
        return nullcontext()

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """What a checkpoint keeps: arrays (a file of its own), and JSON values. Nothing where both are empty."""
        return {}, {}

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Compare saved arrays with these before anything is loaded.

        Raises:
            ConfigError: they do not belong here.
        """

    def load(
        self, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any], weights: Mapping[str, np.ndarray]
    ) -> None:
        """Go on from what :meth:`state` gave; both are empty when the checkpoint is of a run without the extension.

        Args:
            arrays: checked.
            values: JSON values.
            weights: of the network in the checkpoint.
        """


def build_extensions(surroundings: Surroundings) -> dict[str, Extension]:
    """The extensions that a configuration asks for, by name.

    Raises:
        MobileSegError: one of them cannot be built.
    """
    settings = surroundings.config.to_dict()
    return {name: EXTENSIONS.get(name)(surroundings) for name in EXTENSIONS if settings.get(name) is not None}
