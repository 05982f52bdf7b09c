"""Data loading alone, without a network: this suite against torch's DataLoader with albumentations or torchvision.

The peers run in an environment of their own::

    python -m venv /tmp/loading
    /tmp/loading/bin/pip install torch torchvision albumentations pycocotools
    python tools/compare_loading.py --peer /tmp/loading/bin/python

Photographs are COCO's. Tasks:

- ``labels``: decode image and label; scale by 0.5 to 2; crop of 512x512 with padding; flip; brightness, contrast
  and saturation times 0.5 to 1.5 in random order; normalise. The labels are PNGs that are drawn once from the
  annotations into a scratch folder, the smallest object on top.
- ``objects``: decode image and objects; the transforms of configs/_base_/coco_instances_550.yml, which torchvision
  has by other names. A batch of the suite holds all masks in one array, one of the peers a list per image.
- ``objects_no_expand``: the same without RandomExpand, which albumentations does not have.

Every side is a process of one thread; they take turns. Printed are medians of the turns: milliseconds of the
processor per image without data workers, images per second by the clock and milliseconds of the processor of all
processes together with data workers, and the median of the ratios to the suite in the same turn (above 1: the suite
is faster). Read the clock on an idle machine only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mobileseg.data.formats.coco import CocoInstances
from mobileseg.data.instances import Instances
from mobileseg.data.io import write_png

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
TASKS = ("labels", "objects", "objects_no_expand")
OURS, PEERS = "mobileseg", ("albumentations", "torchvision")


@dataclass
class Side:
    """A process that loads, and its answers of every turn by the number of its data workers."""

    name: str
    process: subprocess.Popen[str]
    answers: dict[int, list[dict[str, float]]] = field(default_factory=dict)

    def ask(self, question: dict[str, int] | None = None) -> dict[str, Any]:
        """The answer to a question; without one, the word that it is ready."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if question is not None:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with exit code {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def main(arguments: list[str] | None = None) -> None:
    """Write the data, take turns, print a table per task."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer", help="Python of the environment of the peers; without it, the suite alone")
    parser.add_argument("--data", type=Path, default=Path("data/coco"))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--images", type=int, default=256, help="at most; of those with objects")
    parser.add_argument("--batches", type=int, default=8, help="per turn, of 8 images")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2], help="numbers of data workers")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mobileseg-") as scratch:
        write_data(args.data, args.images, Path(scratch))
        for task in args.tasks:
            sides = [started(OURS, sys.executable, task, scratch)]
            if args.peer:
                peers = [name for name in PEERS if (name, task) != ("albumentations", "objects")]
                sides += [started(name, args.peer, task, scratch) for name in peers]
            take_turns(sides, args.turns, args.batches, args.workers)
            print(*table(task, sides, args.workers), "", sep="\n", flush=True)
            for side in sides:
                assert side.process.stdin is not None
                side.process.stdin.close()
                side.process.wait()


def write_data(root: Path, count: int, folder: Path) -> None:
    """What the sides read: ``train.txt`` with labels, ``classes.json``, ``instances.json`` and ``images.txt``.

    Args:
        root: of COCO 2017.
        count: images to use, the first ones that have an object to learn from.
        folder: to write into.
    """
    source = CocoInstances(str(root.resolve()), mode="train")
    indices = range(min(count, len(source)))
    lines = []
    for index in indices:
        label = folder / f"{index}.png"
        write_png(label, drawn(source.objects(index)))
        lines.append(f"{source.items[index].image}\t{label}\n")
    (folder / "train.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "classes.json").write_text(json.dumps(["background", *source.classes]), encoding="utf-8")
    (folder / "images.txt").write_text(str(source.items[0].image.parent), encoding="utf-8")
    document = source.coco_ground_truth()
    document["images"] = document["images"][: len(indices)]
    kept = {image["id"] for image in document["images"]}
    document["annotations"] = [row for row in document["annotations"] if row["image_id"] in kept]
    (folder / "instances.json").write_text(json.dumps(document), encoding="utf-8")


def drawn(objects: Instances) -> np.ndarray:
    """uint8 [H, W]: class plus one where an object is, 0 elsewhere; the smallest object is on top."""
    label = np.zeros(objects.size, np.uint8)
    for number in np.argsort(-objects.areas(), kind="stable"):
        x1, y1, x2, y2 = objects.regions[number].box
        label[y1:y2, x1:x2][objects.regions[number].bitmap > 0] = objects.classes[number] + 1
    return label


def started(name: str, python: str, task: str, folder: str) -> Side:
    """The process of a side, ready for questions."""
    call = [python, str(ROOT / "tools" / "loading_worker.py"), name, task, folder]
    environment = os.environ | ONE_THREAD | {"NO_ALBUMENTATIONS_UPDATE": "1"}
    own = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment["PYTHONPATH"] = own if name == OURS else ""  # the peers have packages of their own
    process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    side = Side(name, process)
    side.ask()
    return side


def take_turns(sides: list[Side], turns: int, batches: int, workers: list[int]) -> None:
    """Fill `Side.answers`; every second turn goes round the other way."""
    for side in sides:
        side.ask({"epoch": 0, "count": 1, "workers": 0})  # to warm up
    for turn in range(turns):
        for count in workers:
            for side in sides[:: -1 if turn % 2 else 1]:
                answer = side.ask({"epoch": turn, "count": batches, "workers": count})
                side.answers.setdefault(count, []).append(answer)


def table(task: str, sides: list[Side], workers: list[int]) -> list[str]:
    """Lines of Markdown: a row for every side; the first one is what the others are compared with."""
    heads = []
    for count in workers:
        heads += [f"{count} workers, images/s"] * (count > 0) + [f"{count} workers, processor ms", "ratio"]
    lines = [f"| {task} | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for side in sides:
        cells = []
        for count in workers:
            own, base = side.answers[count], sides[0].answers[count]
            if count:
                cells.append(f"{statistics.median(answer['images'] / answer['wall'] for answer in own):.1f}")
            cells.append(f"{statistics.median(map(milliseconds, own)):.2f}")
            pairs = zip(map(milliseconds, own), map(milliseconds, base), strict=True)
            ratios = [theirs / ours for theirs, ours in pairs]
            low, middle, high = np.percentile(ratios, (25, 50, 75))
            cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})" if side is not sides[0] else "")
        lines.append("| " + " | ".join([side.name, *cells]) + " |")
    return lines


def milliseconds(answer: dict[str, float]) -> float:
    """Of the processor, per image."""
    return answer["cpu"] / answer["images"] * 1e3


if __name__ == "__main__":
    main()
