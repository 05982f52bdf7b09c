"""Time of the instance postprocess: decoding, NMS, masks and boxes, without a network.

    python tools/benchmark_postprocess.py

The predictions are made up, of the shape of YOLACT's at 550x550 (19,248 anchors, 80 classes, 32 prototypes of 138x138):
groups of anchors that agree on an object among anchors that have seen nothing. Everything runs on one core. ``--boxes``
chooses the sizes of the objects: ``mix`` (sides from 4 % to 95 % of the image, uniform in the logarithm), ``small``
(27 of 138 cells), ``large`` (90 % and more: the worst case for masks and for NMS). On a machine that does
other things at the same time, the last column is the one to look at: the processor's time, without waiting.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2  # noqa: E402  # after the thread counts
import numpy as np  # noqa: E402

from mobileseg.instance.anchors import encode, make_anchors  # noqa: E402
from mobileseg.instance.postprocess import (  # noqa: E402
    DetectionOptions,
    detect,
    finish,
    instances_from_outputs,
)

SIZES = {"mix": (0.04, 0.95), "small": (27 / 138, 27 / 138), "large": (0.9, 0.98)}
OPTIONS = {
    "fast": DetectionOptions(),
    "cross_class": DetectionOptions(nms="cross_class"),
    "traditional": DetectionOptions(nms="traditional"),
    "published": DetectionOptions(threshold_after_nms=False),
}
MAPS = ((69, 24), (35, 48), (18, 96), (9, 192), (5, 384))  # side of the map, scale in pixels


def predictions(boxes: str, *, objects: int = 160, votes: int = 4, classes: int = 80, seed: int = 0) -> dict[str, Any]:
    """Outputs of a graph and its anchors.

    Args:
        boxes: key of `SIZES`.
        objects: number of objects; more than are kept, so that the result is full.
        votes: anchors per object.
        classes: number of classes.
        seed: of everything random.
    """
    rng = np.random.default_rng(seed)
    anchors = make_anchors([(side, side) for side, _ in MAPS], (550, 550), [[s] for _, s in MAPS], (1, 0.5, 2), True)
    count = len(anchors)
    conf = rng.random((count, classes + 1)).astype(np.float32) * 0.001
    loc = rng.normal(0, 1, (count, 4)).astype(np.float32)
    low, high = np.log(SIZES[boxes])
    sides = np.exp(rng.uniform(low, high, (objects, 2)))
    centers = sides / 2 + rng.random((objects, 2)) * (1 - sides)
    voters = rng.choice(count, (objects, votes), replace=False)
    kinds = rng.integers(1, classes + 1, objects)
    for index in range(objects):
        noisy = centers[index] + rng.normal(0, 0.01, (votes, 2)) * sides[index]
        corners = np.concatenate([noisy - sides[index] / 2, noisy + sides[index] / 2], axis=1)
        loc[voters[index]] = encode(corners, anchors[voters[index]])
        conf[voters[index], kinds[index]] = rng.uniform(0.1, 0.95, votes)
        conf[voters[index], 1 + kinds[index] % classes] = rng.uniform(0, 0.1, votes)
    conf[:, 0] = np.maximum(1 - conf[:, 1:].sum(1), 0)
    # Smooth prototypes, as trained ones are: contours, and no noise.
    coarse = rng.normal(0, 1.5, (32, 18, 18)).astype(np.float32)
    proto = np.stack([cv2.resize(plane, (138, 138), interpolation=cv2.INTER_CUBIC) for plane in coarse])
    mask = np.tanh(rng.normal(0, 1, (count, 32))).astype(np.float32)
    outputs = {"loc": loc, "conf": conf, "mask": mask, "proto": np.maximum(proto, 0)}
    return {"anchors": anchors, "outputs": {key: value[None] for key, value in outputs.items()}}


def milliseconds(call: Callable[[], object], runs: int) -> dict[str, float]:
    """Median, 95th percentile and minimum of the time on the clock, and the median of the processor's time."""
    call()
    times, busy = [], []
    for _ in range(runs):
        start, begin = time.perf_counter(), time.process_time()
        call()
        times.append((time.perf_counter() - start) * 1000.0)
        busy.append((time.process_time() - begin) * 1000.0)
    median, high = np.percentile(times, [50, 95])
    return {"median": float(median), "p95": float(high), "min": min(times), "cpu": float(np.median(busy))}


def measure(boxes: str, nms: str, size: tuple[int, int], runs: int) -> dict[str, Any]:
    """One row: both halves and the whole."""
    made = predictions(boxes)
    outputs, anchors = made["outputs"], made["anchors"]
    options = OPTIONS[nms]
    found = detect(outputs, anchors, options)
    return {
        "boxes": boxes,
        "nms": nms,
        "instances": len(found),
        "detect": milliseconds(lambda: detect(outputs, anchors, options), runs),
        "finish": milliseconds(lambda: finish(found, outputs["proto"][0], size, options), runs),
        "all": milliseconds(lambda: instances_from_outputs(outputs, anchors, size, options), runs),
    }


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="time of the instance postprocess on one core")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("H", "W"), help="of the image")
    parser.add_argument("--boxes", nargs="+", choices=tuple(SIZES), default=tuple(SIZES))
    parser.add_argument("--nms", nargs="+", choices=tuple(OPTIONS), default=["fast"])
    args = parser.parse_args()
    cv2.setNumThreads(1)
    print("| boxes | nms | instances | detect ms | masks and boxes ms | all: median ms | p95 | min | processor |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for boxes in args.boxes:
        for nms in args.nms:
            row = measure(boxes, nms, tuple(args.size), args.runs)
            medians = " | ".join(f"{row[part]['median']:.2f}" for part in ("detect", "finish", "all"))
            whole = row["all"]
            spread = " | ".join(f"{whole[key]:.2f}" for key in ("p95", "min", "cpu"))
            print(f"| {boxes} | {nms} | {row['instances']} | {medians} | {spread} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
