"""What `--smooth` takes from flicker and from mIoU on labelled video, for the table in docs/tracking.md::

    python tools/smoothing_quality.py MODEL data/davis_foreground/val.txt --root data --weights 0 0.5 0.6 0.7

MODEL is an exported semantic segmentation model, the list has an image and its label in every line, frames of one
folder in their order being a video. Flicker is estimated from the images (docs/tracking.md), over all videos together.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from mobileseg import Segmenter
from mobileseg.data.formats.listfile import read_lines
from mobileseg.data.io import read_image, read_label
from mobileseg.semantic.metric import ConfusionMatrix, summary
from mobileseg.tracking.flicker import FlickerMeter


class Quality(NamedTuple):
    """Scores over all videos, each 0..1."""

    miou: float
    flicker: float


def videos(listed: Path, root: Path) -> Iterator[list[tuple[Path, Path]]]:
    """Images and labels of one folder after the other."""
    lines = [line.split() for _, line in read_lines(listed, "name a list with an image and its label in every line")]
    pairs = [(root / image, root / label) for image, label in lines]
    for _, frames in groupby(pairs, key=lambda pair: pair[0].parent):
        yield list(frames)


def quality(model: Segmenter, clips: Sequence[Sequence[tuple[Path, Path]]], weight: float, ignored: int) -> Quality:
    """Score a model with labels that are smoothed by a weight; 0: as they are."""
    matrix = ConfusionMatrix(len(model.manifest.classes), ignored)
    changed = compared = 0
    for clip in clips:
        stream, meter = model.stream(smooth=weight or None), FlickerMeter()
        for path, label in clip:
            image = read_image(path)
            found = stream.step(image).labels
            matrix.update(found, read_label(label))
            meter.add(image, found)
        changed, compared = changed + meter.changed, compared + meter.compared
    return Quality(summary(matrix.matrix, model.manifest.classes)["miou"], changed / max(1, compared))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="exported semantic segmentation model")
    parser.add_argument("list", type=Path, help="image and label in every line")
    parser.add_argument("--root", type=Path, default=Path(), help="folder that the list's paths are relative to")
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 0.5, 0.6, 0.7], help="of earlier frames")
    parser.add_argument("--ignore_index", type=int, default=255, help="label of pixels that do not count")
    args = parser.parse_args()
    model = Segmenter(args.model)
    clips = list(videos(args.list, args.root))
    print("| weight of earlier frames | mIoU | flicker |")
    print("|---|---|---|")
    for weight in args.weights:
        found = quality(model, clips, weight, args.ignore_index)
        print(f"| {weight:g} | {found.miou:.4f} | {found.flicker:.4f} |", flush=True)


if __name__ == "__main__":
    main()
