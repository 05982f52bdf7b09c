"""Time of the losses of this suite and of PaddleSeg: forward and backward on the same logits, in turns, on one core.

    pip install --no-deps -r requirements-paddleseg.txt
    python tools/compare_losses.py

The values of both are compared as well: a difference of more than 1e-3 ends in exit code 1.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import zlib  # noqa: F401  # before Paddle 2.6, which brings a zlib that breaks Python's
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ.setdefault("FLAGS_set_to_1d", "1")  # PaddleSeg 2.8 reads losses as arrays of one element
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import paddle  # noqa: E402  # after the thread counts

from mobileseg.semantic import losses as ours  # noqa: E402

CLASSES = 19


def pairs() -> dict[str, tuple[Any, Any]]:
    """Name -> (our loss, PaddleSeg's)."""
    from paddleseg.models import losses as theirs

    weight = [0.5 + index / CLASSES for index in range(CLASSES)]
    return {
        "OHEM": (ours.OhemCrossEntropyLoss(min_kept=130000), theirs.OhemCrossEntropyLoss(min_kept=130000)),
        "cross entropy": (ours.CrossEntropyLoss(), theirs.CrossEntropyLoss()),
        "weighted cross entropy": (ours.CrossEntropyLoss(weight=weight), theirs.CrossEntropyLoss(weight=weight)),
    }


def step(loss: Callable[[Any, Any], Any], logits: Any, label: Any) -> tuple[float, float]:
    """Milliseconds of forward and backward, and the value."""
    start = time.perf_counter()
    value = loss(logits, label)
    value.backward()
    elapsed = (time.perf_counter() - start) * 1000.0
    logits.clear_gradient()
    return elapsed, float(value)


def main() -> int:
    """Take turns and print a table; 1 when the two disagree about a value."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help="of each, after two that do not count")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, nargs=2, default=(256, 320), metavar=("H", "W"))
    args = parser.parse_args()
    paddle.seed(0)
    logits = paddle.randn([args.batch, CLASSES, *args.size])
    logits.stop_gradient = False
    label = paddle.randint(0, CLASSES, [args.batch, *args.size], dtype="int64")
    print("| loss | mobileseg ms | PaddleSeg ms | PaddleSeg / mobileseg |\n|---|---:|---:|---:|")
    same = True
    for name, both in pairs().items():
        times: list[list[float]] = [[], []]
        values = [0.0, 0.0]
        for turn in range(args.runs + 2):
            for side, loss in enumerate(both):
                elapsed, values[side] = step(loss, logits, label)
                if turn >= 2:
                    times[side].append(elapsed)
        medians = [statistics.median(samples) for samples in times]
        shown = " | ".join(
            f"{median:.0f} ({min(samples):.0f} to {max(samples):.0f})"
            for median, samples in zip(medians, times, strict=True)
        )
        print(f"| {name} | {shown} | {medians[1] / medians[0]:.2f} |", flush=True)
        if abs(values[0] - values[1]) > 1e-3 * abs(values[1]):
            print(f"values of {name} differ: {values[0]:.6f} and {values[1]:.6f}", file=sys.stderr)
            same = False
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
