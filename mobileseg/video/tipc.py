"""The certification chain of video networks (the contract: tools/make_tipc.py): images, which are key frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mobileseg.instance.tipc import BATCH, EVAL_FLAGS, KIND, LEAST_EQUAL, PREDICT_FLAGS, SIZE, dataset
from mobileseg.instance.tipc import changes as of_instances

__all__ = ["BATCH", "EVAL_FLAGS", "KIND", "LEAST_EQUAL", "PREDICT_FLAGS", "SIZE", "changes", "dataset"]


def changes(model: Mapping[str, Any], classes: int, height: int) -> dict[str, Any]:
    """What a training of seconds on generated data changes in a configuration of that model, besides its data."""
    found = of_instances(model, classes, height)
    own = {**found["model"], "pretrained": None, "anchor_scales": None}
    # Networks of queries have neither anchors nor a size that they are made for, and are unsure of all they find.
    unsure = {"queries": {"score_threshold": 0.0}} if "num_queries" in model else {}
    return {**found, "model": {key: value for key, value in own.items() if key in model}, "freeze": [], **unsure}
