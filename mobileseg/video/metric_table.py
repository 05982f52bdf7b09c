"""Scores of tracks as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mobileseg.instance.metric_table import COLUMNS, cell

_TIMES = ("mean", "p50", "p95", "max")


def render_tracks(scores: Mapping[str, Any]) -> str:
    """Track scores of :class:`~mobileseg.video.scorer.VideoScorer`: rows of classes, the twelve numbers, identities."""
    names = list(scores["class_tracks"])
    width = max([len("class"), *(len(name) for name in names)])
    lines = [f"{'class':<{width}}{'track AP':>9}{'AP50':>9}{'HOTA':>9}{'IDF1':>9}{'tracks':>9}"]
    for name, row in scores["class_tracks"].items():
        cells = "".join(cell(row[key]) for key in ("ap", "ap50", "hota", "idf1"))
        lines.append(f"{name:<{width}}{cells}{row['tracks']:>9}{'' if row['tracks'] else '  absent'}")
    lines += ["", " " * 6 + "".join(f"{title:>8}" for title, _ in COLUMNS)]
    lines += [f"{'track':<6}" + "".join(cell(scores["tracks"][key], 8) for _, key in COLUMNS), ""]
    one = {name: cell(value).strip() for name, value in scores["tracking"].items()}
    lines += [
        f"HOTA {one['hota']} (DetA {one['deta']}, AssA {one['assa']}, LocA {one['loca']})   "
        f"IDF1 {one['idf1']} (IDP {one['idp']}, IDR {one['idr']})",
        f"association {one['association']} of what perfect association of the same detections gives "
        f"(IDF1 {one['idf1_perfect']})",
        f"{sum(row['tracks'] for row in scores['class_tracks'].values())} tracks in {scores['videos']} videos, "
        f"{scores['found_tracks']} found",
    ]
    return "\n".join(lines)


def render_frame_kinds(kinds: Mapping[str, Mapping[str, Any]]) -> str:
    """A row per kind of frame: how many, mask AP, milliseconds."""
    width = max([len("frames of"), *(len(name) for name in kinds)])
    times = "".join(f"{f'{name} ms':>9}" for name in _TIMES)
    lines = [f"{'frames of':<{width}}{'number':>9}{'mask AP':>9}{times}"]
    for name, row in kinds.items():
        values = "".join(f"{row['ms'][key]:>9.2f}" if row["ms"] else f"{'-':>9}" for key in _TIMES)
        lines.append(f"{name:<{width}}{row['frames']:>9}{cell(row['mask_ap'])}{values}")
    return "\n".join(lines)
