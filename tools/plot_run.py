"""The curves of a run as a picture: loss, learning rate and validation mIoU over the iterations.

python tools/plot_run.py output/NAME docs/images/NAME.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from mobileseg.viz.history import read_history


def main() -> None:
    """Read log.jsonl, draw three panels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("picture", type=Path, help="PNG or SVG to write")
    args = parser.parse_args()
    history = read_history(args.run / "log.jsonl")
    figure, panels = pyplot.subplots(1, 3, figsize=(12, 3.2), constrained_layout=True)
    for panel, kind, key, title in zip(
        panels, ("train", "train", "eval"), ("loss", "lr", "miou"), ("loss", "learning rate", "mIoU (val)"), strict=True
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
