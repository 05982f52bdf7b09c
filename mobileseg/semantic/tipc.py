"""The certification chain of semantic segmentation networks (the contract: tools/make_tipc.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIZE = (64, 96)
BATCH = 4
EVAL_FLAGS = " --no_boundary"
KIND = "labels"
PREDICT_FLAGS = ""
LEAST_EQUAL = "0.999"


def changes(model: Mapping[str, Any], classes: int, height: int) -> dict[str, Any]:
    """What a training of seconds on generated data changes in a configuration besides its data."""
    return {}


def dataset(part: str, root: str, classes: int) -> dict[str, Any]:
    """The section of the generated dataset, without its transforms."""
    return {
        "type": "Dataset",
        f"{part}_path": f"{root}/{part}.txt",
        "classes": f"{root}/classes.txt",
        "num_classes": classes,
    }
