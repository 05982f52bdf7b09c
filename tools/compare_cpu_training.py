"""What compiled kernels and kept memory give to training on a CPU: the same trainings with and without, in turns.

    python tools/compare_cpu_training.py

Each turn starts four short trainings of each of the demo's configurations, on scenes that are generated first: with
neither, with one of the two, and with both as the suite trains. Measured are the processor time inside of the steps
(of all threads together), the clock's, and the largest memory of the process; printed are medians over all counted
steps, and how many times as fast as with neither. ``--threads 2`` lets kernels use two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from mobileseg.data.synthetic.datasets import generate  # noqa: E402

CONFIGS = {
    "MobileSeg": "configs/mobileseg/mobileseg_mobilenetv2_synthetic.yml",
    "mobileYOLACT": "configs/mobileyolact/mobileyolact_mobilenetv2_synthetic.yml",
}
LISTS = ("train_dataset.train_path={data}/train.txt", "train_dataset.classes={data}/classes.txt")
VARIANTS = {"neither": (False, False), "kernels": (True, False), "memory": (False, True), "both": (True, True)}
"""Name -> whether kernels are compiled, and whether memory is kept."""

CHILD = """\
import json, resource, sys, tempfile, time
from contextlib import nullcontext
from mobileseg.config.load import load_config
from mobileseg.training.cpu import speed
from mobileseg.training.trainer import Trainer
file, keep, overrides = sys.argv[1], sys.argv[2] == "True", sys.argv[3:]
if not keep:
    speed.kept_memory = lambda active: nullcontext()
seconds = []
class Timed(Trainer):
    def _step(self, number):
        began = time.process_time(), time.perf_counter()
        waited = super()._step(number)
        seconds.append((time.process_time() - began[0], time.perf_counter() - began[1]))
        return waited
with tempfile.TemporaryDirectory() as run:
    Timed(load_config(file, overrides), run, do_eval=False).fit()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print("\\n" + json.dumps({"seconds": seconds, "mib": peak}))
"""


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


def trained(family: str, variant: str, data: Path, args: argparse.Namespace) -> dict:
    """Seconds of every step and the largest memory in MiB of one training."""
    kernels, keep = VARIANTS[variant]
    options = [f"train_dataset.dataset_root={data}", f"iters={args.iters}", f"batch_size={args.batch}"]
    options += ["num_workers=0", f"log_iters={args.iters}", f"compiled_kernels={str(kernels).lower()}"]
    options += [line.format(data=data) for line in LISTS] if family == "MobileSeg" else []
    threads = str(args.threads)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    command = [sys.executable, "-c", CHILD, CONFIGS[family], str(keep), *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the training failed with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
