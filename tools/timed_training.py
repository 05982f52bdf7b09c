"""Short trainings of the configurations of the demo, each in a process, for the tools that compare their speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = {
    "MobileSeg": "configs/mobileseg/mobileseg_mobilenetv2_synthetic.yml",
    "mobileYOLACT": "configs/mobileyolact/mobileyolact_mobilenetv2_synthetic.yml",
}
LISTS = ("train_dataset.train_path={data}/train.txt", "train_dataset.classes={data}/classes.txt")

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


def timed_training(
    python: str,
    family: str,
    data: Path,
    *,
    iters: int,
    batch: int,
    threads: int = 1,
    keep: bool = True,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Train for a few iterations on generated scenes, without data workers.

    Args:
        python: of the environment to train in.
        family: a key of ``CONFIGS``.
        data: folder of the scenes.
        iters: iterations.
        batch: images per step.
        threads: of operators and kernels.
        keep: whether the training keeps the memory of tensors, as it does by itself.
        overrides: further KEY=VALUE.

    Returns:
        ``seconds``: of every step, the processor's and the clock's; ``mib``: the largest memory of the process.
    """
    options = [f"train_dataset.dataset_root={data}", f"iters={iters}", f"batch_size={batch}"]
    options += ["num_workers=0", f"log_iters={iters}", *overrides]
    options += [line.format(data=data) for line in LISTS] if family == "MobileSeg" else []
    printed = execute([python, "-c", CHILD, CONFIGS[family], str(keep), *options], threads)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def execute(command: list[str], threads: int = 1) -> str:
    """What a program printed, run in the checkout; ends with its words if it failed."""
    count = str(threads)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout
