"""The certification chain of video networks (the contract: tools/make_tipc.py): images, which are key frames."""

from __future__ import annotations

from typing import Any

from mobileseg.instance.tipc import BATCH, EVAL_FLAGS, KIND, LEAST_EQUAL, PREDICT_FLAGS, SIZE, dataset
from mobileseg.instance.tipc import changes as of_instances

__all__ = ["BATCH", "EVAL_FLAGS", "KIND", "LEAST_EQUAL", "PREDICT_FLAGS", "SIZE", "changes", "dataset"]


def changes(classes: int, height: int) -> dict[str, Any]:
    """What a training of seconds on generated data changes in a configuration besides its data."""
    found = of_instances(classes, height)
    own = {"pretrained": None, "anchor_scales": None}
    return {**found, "model": {**found["model"], **own}}
