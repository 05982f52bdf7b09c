"""Scores of instance segmentation as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COLUMNS = (
    ("AP", "ap"),
    ("AP50", "ap50"),
    ("AP75", "ap75"),
    ("APs", "ap_small"),
    ("APm", "ap_medium"),
    ("APl", "ap_large"),
    ("AR1", "ar1"),
    ("AR10", "ar10"),
    ("AR100", "ar100"),
    ("ARs", "ar_small"),
    ("ARm", "ar_medium"),
    ("ARl", "ar_large"),
)
"""Titles and names of the twelve numbers."""


def render(scores: Mapping[str, Any]) -> str:
    """Scores of :class:`~mobileseg.instance.metric.CocoScorer`: a row per class, the twelve numbers, AP and AP50."""
    names = list(scores["class_ap"])
    width = max([len("class"), *(len(name) for name in names)])
    lines = [f"{'class':<{width}}{'mask AP':>9}{'AP50':>9}{'box AP':>9}{'objects':>9}"]
    for name, objects in zip(names, scores["class_objects"], strict=True):
        row = scores["class_ap"][name]
        cells = "".join(cell(row[key]) for key in ("mask_ap", "mask_ap50", "box_ap"))
        lines.append(f"{name:<{width}}{cells}{objects:>9}{'' if objects else '  absent'}")
    lines += ["", " " * 5 + "".join(f"{title:>8}" for title, _ in COLUMNS)]
    for kind in ("mask", "box"):
        lines.append(f"{kind:<5}" + "".join(cell(scores[kind][key], 8) for _, key in COLUMNS))
    lines.append("")
    for kind in ("mask", "box"):
        ap, ap50 = (cell(scores[kind][key]).strip() for key in ("ap", "ap50"))
        lines.append(f"{kind} AP (IoU .50:.95) {ap}   {kind} AP50 (IoU .50 alone) {ap50}")
    lines.append(f"{sum(scores['class_objects'])} objects, {scores['detections']} detections; {scores['backend']}")
    return "\n".join(lines)


def cell(value: float | None, width: int = 9) -> str:
    """A score, right-aligned; a dash for one that does not exist."""
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.4f}"
