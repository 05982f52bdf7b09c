"""How much faster a network segments images than PaddleSeg 2.8's own export of it on Paddle Inference with oneDNN.

PaddleSeg runs in an environment of its own, made as tools/compare_training.py says::

    python tools/compare_deployment.py --paddleseg /tmp/paddleseg/bin/python \\
        --config configs/mobileseg/mobileseg_mobilenetv2_cityscapes_1024x512_80k.yml \\
        --size 256 256 --image_size 256 256 --image_size 720 1280 --engines onnxruntime lite

The same weights (random ones, unless ``--model_path`` names some) are exported once as PaddleSeg's script does it,
with argmax, and once as `mobileseg export` does it by itself. Every side is a process on one thread that goes from the
decoded image to labels of its size; the processes take turns, a few runs at a time, so that a change of the machine
meets all of them. ``--also`` times further exported models of the network, such as its int8 form. Printed are medians
of all runs, by the clock and of the processor, and the median and the quartiles of the ratios of the turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
os.environ.update(ONE_THREAD)
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402  # after the thread counts

from mobileseg.export.options import ENGINES  # noqa: E402
from mobileseg.folders import scratch_folder  # noqa: E402
from mobileseg.runtime.manifest import Manifest  # noqa: E402

WORKER = str(ROOT / "tools" / "deployment_worker.py")
TARGETS = {engine: target for target, engine in ENGINES.items()}
OWN_KEYS = ("strides", "aux_upsample", "aux_heads")
"""Keys of networks that PaddleSeg does not know: those of training alone, and another word for its indices."""
CLOCKS = {"wall": "clock", "cpu": "processor"}


@dataclass
class Side:
    """A process that segments images.

    Attributes:
        name: for the table.
        process: see tools/deployment_worker.py.
        times: clock -> milliseconds of the runs of every turn.
        labels: of the image that was asked for last.
    """

    name: str
    process: subprocess.Popen[str]
    times: dict[str, list[list[float]]] = field(default_factory=dict)
    labels: np.ndarray | None = None

    def ask(self, question: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer to a question, or the first line that the process writes."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if question is not None:
            print(json.dumps(question), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with {self.process.wait()}; its words are above")
        return dict(json.loads(line))


def main() -> None:
    """Export, take turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paddleseg", required=True, help="Python of the environment that has paddleseg")
    parser.add_argument("--config", required=True, help="network to export on both sides")
    parser.add_argument("-o", "--override", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--model_path", help="trained weights")
    parser.add_argument("--size", nargs=2, type=int, metavar=("H", "W"), required=True, help="of the input")
    parser.add_argument("--any_size", action="store_true", help="let PaddleSeg export without a size, its default")
    parser.add_argument("--image_size", nargs=2, type=int, action="append", metavar=("H", "W"))
    parser.add_argument("--image", help="photograph to use, resized to these sizes")
    parser.add_argument("--engines", nargs="+", default=["onnxruntime"], choices=sorted(TARGETS))
    parser.add_argument("--also", action="append", default=[], metavar="FOLDER", help="exported model to time as well")
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--runs", type=int, default=4, help="of a turn")
    args = parser.parse_args()
    sizes = [tuple(size) for size in args.image_size or [args.size]]
    with scratch_folder() as folder:
        images = [_saved(args.image, size, folder / f"image{number}.npy") for number, size in enumerate(sizes)]
        given = _export(args, folder)
        ours = _sides([folder / "mobileseg", *map(Path, args.also)], args.engines)
        for size, image in zip(sizes, images, strict=True):
            base = _export_paddleseg(args, given, resized=size != tuple(args.size), folder=folder)
            baseline = _started("PaddleSeg", [args.paddleseg, WORKER, "paddleseg", str(base)])
            for side in ours:
                side.times.clear()
            take_turns([baseline, *ours], image, args.turns, args.runs, folder)
            print(*table(baseline, ours, size), sep="\n", flush=True)
            _end(baseline)
        for side in ours:
            _end(side)


def take_turns(sides: list[Side], image: Path, turns: int, runs: int, folder: Path) -> None:
    """Fill `Side.times` and `Side.labels`."""
    answer = folder / "labels.npy"
    for side in sides:
        side.ask({"image": str(image), "runs": 3, "labels": str(answer)})  # to warm up
        side.labels = np.load(answer)
    for turn in range(turns):
        for side in sides if turn % 2 else sides[::-1]:
            found = side.ask({"image": str(image), "runs": runs, "labels": None})
            for clock in CLOCKS:
                side.times.setdefault(clock, []).append(found[clock])


def table(baseline: Side, ours: list[Side], size: tuple[int, ...]) -> list[str]:
    """Lines of Markdown: a row for every side but the one that the others are compared with."""
    assert baseline.labels is not None
    shown = f"image {size[0]}x{size[1]}, classes in labels: {len(np.unique(baseline.labels))}"
    lines = [f"| {shown} | " + " | ".join(CLOCKS.values()) + " | labels equal |", "|---|---|---|---|"]
    for side in ours:
        cells = [side.name]
        for clock in CLOCKS:
            theirs, own = np.array(baseline.times[clock]), np.array(side.times[clock])
            low, middle, high = np.percentile(np.median(theirs, axis=1) / np.median(own, axis=1), (25, 50, 75))
            cells.append(f"{np.median(theirs):.2f} to {np.median(own):.2f} ms: {middle:.2f} ({low:.2f} to {high:.2f})")
        cells.append(f"{float((baseline.labels == side.labels).mean()):.2%}")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _saved(image: str | None, size: tuple[int, ...], file: Path) -> Path:
    from network_export import image_of

    np.save(file, image_of(image, (size[0], size[1]))[..., ::-1].copy())
    return file


def _export(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The suite's export into ``mobileseg``; what PaddleSeg needs to export the same network.

    Returns:
        ``model``: the section of PaddleSeg's configuration; ``weights``: their file; ``normalize``: the transform.
    """
    import paddle
    from network_export import export_to, network_of

    config, network = network_of(args.config, args.override, args.model_path)
    weights = folder / "weights.pdparams"
    paddle.save(network.state_dict(), str(weights))
    targets = [TARGETS[engine] for engine in args.engines]
    options = export_to(
        config, network, folder / "mobileseg", size=args.size, targets=targets, untrained=not args.model_path
    )
    model = {key: value for key, value in config.to_dict()["model"].items() if key not in OWN_KEYS}
    model["backbone"] = {key: value for key, value in model["backbone"].items() if key != "pretrained"}
    if hasattr(network, "indices"):
        model["backbone_indices"] = list(network.indices)
    normalize = {"type": "Normalize", "mean": list(options.mean), "std": list(options.std)}
    return {"model": model, "weights": weights, "normalize": normalize}


def _export_paddleseg(args: argparse.Namespace, given: dict[str, Any], *, resized: bool, folder: Path) -> Path:
    """The folder of PaddleSeg's export of the same network, for images of the input's size or of others."""
    import yaml

    out = folder / f"paddleseg{int(resized)}"
    if out.is_dir():
        return out
    out.mkdir()
    resize = [{"type": "Resize", "target_size": args.size[::-1]}] if resized else []
    classes = given["model"]["num_classes"]
    data = {"type": "Dataset", "num_classes": classes, "mode": "val", "transforms": [*resize, given["normalize"]]}
    network = {"model": given["model"], "train_dataset": data, "val_dataset": data}
    file = out / "network.yml"
    file.write_text(yaml.safe_dump(network), encoding="utf-8")
    size = [] if args.any_size else [str(side) for side in args.size]
    call = [args.paddleseg, WORKER, "export", str(file), str(given["weights"]), str(out), *size]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"PaddleSeg's export failed with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return out


def _sides(folders: list[Path], engines: list[str]) -> list[Side]:
    """A process for every folder and every engine that it has graphs for."""
    found = []
    for number, folder in enumerate(folders):
        targets = Manifest.read(folder).targets()
        for engine in engines:
            if TARGETS[engine] in targets:
                name = f"{engine}, {folder}" if number else engine
                found.append(_started(name, [sys.executable, WORKER, "mobileseg", str(folder), engine]))
    return found


def _started(name: str, call: list[str]) -> Side:
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    side = Side(name, process)
    side.ask()
    return side


def _end(side: Side) -> None:
    assert side.process.stdin is not None
    side.process.stdin.close()
    side.process.wait()


if __name__ == "__main__":
    main()
