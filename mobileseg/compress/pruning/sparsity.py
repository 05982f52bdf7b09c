"""Sparsity training: the scales of norms are pressed to zero, and what does not resist can be removed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import paddle
from paddle import nn

from mobileseg.compress.channels.groups import Groups, find_groups
from mobileseg.compress.channels.labels import LOCKED
from mobileseg.compress.channels.norms import find_norms
from mobileseg.errors import CompressionError
from mobileseg.registry import EXTENSIONS
from mobileseg.training.extension import Extension, Surroundings
from mobileseg.training.objective import Objective


class ScaleSparsity:
    """The subgradient of ``strength * sum |gamma|`` over the scales of removable channels.

    Network slimming, Liu et al. 2017, arXiv:1708.06519.

    Args:
        network: its parameters are those that the optimizer steps.
        removable: from :func:`removable_scales`.
        strength: factor of the sign that is added to the gradient.

    Raises:
        CompressionError: no scale of removable channels is trained.
    """

    def __init__(self, network: nn.Layer, removable: Mapping[str, np.ndarray], strength: float) -> None:
        parameters = dict(network.named_parameters())
        #: Names of the scales; weight decay would press on them a second time.
        self.scales = frozenset(name for name in removable if not parameters[name].stop_gradient)
        if not self.scales:
            raise CompressionError(
                "sparsity: no trained norm of this network scales channels that can be removed",
                remedy="take the section `sparsity` out, or freeze fewer norms",
            )
        self._pressed = [
            (parameters[name], paddle.to_tensor(np.float32(strength) * mask.astype(np.float32)))
            for name, mask in removable.items()
            if name in self.scales
        ]

    def add_gradients(self) -> None:
        """Add the subgradient to the gradients; call it between backward and the optimizer's step."""
        with paddle.no_grad():
            for parameter, strength in self._pressed:
                if parameter.grad is not None:
                    push = strength * paddle.sign(parameter.astype("float32"))
                    parameter.grad.add_(push.astype(parameter.grad.dtype))


class Sparsity(Extension):
    """The section ``sparsity``.

    Args:
        removable: from :func:`removable_scales`, of the network as it was built.
        strength: see :class:`ScaleSparsity`.
    """

    name = "sparsity"

    def __init__(self, removable: Mapping[str, np.ndarray], strength: float) -> None:
        self.removable = removable
        self.strength = strength

    def attach(self, objective: Objective) -> None:
        """Find the scales that are trained; what presses on them takes the place of their weight decay.

        Raises:
            CompressionError: there are none.
        """
        self._pressure = ScaleSparsity(objective.network, self.removable, self.strength)
        self.undecayed = self._pressure.scales

    def before_step(self) -> None:
        """Press on the scales."""
        self._pressure.add_gradients()


@EXTENSIONS.add_component
def sparsity(surroundings: Surroundings) -> Sparsity:
    """The extension of the section ``sparsity``."""
    section = surroundings.config.to_dict()["sparsity"]
    return Sparsity(removable_scales(find_groups(surroundings.network)), section["strength"])


def removable_scales(groups: Groups) -> dict[str, np.ndarray]:
    """Name of a norm's scale -> which of its channels can be removed, bool [channels]; those with none are left out."""
    found = {norm.scale: groups.units[norm.scale, 0] != LOCKED for norm in find_norms(groups.graph)}
    return {name: mask for name, mask in found.items() if mask.any()}
