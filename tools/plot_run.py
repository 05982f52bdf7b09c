"""The curves of a run as a picture: loss, learning rate and the validation's score over the iterations.

python tools/plot_run.py output/NAME docs/images/NAME.png
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from mobileseg.viz.history import read_history


def _score(evals: list[dict[str, Any]]) -> tuple[str, str]:
    """Key and name of the score that decides; logs of earlier versions have mIoU alone."""
    if evals and "metric" in evals[-1]:
        return "score", str(evals[-1]["metric"])
    return "miou", "mIoU"


def main() -> None:
    """Read log.jsonl, draw three panels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("picture", type=Path, help="PNG or SVG to write")
    args = parser.parse_args()
    history = read_history(args.run / "log.jsonl")
    figure, panels = pyplot.subplots(1, 3, figsize=(12, 3.2), constrained_layout=True)
    score, name = _score(history["eval"])
    for panel, kind, key, title in zip(
        panels,
        ("train", "train", "eval"),
        ("loss", "lr", score),
        ("loss", "learning rate", f"{name} (val)"),
        strict=True,
    ):
        points = [(event["iter"], event[key]) for event in history[kind] if event.get(key) is not None]
        if points:
            panel.plot(*zip(*points, strict=True), marker="o" if kind == "eval" else None, color="#2563eb")
        panel.set_title(title)
        panel.set_xlabel("iteration")
        panel.grid(alpha=0.3)
    args.picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.picture, dpi=110)


if __name__ == "__main__":
    main()
