"""What compiled kernels and kept memory give to training on a CPU: the same trainings with and without, in turns.

    python tools/compare_cpu_training.py

Each turn starts four short trainings of each of the demo's configurations, on scenes that are generated first: with
neither, with one of the two, and with both as the suite trains. Measured are the processor time inside of the steps
(of all threads together), the clock's, and the largest memory of the process; printed are medians over all counted
steps, and how many times as fast as with neither. ``--threads 2`` lets kernels use two cores.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).resolve().parent
sys.path[:0] = [str(TOOLS), str(TOOLS.parent)]

from timed_training import CONFIGS, timed_training  # noqa: E402

from mobileseg.data.synthetic.datasets import generate  # noqa: E402

VARIANTS = {"neither": (False, False), "kernels": (True, False), "memory": (False, True), "both": (True, True)}
"""Name -> whether kernels are compiled, and whether memory is kept."""


def main() -> None:
    """Take turns, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", nargs=2, type=int, default=[192, 192], metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--iters", type=int, default=8, help="per turn")
    parser.add_argument("--skip", type=int, default=3, help="first iterations of a turn, not counted")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    seconds: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    memory: dict[tuple[str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="mobileseg-") as scratch:
        generate(Path(scratch), train=args.batch * 4, val=1, size=tuple(args.size), clips=0, val_clips=0)
        for turn in range(args.turns):
            for family in CONFIGS:
                # The order alternates, so that a drift of the machine hits all alike.
                for name in sorted(VARIANTS, reverse=bool(turn % 2)):
                    found = trained(family, name, Path(scratch), args)
                    seconds[family, name] += [tuple(pair) for pair in found["seconds"][args.skip :]]
                    memory[family, name].append(found["mib"])
    for family in CONFIGS:
        base = medians(seconds[family, "neither"])
        for name in VARIANTS:
            processor, clock = medians(seconds[family, name])
            print(
                f"{family}, {name}: {processor * 1000:.0f} ms a step ({clock * 1000:.0f} by the clock), "
                f"{base[0] / processor:.2f} ({base[1] / clock:.2f}) times as fast, "
                f"{statistics.median(memory[family, name]):.0f} MiB"
            )


def medians(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """The middle of the processor's and of the clock's seconds."""
    return statistics.median(one for one, _ in pairs), statistics.median(one for _, one in pairs)


def trained(family: str, variant: str, data: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of every step and the largest memory in MiB of one training."""
    kernels, keep = VARIANTS[variant]
    options = {"iters": args.iters, "batch": args.batch, "threads": args.threads}
    overrides = [f"compiled_kernels={str(kernels).lower()}"]
    return timed_training(sys.executable, family, data, **options, keep=keep, overrides=overrides)


if __name__ == "__main__":
    main()
