"""What a run keeps and shows of an evaluation, and which evaluation is the best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SEMANTIC = ("miou", "accuracy", "mean_accuracy", "dice", "kappa", "class_iou")
_INSTANCE = ("mask", "box", "class_ap")
_COMMON = ("metric", "score", "images", "seconds")


def eval_event(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The scores that go into ``log.jsonl``: those that decide, and the others of the task."""
    return {key: scores[key] for key in (*_COMMON, *_SEMANTIC, *_INSTANCE) if key in scores}


def eval_text(scores: Mapping[str, Any]) -> str:
    """The scores in one line, the one that decides first."""
    if "mask" in scores:
        named = {"AP50": scores["mask"]["ap50"], "box AP": scores["box"]["ap"]}
    else:
        named = {"accuracy": scores["accuracy"]}
    parts = [
        f"{scores['metric']} {scores['score']:.4f}",
        *(f"{name} {value or 0.0:.4f}" for name, value in named.items()),
    ]
    return "  ".join([*parts, f"{scores['seconds']:.1f} s"])


def best_of_state(saved: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """``best`` of a checkpoint's state: ``metric``, ``score``, ``iteration``.

    Checkpoints of versions that knew nothing but labels have ``miou`` and ``iteration``.
    """
    if saved is None or "score" in saved:
        return None if saved is None else dict(saved)
    return {"metric": "mIoU", "score": saved["miou"], "iteration": saved["iteration"]}
