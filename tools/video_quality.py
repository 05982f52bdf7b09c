"""What key frames and flow cost in quality, on generated clips with exact flow, for the table in docs/video.md::

    python tools/video_quality.py RUN_OR_ZOO_FOLDER data/clips

The clips are those of ``mobileseg.data.synthetic.video.generate_clips(..., flow=True)``. Three ways over the frames:
every frame computed whole, one key frame in ``--every``, and the same key frames with their features copied to the
other frames as they are. Frames that are no key frames in the second way are judged apart in all three.
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
from mobileseg.tracking.flicker import changes, label_map
from mobileseg.training.evaluator import evaluate
from mobileseg.training.store import run_folder_of
from mobileseg.training.weights import load_checkpoint_weights
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.names import KEY, NONKEY
from mobileseg.video.predictor import VideoPredictor

SHOWN = 0.3
"""Score from which an object is part of the labels whose flicker is measured."""


class Watched:
    """A predictor whose results are named by the place of their frame, and whose flicker is measured.

    Args:
        predict: gives objects of frames in their order.
        every: distance of the frames that are called key frames.
    """

    def __init__(self, predict: VideoPredictor, every: int) -> None:
        self.predict, self.every = predict, every
        self.changed = self.compared = 0
        self.begin()

    def begin(self) -> None:
        """The first frame of a clip is next."""
        self.predict.begin()
        self._place = 0
        self._before: tuple[Path, np.ndarray] | None = None

    def __call__(self, sample: Any) -> Any:
        result = self.predict(sample)
        labels = label_map(result.above(SHOWN))
        if self._before is not None:
            self._compare(*self._before, labels)
        self._before = Path(sample.meta["image_path"]), labels
        kind = NONKEY if self._place % self.every else KEY
        self._place += 1
        return replace(result, pipeline=kind)

    def _compare(self, frame: Path, before: np.ndarray, labels: np.ndarray) -> None:
        """Count changes from a frame to the next, where the flow between them is known: not at a cut."""
        part, clip = frame.parents[2], frame.parent.name
        flow = part / "flow" / clip / f"{frame.stem}.flo"
        if flow.is_file():
            hidden = read_label(part / "occluded" / clip / f"{frame.stem}.png") > 0
            changed, compared = changes(before, labels, read_flow(flow), hidden)
            self.changed += changed
            self.compared += compared


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
    parser.add_argument("clips", help="folder of the generated clips")
    parser.add_argument("--every", type=int, default=5, help="distance of key frames (default: 5)")
    args = parser.parse_args()
    run = run_folder_of(args.folder)
    config = load_config(run / RUN_CONFIG, [f"val_dataset.dataset_root={args.clips}"])
    settings = config.to_dict()
    dataset = build_dataset(settings["val_dataset"])
    print("| way | mask AP | of key frames | of the others | track AP | HOTA | IDF1 | of perfect | flicker |")
    print("|---|---|---|---|---|---|---|---|---|")
    for way, every, kind in (
        ("every frame whole", 1, VideoPredictor),
        (f"one key frame in {args.every}, flow", args.every, VideoPredictor),
        (f"one key frame in {args.every}, copied", args.every, CopyPredictor),
    ):
        network = build_network(config, load_pretrained=False)
        load_checkpoint_weights(str(args.folder), network)
        network.eval()
        detection = DetectionOptions(**settings["detection"])
        watched = Watched(kind(network, detection, KeyframeOptions(every=every)), args.every)
        scores = evaluate(watched, dataset)
        kinds, tracking = scores["frame_kinds"], scores["tracking"]
        values = [
            scores["mask"]["ap"], kinds[KEY]["mask_ap"], kinds[NONKEY]["mask_ap"], scores["tracks"]["ap"],
            tracking["hota"], tracking["idf1"], tracking["association"],
            watched.changed / max(1, watched.compared),
        ]  # fmt: skip
        print(f"| {way} | {' | '.join('-' if value is None else f'{value:.4f}' for value in values)} |", flush=True)


if __name__ == "__main__":
    main()
