"""What showing results must know about video instance segmentation (the contract: :mod:`mobileseg.viz.task`).

Frames are shown as images are; a frame that was computed whole has a mark in its lower left corner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mobileseg.instance import visualize as instances
from mobileseg.instance.visualize import InstanceVisualizer, results_file, track_files, truth
from mobileseg.structures import InstanceResult
from mobileseg.video.names import KEY
from mobileseg.viz.task import Column, Curves, Model, ScoreTable, ShownScores
from mobileseg.viz.text import draw_text, text_width

__all__ = ["LOSS_PARTS", "VideoVisualizer", "curves", "results_file", "scores", "track_files", "truth", "visualizer"]

TRACKS_BY_DEFAULT = True
"""Videos are what these models are for, so their objects have ids unless the caller wants none."""

LOSS_PARTS = (*instances.LOSS_PARTS, "flow", "matching")

_IDENTITY = {"hota": "HOTA", "deta": "DetA", "assa": "AssA", "idf1": "IDF1", "association": "of perfect association"}
_MARK = "key frame"


def visualizer(model: Model, *, opacity: float | None = None, min_score: float | None = None) -> VideoVisualizer:
    """See :meth:`mobileseg.viz.task.Visualization.visualizer`."""
    return VideoVisualizer(
        model,
        instances.OPACITY if opacity is None else opacity,
        instances.MIN_SCORE if min_score is None else min_score,
    )


class VideoVisualizer(InstanceVisualizer):
    """As :class:`~mobileseg.instance.visualize.InstanceVisualizer`, with the kind of every frame of a video."""

    def frame(self, image: np.ndarray, result: InstanceResult) -> np.ndarray:
        shown = super().frame(image, result)
        if result.pipeline == KEY:
            cap = max(7, min(16, round(min(image.shape[:2]) / 40)))
            low = image.shape[0] - 1 - cap
            if text_width(_MARK, cap) + 2 * cap < image.shape[1] and low - cap > 0:
                draw_text(shown, _MARK, (cap, low), cap, (255, 255, 255))
        return shown

    def facts(self, result: InstanceResult, name: str | int) -> dict[str, Any]:
        """As of an image, and the pipeline that the frame ran."""
        return {**super().facts(result, name), "pipeline": result.pipeline}


def scores(scores: Mapping[str, Any]) -> ShownScores:
    """Mask AP of frames, AP of tracks, HOTA and IDF1; tables of frames, tracks and kinds of frames."""
    frames = instances.scores(scores)
    tracks, identity = scores.get("tracks"), scores.get("tracking")
    headline, tables = list(frames.headline[:2]), list(frames.tables)
    if tracks and identity:
        headline += [("track AP", tracks["ap"]), ("HOTA", identity["hota"]), ("IDF1", identity["idf1"])]
        values = tuple(identity[key] for key in _IDENTITY)
        tables.append(ScoreTable("", tuple(Column(title) for title in _IDENTITY.values()), (("tracks", values),)))
    kinds = scores.get("frame_kinds") or {}
    if kinds:
        columns = (Column("frames", "{:d}"), Column("mask AP"), Column("mean ms", "{:.1f}"), Column("p95 ms", "{:.1f}"))
        rows = tuple((name, _kind_values(row)) for name, row in kinds.items())
        tables.append(ScoreTable("frames", columns, rows))
    note = frames.note + (
        " Tracks: the overlap of a pair is that of its masks in all frames together; HOTA and IDF1 judge identities."
        if tracks
        else ""
    )
    return ShownScores(tuple(headline), tuple(tables), note)


def curves(evals: Sequence[Mapping[str, Any]]) -> Curves:
    """Mask AP of frames and AP of tracks over the evaluations."""
    shown = {"mask AP": ("mask", "ap"), "track AP": ("tracks", "ap"), "HOTA": ("tracking", "hota")}
    values = {name: [(event.get(kind) or {}).get(key) for event in evals] for name, (kind, key) in shown.items()}
    kept = {name: row for name, row in values.items() if any(value is not None for value in row)}
    return Curves("Validation", kept or {"mask AP": values["mask AP"]})


def _kind_values(row: Mapping[str, Any]) -> tuple[float | None, ...]:
    times = row.get("ms") or {}
    return row["frames"], row["mask_ap"], times.get("mean"), times.get("p95")
