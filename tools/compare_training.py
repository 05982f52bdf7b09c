"""Training throughput of this suite and of PaddleSeg's own trainer: same file, same data, same machine, in turns.

PaddleSeg runs in an environment of its own (its wheel contradicts paddleslim's OpenCV pin)::

    python -m venv /tmp/paddleseg
    /tmp/paddleseg/bin/pip install paddlepaddle==2.6.2 "numpy<2" opencv-python==4.6.0.66 "setuptools<81" \
        pyyaml scikit-learn prettytable filelock tqdm visualdl scipy
    /tmp/paddleseg/bin/pip install --no-deps paddleseg==2.8.0
    mobileseg demo                    # any dataset will do; this one leaves synthetic scenes in demo/data
    python tools/compare_training.py --paddleseg /tmp/paddleseg/bin/python

Each turn starts both trainers anew for a few iterations on the configuration below, which both read; the first
iterations of a turn do not count. Printed are images per second of every turn, medians, and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIG = """\
batch_size: {batch}
iters: {iters}
train_dataset:
  type: Dataset
  dataset_root: {root}
  train_path: {root}/train.txt
  num_classes: {classes}
  mode: train
  transforms:
    - {{type: ResizeStepScaling, min_scale_factor: 0.5, max_scale_factor: 2.0, scale_step_size: 0.25}}
    - {{type: RandomPaddingCrop, crop_size: [320, 256]}}
    - {{type: RandomHorizontalFlip}}
    - {{type: RandomDistort, brightness_range: 0.5, contrast_range: 0.5, saturation_range: 0.5}}
    - {{type: Normalize, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}}
model:
  type: MobileSeg
  num_classes: {classes}
  backbone: {{type: MobileNetV2_x1_0}}
  cm_bin_sizes: [1, 2, 4]
  cm_out_ch: 128
  arm_out_chs: [32, 64, 128]
  seg_head_inter_chs: [32, 32, 32]
optimizer: {{type: SGD, momentum: 0.9, weight_decay: 5.0e-4}}
lr_scheduler: {{type: PolynomialDecay, learning_rate: 0.005, end_lr: 0, power: 0.9}}
loss:
  types:
    - {{type: OhemCrossEntropyLoss, min_kept: 130000}}
    - {{type: OhemCrossEntropyLoss, min_kept: 130000}}
    - {{type: OhemCrossEntropyLoss, min_kept: 130000}}
  coef: [1, 1, 1]
"""

# What PaddleSeg's own tools/train.py does, without the arguments that do not matter here.
PADDLESEG = """\
import sys, zlib
from paddleseg.core import train
from paddleseg.cvlibs import Config, SegBuilder
path, folder, workers = sys.argv[1:]
config = Config(path)
builder = SegBuilder(config)
train(builder.model, builder.train_dataset, optimizer=builder.optimizer, save_dir=folder, iters=config.iters,
      batch_size=config.batch_size, save_interval=10**9, log_iters=1, num_workers=int(workers), losses=builder.loss)
"""


def main() -> None:
    """Take turns, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--paddleseg", required=True, help="Python of the environment that has paddleseg")
    parser.add_argument("--data", type=Path, default=Path("demo/data"), help="folder with train.txt")
    parser.add_argument("--classes", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--iters", type=int, default=12, help="per turn")
    parser.add_argument("--skip", type=int, default=4, help="first iterations of a turn, not counted")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    speeds: dict[str, list[float]] = {"mobileseg": [], "paddleseg": []}
    waits: list[float] = []
    with tempfile.TemporaryDirectory(prefix="mobileseg-") as scratch:
        config = Path(scratch, "config.yml")
        config.write_text(
            CONFIG.format(batch=args.batch, iters=args.iters, root=args.data.resolve(), classes=args.classes)
        )
        for turn in range(args.turns):
            # The order alternates, so that a drift of the machine hits both alike.
            for name in sorted(speeds, reverse=bool(turn % 2)):
                folder = Path(scratch, f"{name}{turn}")
                if name == "mobileseg":
                    speed, wait = ours(config, folder, args)
                    waits.append(wait)
                else:
                    speed = theirs(config, folder, args)
                speeds[name].append(speed)
                print(f"turn {turn + 1}  {name}  {speed:.3f} images/s", flush=True)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    for name, values in speeds.items():
        print(f"{name}: median {medians[name]:.3f} images/s, from {min(values):.3f} to {max(values):.3f}")
    print(f"mobileseg / paddleseg: {medians['mobileseg'] / medians['paddleseg']:.3f}")
    print(f"share of time that mobileseg waited for data: median {statistics.median(waits):.2%}")


def ours(config: Path, folder: Path, args: argparse.Namespace) -> tuple[float, float]:
    """Median images per second, and the median share of time spent waiting for data."""
    tools = Path(__file__).parent
    call = [sys.executable, str(tools / "train.py"), "--config", str(config), "--save_dir", str(folder), "--no_eval"]
    execute([*call, "--log_iters", "1", "--num_workers", str(args.workers)])
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if line["event"] == "train" and line["iter"] > args.skip]
    speed = statistics.median(step["images_per_s"] for step in steps)
    return speed, statistics.median(step["data_wait"] for step in steps)


def theirs(config: Path, folder: Path, args: argparse.Namespace) -> float:
    """Median images per second."""
    # PaddleSeg 2.8 reads losses as arrays of one element; Paddle 2.6 makes them so only on request.
    call = [args.paddleseg, "-c", PADDLESEG, str(config), str(folder), str(args.workers)]
    printed = execute(call, FLAGS_set_to_1d="1")
    found = re.findall(r"iter: (\d+)/\d+.*?ips: ([\d.]+)", printed)
    return statistics.median(float(speed) for number, speed in found if int(number) > args.skip)


def execute(call: list[str], **environment: str) -> str:
    """Run a trainer; what it printed, or its words if it failed."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        # A file, not a pipe: data workers that outlive their trainer would keep a pipe open.
        answer = subprocess.run(call, stdout=output, stderr=output, env=os.environ | environment, check=False)
        output.seek(0)
        printed = output.read()
    if answer.returncode:
        sys.exit(f"{call[0]} failed with {answer.returncode}:\n{printed[-2000:]}")
    return printed


if __name__ == "__main__":
    main()
