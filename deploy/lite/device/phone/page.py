"""The result of one image or video as a page: the overlay and where the time went."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import median

STAGES = ("decode", "preprocess", "inference", "postprocess")

_STYLE = (
    "body{font:16px/1.5 sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1c2430}"
    "img{max-width:100%}td,th{padding:.2rem 1rem .2rem 0;text-align:right}td:first-child,th:first-child"
    "{text-align:left}.bar{background:#2563eb;height:.7rem}td.w{width:50%}"
)


def stage_times(records: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """Median milliseconds of every stage; of a video the first frame, which warms the engine up, does not count."""
    used = records[1:] or records
    return {stage: round(median(record["times_ms"][stage] for record in used), 3) for stage in STAGES}


def write_page(path: Path, title: str, overlay: Path, times: Mapping[str, float], facts: Mapping[str, str]) -> None:
    """Write the page.

    Args:
        path: file to write.
        title: heading.
        overlay: image or video below the folder of the page.
        times: milliseconds per stage.
        facts: what else to tell, name and value.
    """
    link = escape(overlay.relative_to(path.parent).as_posix())
    shown = f'<img src="{link}" alt="overlay">' if overlay.suffix == ".png" else f'<a href="{link}">{link}</a>'
    longest = max(times.values()) or 1.0
    lines = "".join(
        f'<tr><td>{stage}</td><td>{value:.2f} ms</td><td class="w">'
        f'<div class="bar" style="width:{value / longest:.1%}"></div></td></tr>'
        for stage, value in times.items()
    )
    notes = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts.items())
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1><p>{shown}</p><table>{lines}</table><table>{notes}</table></html>\n",
        encoding="utf-8",
    )


def show(path: Path) -> bool:
    """Open a file with the program that the desktop has for it; whether there is one."""
    if sys.platform == "win32":
        os.startfile(path)  # noqa: S606  # our own file
        return True
    program = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if program is None or (sys.platform != "darwin" and not _has_display()):
        return False
    quiet = subprocess.DEVNULL
    done = subprocess.run([program, str(path)], stdin=quiet, stdout=quiet, stderr=quiet, check=False)
    return done.returncode == 0


def _has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
