"""The certification chain of instance segmentation networks (the contract: tools/make_tipc.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIZE = (96, 96)
BATCH = 2
EVAL_FLAGS = ""
KIND = "json"
PREDICT_FLAGS = " --min_score 0"
LEAST_EQUAL = "0.99"


def changes(model: Mapping[str, Any], classes: int, height: int) -> dict[str, Any]:
    """What a training of seconds on generated data changes in a configuration besides its data."""
    return {"model": {"num_classes": classes - 1, "input_size": height}, "clip": {"norm": 10.0}, "freeze": []}


def dataset(part: str, root: str, classes: int) -> dict[str, Any]:
    """The section of the generated dataset, without its transforms; the background is no object."""
    return {"type": "CocoInstances"}
