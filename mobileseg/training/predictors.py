"""The predictor that evaluates a network, by the network's task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import paddle

from mobileseg.training.task import Predictor, training_of


def make_predictor(
    network: paddle.nn.Layer, settings: Mapping[str, Any], test_config: Mapping[str, Any] | None = None
) -> Predictor:
    """What evaluates a network in evaluation mode.

    Args:
        network: its ``task`` decides.
        settings: resolved configuration.
        test_config: instead of the one of the configuration.

    Raises:
        ConfigError: the network has no task, or ``test_config`` cannot be used with it.
    """
    views = settings["test_config"] if test_config is None else test_config
    return training_of(network).predictor(network, settings, views)
