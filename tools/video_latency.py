"""Processor time of the graphs of video networks with random weights, for the table in docs/video.md::

python tools/video_latency.py [--rounds 5] [--only mobileinst_tiny yolact]

ONNX Runtime, one thread. Processor time, not that of the clock: other programs on the machine matter less. The rounds
of all networks take turns, and the table has their medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import onnxruntime

from mobileseg.config.build import build_network
from mobileseg.export.conversion.onnx import translate
from mobileseg.export.conversion.tracing import save_paddle_graph
from mobileseg.export.options import ExportOptions
from mobileseg.nn.graphs import Deployment, deployment
from mobileseg.video.names import KEY, NONKEY

CLASSES, OPSET = 40, 16
EVERY = (1, 2, 3, 5, 6)


def mobileinst(backbone: str, **options: Any) -> dict[str, Any]:
    """A MobileInst; TopFormer has global tokens, the others have not."""
    return {"type": "MobileInst", "backbone": {"type": backbone}, **options}


PHONE = {"channels": 64, "mask_channels": 32, "num_queries": 20, "heads": 4, "hidden": 128, "token_stride": 16}
SETTINGS: Mapping[str, tuple[dict[str, Any], int]] = {
    "mobileinst_base": (mobileinst("TopTransformer_Base"), 640),
    "mobileinst_small": (mobileinst("TopTransformer_Small"), 640),
    "mobileinst_tiny": (mobileinst("TopTransformer_Tiny"), 640),
    "mobileinst_mobilenetv2": (mobileinst("MobileNetV2_x1_0"), 640),
    "mobileinst_tiny_narrow": (mobileinst("TopTransformer_Tiny", channels=64, mask_channels=32, mask_stride=16), 640),
    "mobileinst_phone_192": (mobileinst("MobileNetV2_x1_0", **PHONE), 192),
    "yolact": ({"type": "Yolact", "backbone": {"type": "ResNet50"}, "input_size": 550}, 550),
    "mobileyolact": ({"type": "MobileYolact", "backbone": {"type": "MobileNetV2_x1_0"}, "input_size": 550}, 550),
    "yolact_edge": ({"type": "YolactEdge", "backbone": {"type": "ResNet50"}, "input_size": 550}, 550),
}
"""Name -> network and side of its input."""


class Timed(NamedTuple):
    """A network in ONNX Runtime.

    Attributes:
        deployed: its graphs and pipelines.
        sessions: graph -> session and what it is fed.
        spent: graph -> milliseconds of every round.
    """

    deployed: Deployment
    sessions: dict[str, tuple[onnxruntime.InferenceSession, dict[str, np.ndarray]]]
    spent: dict[str, list[float]]

    def run(self) -> None:
        """A round of all graphs."""
        for name, (session, fed) in self.sessions.items():
            begun = time.process_time()
            session.run(None, fed)
            self.spent[name].append((time.process_time() - begun) * 1000)

    def median(self, pipeline: str) -> float:
        """Milliseconds of a frame; 0 where there is no such pipeline."""
        return sum(statistics.median(self.spent[name]) for name in self.deployed.pipelines.get(pipeline, ()))


def prepared(network: dict[str, Any], side: int, folder: Path) -> Timed:
    """Trace, convert, load."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    built = build_network({"num_classes": CLASSES, **network})
    built.eval()
    options = ExportOptions(side, side)
    deployed = deployment(built, (side, side))
    sessions = {}
    for graph in deployed.graphs:
        stem = folder / graph.name
        save_paddle_graph(built, options, stem, graph=graph.name)
        translate(f"{stem}.pdmodel", f"{stem}.pdiparams", f"{stem}.onnx", OPSET)
        session = onnxruntime.InferenceSession(f"{stem}.onnx", settings, providers=["CPUExecutionProvider"])
        rng = np.random.default_rng(0)
        fed = {one.name: rng.normal(0, 1, one.shape).astype(np.float32) for one in session.get_inputs()}
        session.run(None, fed)
        sessions[graph.name] = session, fed
    return Timed(deployed, sessions, {name: [] for name in sessions})


def row(name: str, side: int, timed: Timed) -> str:
    """Of the table: a key frame, another one, the share of the last graph, and streams."""
    first = next(iter(timed.deployed.pipelines))
    key, other = timed.median(first), timed.median(NONKEY)
    if first != KEY:
        return f"| {name} | {side} | {key:.1f} | - | - | {' | '.join('-' for _ in EVERY)} |"
    streams = (f"{(key + (every - 1) * other) / every:.1f}" for every in EVERY)
    share = f"{100 * (key - other) / key:.1f} %"
    return f"| {name} | {side} | {key:.1f} | {other:.1f} | {share} | {' | '.join(streams)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(SETTINGS), default=list(SETTINGS), metavar="NAME")
    args = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        timed = {}
        for name in args.only:
            place = Path(folder) / name
            place.mkdir()
            timed[name] = prepared(*SETTINGS[name], place)
        for _ in range(args.rounds):
            for one in timed.values():
                one.run()
    head = " | ".join(f"T = {every}" for every in EVERY)
    print(f"| network | side | key ms | other ms | a key frame's more | {head} |")
    print("|---" * (5 + len(EVERY)) + "|")
    for name, one in timed.items():
        print(row(name, SETTINGS[name][1], one))


if __name__ == "__main__":
    main()
