"""Answers of graphs that no runtime may use, one table for Python and C++: what is wrong, and what the message says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CLASSES = 4
_NAN, _INF = np.float32("nan"), np.float32("inf")


@dataclass(frozen=True)
class Fault:
    """One damaged output.

    Attributes:
        graph: 'raw' (boxes, scores, coefficients, prototypes of anchors) or 'suppressed' (NMS in the graph).
        output: name of the output that is changed.
        change: changes the array [P, n], [M, n] or [k, h, w] in place, all of whose rows are detected.
        words: what the message must contain.
    """

    graph: str
    output: str
    change: Callable[[np.ndarray], None]
    words: str = "NaN"


def _put(index: tuple[int, ...], value: float) -> Callable[[np.ndarray], None]:
    def change(array: np.ndarray) -> None:
        array[index] = value

    return change


FAULTS = {
    "nan_label": Fault("suppressed", "rows", _put((1, 0), _NAN)),
    "nan_score": Fault("suppressed", "rows", _put((1, 1), _NAN)),
    "nan_corner": Fault("suppressed", "rows", _put((2, 4), _NAN)),
    "nan_in_all_rows": Fault("suppressed", "rows", lambda rows: rows.fill(_NAN)),
    "no_class": Fault("suppressed", "rows", _put((0, 0), CLASSES), f"class {CLASSES}"),
    "huge_label": Fault("suppressed", "rows", _put((0, 0), 1e30), "classes"),
    "infinite_label": Fault("suppressed", "rows", _put((0, 0), _INF), "classes"),
    "nan_coefficient": Fault("suppressed", "mask", _put((0, 0), _NAN)),
    "infinite_coefficient": Fault("suppressed", "mask", _put((1, 2), -_INF)),
    "nan_prototype": Fault("suppressed", "proto", _put((0, 3, 3), _NAN)),
    "raw_nan_background": Fault("raw", "conf", _put((5, 0), _NAN)),
    "raw_nan_score": Fault("raw", "conf", _put((5, 2), _NAN)),
    "raw_nan_box": Fault("raw", "loc", _put((3, 1), _NAN)),
    "raw_nan_coefficient": Fault("raw", "mask", lambda mask: mask.fill(_NAN)),
    "raw_infinite_coefficient": Fault("raw", "mask", lambda mask: mask.fill(_INF)),
    "raw_nan_prototype": Fault("raw", "proto", _put((1, 0, 0), _NAN)),
    "raw_infinite_prototype": Fault("raw", "proto", _put((0, 7, 7), _INF)),
}


def answers(graph: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What a sound graph answers, and the anchors (of 'raw'): every row is a detection, far from all others."""
    rng = np.random.default_rng(8)
    anchors = np.array([[x, y, 0.1, 0.1] for y in (0.2, 0.5, 0.8) for x in (0.2, 0.5, 0.8)], np.float32)
    count = len(anchors)
    shared = {
        "mask": np.tanh(rng.normal(0, 1, (count, 8))).astype(np.float32),
        "proto": rng.random((8, 12, 12), np.float32),
    }
    scores = np.linspace(0.9, 0.5, count, dtype=np.float32)
    labels = np.arange(count) % CLASSES
    if graph == "suppressed":
        corners = np.concatenate([anchors[:, :2] - 0.05, anchors[:, :2] + 0.05], axis=1)
        return {
            "rows": np.concatenate([labels[:, None], scores[:, None], corners], axis=1).astype("f"),
            **shared,
        }, anchors
    conf = np.zeros((count, CLASSES + 1), np.float32)
    conf[:, 0] = 1 - scores
    conf[np.arange(count), labels + 1] = scores
    return {"loc": np.zeros((count, 4), np.float32), "conf": conf.astype(np.float32), **shared}, anchors


def damaged(fault: Fault) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The same, with one output changed, in the shapes of a graph's answers."""
    outputs, anchors = answers(fault.graph)
    fault.change(outputs[fault.output])
    return batched(fault.graph, outputs), anchors


def batched(graph: str, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs with the batch's axis where the graph has one."""
    return {name: value[None] if graph == "raw" or name == "proto" else value for name, value in outputs.items()}
