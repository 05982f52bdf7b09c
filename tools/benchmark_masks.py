"""Time of masks by kernels: all of them as published, against those of the queries that are kept.

    python tools/benchmark_masks.py

Kernels and mask features are made up: smooth maps, and masks that cover about a tenth of the image. The published way
multiplies the kernels of all queries with the mask features, enlarges all masks to twice the grid, to the input and to
the image, and compares. Everything runs on one core; times are the processor's, the best of several runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2  # noqa: E402  # after the thread counts
import numpy as np  # noqa: E402

from mobileseg.pixels import resize  # noqa: E402
from mobileseg.video.mobileinst.options import QueryOptions  # noqa: E402
from mobileseg.video.mobileinst.postprocess import make_masks  # noqa: E402

QUERIES, CHANNELS, STRIDE = 100, 128, 8
COVERED = 0.08  # share of the cells that a mask covers


def made_up(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Kernels [QUERIES, CHANNELS] and mask features [CHANNELS, size / 8, size / 8], float32."""
    rng = np.random.default_rng(seed)
    side = size // STRIDE
    maps = [cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), side / 13) for _ in range(CHANNELS)]
    features = np.stack(maps).astype(np.float32)
    features /= features.std()
    features[-1] = 1  # whose weight in a kernel shifts all of its logits
    kernels = (rng.standard_normal((QUERIES, CHANNELS)) * 0.4).astype(np.float32)
    logits = kernels[:, :-1] @ features[:-1].reshape(CHANNELS - 1, -1)
    kernels[:, -1] = -np.quantile(logits, 1 - COVERED, axis=1)
    return kernels, features


def published(kernels: np.ndarray, features: np.ndarray, size: int, image: tuple[int, int]) -> list[np.ndarray]:
    """Masks bool [H, W] of all queries."""
    threshold = QueryOptions().mask_threshold
    side = features.shape[1]
    found = []
    for logits in (kernels @ features.reshape(CHANNELS, -1)).reshape(-1, side, side):
        probabilities = 1 / (1 + np.exp(-resize(logits, (2 * side, 2 * side))))
        found.append(resize(resize(probabilities, (size, size)), image) > threshold)
    return found


def best_of(runs: int, work: Callable[[], object]) -> float:
    """Milliseconds of the processor."""
    times = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times) * 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=640, help="side of the network's input, a multiple of 8")
    parser.add_argument("--runs", type=int, default=5, help="of which the best counts")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    size, image = args.size, (args.size * 3 // 4, args.size)
    kernels, features = made_up(size)
    print("| masks of | ms |\n|---|---|")
    whole = best_of(args.runs, partial(published, kernels, features, size, image))
    print(f"| all {QUERIES} queries, as published | {whole:.1f} |")
    for kept in (100, 20, 10, 5):
        spent = best_of(args.runs, partial(make_masks, kernels[:kept], features, STRIDE, (size, size), image))
        print(f"| {kept} that are kept | {spent:.1f} |")


if __name__ == "__main__":
    main()
