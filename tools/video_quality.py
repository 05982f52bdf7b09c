"""What key frames and flow cost in quality, for the tables in docs/video.md::

    python tools/video_quality.py RUN_OR_ZOO_FOLDER data/clips

The second folder takes the place of ``val_dataset.dataset_root``. Three ways over the frames: every frame computed
whole, one key frame in ``--every``, and the same key frames with their features copied to the other frames as they are.
Frames that are no key frames in the second way are judged apart in all three. Flicker is that of the exact flow where
the clips have it (``mobileseg.data.synthetic.video.generate_clips(..., flow=True)``), else it is estimated from the
images. *IoU* is that of all objects together, found and true, over all frames.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.config.build import build_dataset, build_network
from mobileseg.config.load import RUN_CONFIG, load_config
from mobileseg.data.flow import read_flow
from mobileseg.data.io import read_label
from mobileseg.instance.fpn import onto
from mobileseg.instance.options import DetectionOptions
from mobileseg.tracking.flicker import FlickerMeter, changes, label_map
from mobileseg.training.evaluator import evaluate
from mobileseg.training.store import run_folder_of
from mobileseg.training.weights import load_checkpoint_weights
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.names import KEY, NONKEY
from mobileseg.video.predictor import VideoPredictor

SHOWN = 0.3
"""Score from which an object is part of the labels whose flicker is measured."""


class Watched:
    """A predictor whose results are named by the place of their frame, and whose flicker and IoU are measured.

    Args:
        predict: gives objects of frames in their order.
        dataset: whose frames they are.
        every: distance of the frames that are called key frames.
    """

    def __init__(self, predict: VideoPredictor, dataset: Any, every: int) -> None:
        self.predict, self.dataset, self.every = predict, dataset, every
        self.changed = self.compared = self.shared = self.joined = 0
        self._indices = iter([index for sequence in dataset.sequences() for index in sequence])
        self.begin()

    def begin(self) -> None:
        """The first frame of a clip is next."""
        self.predict.begin()
        self._place = 0
        self._before: tuple[Path, np.ndarray] | None = None
        self._meter = FlickerMeter()

    def __call__(self, sample: Any) -> Any:
        result = self.predict(sample)
        labels = label_map(result.above(SHOWN))
        frame, raw = Path(sample.meta["image_path"]), self.dataset.load(next(self._indices))
        if (frame.parents[2] / "flow").is_dir():
            self._compare(frame, labels)
        else:
            self._estimate(raw.image, labels)
        self._overlap(raw.instances, labels)
        kind = NONKEY if self._place % self.every else KEY
        self._place += 1
        return replace(result, pipeline=kind)

    def _compare(self, frame: Path, labels: np.ndarray) -> None:
        """Count changes from the frame before, where the flow between them is known: not at a cut."""
        if self._before is not None:
            before, old = self._before
            part, clip = before.parents[2], before.parent.name
            flow = part / "flow" / clip / f"{before.stem}.flo"
            if flow.is_file():
                hidden = read_label(part / "occluded" / clip / f"{before.stem}.png") > 0
                self._count(*changes(old, labels, read_flow(flow), hidden))
        self._before = frame, labels

    def _estimate(self, image: np.ndarray, labels: np.ndarray) -> None:
        """Count changes along the flow that the images suggest."""
        before = self._meter.changed, self._meter.compared
        self._meter.add(image, labels)
        self._count(self._meter.changed - before[0], self._meter.compared - before[1])

    def _count(self, changed: int, compared: int) -> None:
        self.changed, self.compared = self.changed + changed, self.compared + compared

    def _overlap(self, truth: Any, labels: np.ndarray) -> None:
        if truth is None:  # not annotated
            return
        there, found = truth.masks.any(axis=0), labels > 0
        self.shared += int((found & there).sum())
        self.joined += int((found | there).sum())


class CopyPredictor(VideoPredictor):
    """As its base, with the key frame's coarse maps used in other frames as they are, neither moved nor refined."""

    def begin(self) -> None:
        super().begin()
        network: Any = self.network
        network.transform = lambda lateral, _reduced, key: [onto(lateral, key.level4), key.level4, key.level5]


def main() -> None:
    """Evaluate three times, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="run or zoo folder of a network whose features move along a flow")
    parser.add_argument("clips", help="folder of the validation videos")
    parser.add_argument("--every", type=int, default=5, help="distance of key frames (default: 5)")
    args = parser.parse_args()
    run = run_folder_of(args.folder)
    config = load_config(run / RUN_CONFIG, [f"val_dataset.dataset_root={args.clips}"])
    settings = config.to_dict()
    dataset = build_dataset(settings["val_dataset"])
    print("| way | mask AP | of key frames | of the others | track AP | HOTA | IDF1 | of perfect | flicker | IoU |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for way, every, kind in (
        ("every frame whole", 1, VideoPredictor),
        (f"one key frame in {args.every}, flow", args.every, VideoPredictor),
        (f"one key frame in {args.every}, copied", args.every, CopyPredictor),
    ):
        network = build_network(config, load_pretrained=False)
        load_checkpoint_weights(str(args.folder), network)
        network.eval()
        detection = DetectionOptions(**settings["detection"])
        watched = Watched(kind(network, detection, KeyframeOptions(every=every)), dataset, args.every)
        scores = evaluate(watched, dataset)
        kinds, tracking = scores["frame_kinds"], scores["tracking"]
        values = [
            scores["mask"]["ap"], kinds[KEY]["mask_ap"], kinds[NONKEY]["mask_ap"], scores["tracks"]["ap"],
            tracking["hota"], tracking["idf1"], tracking["association"],
            watched.changed / max(1, watched.compared), watched.shared / max(1, watched.joined),
        ]  # fmt: skip
        print(f"| {way} | {' | '.join('-' if value is None else f'{value:.4f}' for value in values)} |", flush=True)


if __name__ == "__main__":
    main()
