"""Training speed and memory of this suite with two Paddles: same configurations, same data, same machine, in turns.

    MOBILESEG_PADDLE=3.3 make setup         # the newer Paddle in .venv, the older in the converter environment
    python tools/compare_paddles.py

Each turn starts one training after the other, on one thread and without data workers, for a few iterations of the
demo's configurations on scenes that are generated first. Measured are the processor time inside of the steps, which
other programs disturb less than the clock's, and the largest memory of the process. Printed are medians over all
counted steps, and ratios.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from timed_training import CONFIGS, execute, timed_training

from mobileseg import converter
from mobileseg.data.synthetic.datasets import generate


def main() -> None:
    """Take turns, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--other", help="Python of the other environment (default: the converter environment's)")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--iters", type=int, default=8, help="per turn")
    parser.add_argument("--skip", type=int, default=3, help="first iterations of a turn, not counted")
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    pythons = {"this": sys.executable, "other": args.other or str(converter.converter().python)}
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    memory: dict[tuple[str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="mobileseg-") as scratch:
        generate(Path(scratch), train=args.batch * 4, val=1, size=(192, 192), clips=0, val_clips=0)
        for turn in range(args.turns):
            for family in CONFIGS:
                # The order alternates, so that a drift of the machine hits both alike.
                for name in sorted(pythons, reverse=bool(turn % 2)):
                    found = timed_training(pythons[name], family, Path(scratch), iters=args.iters, batch=args.batch)
                    counted = [processor for processor, _ in found["seconds"][args.skip :]]
                    seconds[family, name] += counted
                    memory[family, name].append(found["mib"])
                    median = statistics.median(counted)
                    print(f"turn {turn + 1}  {family}  {name}  {args.batch / median:.3f} images/s", flush=True)
    for name, python in pythons.items():
        print(f"{name}: {versions(python)}")
    for family in CONFIGS:
        speed = {name: args.batch / statistics.median(seconds[family, name]) for name in pythons}
        peak = {name: statistics.median(memory[family, name]) for name in pythons}
        print(
            f"{family}: {speed['this']:.2f} and {speed['other']:.2f} images per second of processor time, "
            f"ratio {speed['this'] / speed['other']:.2f}; {peak['this']:.0f} and {peak['other']:.0f} MiB, "
            f"ratio {peak['this'] / peak['other']:.2f}"
        )


def versions(python: str) -> str:
    """What the environment has, in a line."""
    return execute([python, "tools/environment.py"]).strip()


if __name__ == "__main__":
    main()
