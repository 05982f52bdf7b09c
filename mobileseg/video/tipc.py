"""The certification chain of video networks (the contract: tools/make_tipc.py): images, which are key frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mobileseg.instance.tipc import BATCH, EVAL_FLAGS, KIND, LEAST_EQUAL, PREDICT_FLAGS, SIZE, dataset
from mobileseg.instance.tipc import changes as of_instances
from mobileseg.registry import NETWORKS
from mobileseg.video.mobileinst.model import MobileInst

__all__ = ["BATCH", "EVAL_FLAGS", "KIND", "LEAST_EQUAL", "PREDICT_FLAGS", "SIZE", "changes", "dataset"]

TRAINED_QUERIES = "zoo/mobileinst_mobilenetv2_clips/model.pdparams"
"""Where a chain of MobileInst starts: from random weights, queries find nothing within the steps of a chain, and
agreement about empty masks shows nothing."""


def changes(model: Mapping[str, Any], classes: int, height: int) -> dict[str, Any]:
    """What a training of seconds on generated data changes in a configuration besides its data."""
    found = of_instances(model, classes, height)
    if NETWORKS.get(model["type"]) is MobileInst:
        own = {"num_classes": classes - 1, "pretrained": TRAINED_QUERIES}
        return {**found, "model": own}
    own = {"pretrained": None, "anchor_scales": None}
    return {**found, "model": {**found["model"], **own}}
