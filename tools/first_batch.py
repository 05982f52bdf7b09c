"""How long data workers take to their first batch: ``python tools/first_batch.py data/coco``.

Wall time from the construction of the workers, new processes that import what they need and are sent the dataset, to
the first batch of a COCO dataset as instance segmentation trains on it (docs/benchmarks.md).
"""

from __future__ import annotations

import argparse
import pickle
import time
from typing import Any

from mobileseg.data.datasets import CocoInstances
from mobileseg.data.loading.batching import SampleOrder
from mobileseg.data.loading.workers import batches_from_workers

_STEPS: list[dict[str, Any]] = [
    {"type": "PhotometricDistort"},
    {"type": "RandomExpand"},
    {"type": "RandomInstanceCrop"},
    {"type": "RandomHorizontalFlip"},
    {"type": "Resize", "target_size": [320, 320]},
    {"type": "DiscardSmallInstances"},
    {"type": "Normalize"},
]


def main() -> None:
    """Print seconds and megabytes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset_root", help="folder of a COCO dataset")
    parser.add_argument("--workers", type=int, default=2, help="(default: 2)")
    parser.add_argument("--batch_size", type=int, default=8, help="(default: 8)")
    parser.add_argument("--turns", type=int, default=3, help="(default: 3)")
    args = parser.parse_args()
    dataset = CocoInstances(args.dataset_root, _STEPS)
    order = SampleOrder(len(dataset), args.batch_size, seed=0)
    sent = len(pickle.dumps((dataset, order), pickle.HIGHEST_PROTOCOL))
    print(f"{len(dataset):,} images, {sent / 1e6:.1f} MB to each of {args.workers} workers")
    for _ in range(args.turns):
        start = time.perf_counter()
        batches = batches_from_workers(dataset, order, 0, 4 * args.workers, args.workers)
        next(batches)
        print(f"first batch after {time.perf_counter() - start:.2f} s")
        batches.close()


if __name__ == "__main__":
    main()
