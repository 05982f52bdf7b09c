"""The predictor that evaluates a network, by the network's task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import paddle

from mobileseg.training.evaluator import Predictor, task_of
from mobileseg.training.inference import NetworkPredictor, TestOptions


def make_predictor(
    network: paddle.nn.Layer, settings: Mapping[str, Any], test_config: Mapping[str, Any] | None = None
) -> Predictor:
    """What evaluates a network in evaluation mode.

    Args:
        network: its ``task`` decides; one without is semantic.
        settings: resolved configuration: ``test_config`` and, for instances, ``detection``.
        test_config: instead of the one of the configuration.

    Raises:
        ConfigError: ``test_config`` cannot be used with this network.
    """
    views = settings["test_config"] if test_config is None else test_config
    if task_of(network) == "instance":
        from mobileseg.instance.options import DetectionOptions
        from mobileseg.training.inference_instance import InstancePredictor, refuse_views

        refuse_views(views)
        return InstancePredictor(network, DetectionOptions(**settings["detection"]))
    return NetworkPredictor(network, TestOptions.from_section(views))
