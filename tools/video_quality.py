"""What key frames cost in quality, for the tables in docs/video.md::

    python tools/video_quality.py RUN_OR_ZOO_FOLDER data/clips
    python tools/video_quality.py zoo/mobileinst_mobilenetv2_clips data/clips --every 2 3 5 6

The second folder takes the place of ``val_dataset.dataset_root``. Ways over the frames: every frame computed whole, and
for each number of ``--every`` one key frame in so many; of networks whose features move along a flow, the same key
frames also with their features copied to the other frames as they are. Frames that are no key frames with the first of
these numbers are judged apart, also where every frame is computed whole. Objects of queries are those of tracks.
Flicker is that of the exact flow where the clips have it (``mobileseg.data.synthetic.video.generate_clips(...,
flow=True)``), else it is estimated from the images. *IoU* is that of all objects together, found and true, over all
frames.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.config.build import build_dataset, build_network
from mobileseg.config.load import RUN_CONFIG, load_config
from mobileseg.data.flow import read_flow
from mobileseg.data.io import read_label
from mobileseg.errors import ConfigError, MobileSegError
from mobileseg.instance.fpn import onto
from mobileseg.instance.options import DetectionOptions
from mobileseg.tracking.flicker import FlickerMeter, changes, label_map
from mobileseg.training.evaluator import evaluate
from mobileseg.training.predictors import make_predictor
from mobileseg.training.store import run_folder_of
from mobileseg.training.weights import load_checkpoint_weights
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.mobileinst.model import MobileInst
from mobileseg.video.mobileinst.training import QueryPredictor
from mobileseg.video.names import KEY, NONKEY
from mobileseg.video.predictor import VideoPredictor
from mobileseg.video.yolact_edge import FlowYolact

SHOWN = 0.3
"""Score from which an object is part of the labels whose flicker is measured."""


class Watched:
    """A predictor whose results are named by the place of their frame, and whose flicker and IoU are measured.

    Args:
        predict: gives objects of frames in their order.
        dataset: whose frames they are.
        every: distance of the frames that are called key frames.
    """

    def __init__(self, predict: VideoPredictor | QueryPredictor, dataset: Any, every: int) -> None:
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

    def outputs(self, image: np.ndarray) -> dict[str, np.ndarray]:
        network: Any = self.network
        network.transform = lambda lateral, _reduced, key: [onto(lateral, key.level4), key.level4, key.level5]
        try:
            return super().outputs(image)
        finally:
            del network.transform


def predictors(
    network: Any, settings: Mapping[str, Any], numbers: Sequence[int]
) -> Iterator[tuple[str, int, VideoPredictor | QueryPredictor]]:
    """Way over the frames, distance of its key frames, and what goes it.

    Raises:
        ConfigError: the network is for images.
    """
    whole = "every frame whole"
    if isinstance(network, MobileInst):
        for every in (1, *numbers):
            predict = make_predictor(network, {**settings, "keyframes": {"every": every}})
            assert isinstance(predict, QueryPredictor)
            yield whole if every == 1 else f"kernels of {every} frames", every, predict.for_stream(True)
        return
    if not isinstance(network, FlowYolact):
        raise ConfigError(
            f"{type(network).__name__} computes every frame whole", remedy="name the folder of a video network"
        )
    detection = DetectionOptions(**settings["detection"])
    yield whole, 1, VideoPredictor(network, detection, KeyframeOptions(every=1))
    for every in numbers:
        yield f"one key frame in {every}, flow", every, VideoPredictor(network, detection, KeyframeOptions(every=every))
        copied = CopyPredictor(network, detection, KeyframeOptions(every=every))
        yield f"one key frame in {every}, copied", every, copied


def main() -> int:
    """Evaluate every way, print a table; 0, or the exit code of an error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="run or zoo folder of a video network")
    parser.add_argument("clips", help="folder of the validation videos")
    parser.add_argument("--every", type=int, nargs="+", default=[5], help="distances of key frames (default: 5)")
    parser.add_argument(
        "-o", "--override", nargs="+", default=[], metavar="KEY=VALUE", help="changes of its configuration"
    )
    args = parser.parse_args()
    try:
        compare(args)
    except MobileSegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def compare(args: argparse.Namespace) -> None:
    """The table.

    Raises:
        MobileSegError: network or clips cannot be used.
    """
    run = run_folder_of(args.folder)
    config = load_config(run / RUN_CONFIG, [f"val_dataset.dataset_root={args.clips}", *args.override])
    settings = config.to_dict()
    dataset = build_dataset(settings["val_dataset"])
    network = build_network(config, load_pretrained=False)
    load_checkpoint_weights(str(args.folder), network)
    network.eval()
    print("| way | mask AP | of key frames | of the others | track AP | HOTA | IDF1 | of perfect | flicker | IoU |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for way, every, predict in predictors(network, settings, args.every):
        watched = Watched(predict, dataset, args.every[0] if every == 1 else every)
        scores = evaluate(watched, dataset)
        kinds, tracking = scores["frame_kinds"], scores["tracking"]
        values = [
            scores["mask"]["ap"], kinds[KEY]["mask_ap"], kinds[NONKEY]["mask_ap"], scores["tracks"]["ap"],
            tracking["hota"], tracking["idf1"], tracking["association"],
            watched.changed / max(1, watched.compared), watched.shared / max(1, watched.joined),
        ]  # fmt: skip
        print(f"| {way} | {' | '.join('-' if value is None else f'{value:.4f}' for value in values)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
