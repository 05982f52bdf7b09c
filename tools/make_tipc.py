"""Write test_tipc/configs/ from the configurations of the suite, or check that it is up to date.

    python tools/make_tipc.py            # write
    python tools/make_tipc.py --check    # exit code 1 and the names of the files that differ

A chain belongs to every network that the configurations below pair with a backbone. Its two YAML files have the
configuration as their base and change only what a synthetic dataset and a training of seconds need; its text files say,
in the form of Paddle's TIPC, which commands the shell scripts run with them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from mobileseg.config.load import Config, load_config
from mobileseg.config.source import dump
from mobileseg.data.synthetic.scene import CLASSES
from mobileseg.registry import NETWORKS
from mobileseg.tasks import stage

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("test_tipc/configs")

PATTERNS = (
    "mobileseg/*_cityscapes_*.yml",
    "mobileyolact/*_coco_320.yml",
    "mobileyolact/*_people_512.yml",
    "yolact/*_coco_550.yml",
    "yolact_edge/mobileyolact_edge_*_base.yml",
    "pp_mobileseg/*_tiny_*_80k.yml",
    "topformer/*_tiny_*.yml",
    "mobileinst/*_mobilenetv2_synthetic.yml",
)
"""Below configs/: one configuration for each network and backbone."""

LITE, WHOLE = "lite_train_lite_infer", "whole_infer"
MODES = (LITE, WHOLE)

IMAGES = {LITE: (32, 4), WHOLE: (1, 4)}
"""Training and validation images of each mode."""

ITERS = 16
MORE_ITERS = {"yolact_resnet101": 48, "pp_mobileseg": 96, "mobileyolact_shufflenetv2": 48}
"""By chain. The statistics of a hundred norms in a row are far off after sixteen steps, and what the network computes
with them grows until rounding alone differs by 1e-3 standard deviations at 550x550. After sixteen PP-MobileSeg tells
one class alone, and mobileYOLACT with ShuffleNetV2 loses too much in int8."""

RATE, RATES = 0.003, {"Yolact": 0.0005, "MobileInst": 0.0001}
"""Learning rate, and what it is for some networks. After these few steps at 0.003 the coefficients (tanh) of YOLACT
with ResNet-50 differed between network and graph by 1.3e-3 standard deviations, more than the export allows; at
0.0005 they agree. MobileInst starts from trained weights, which are to stay."""

PTQ = "ptq_infer_python"
INT8_EQUAL = "0.4"
"""Least share that an int8 graph has in common with the checkpoint. A network of sixteen steps is unsure nearly
everywhere; what int8 costs is measured on trained networks."""

SERVED = {"paddle2onnx": ("onnx", "onnxruntime"), "lite": ("lite_x86", "lite"), "ncnn": ("ncnn", "ncnn")}
"""Text file -> target of the export, engine that runs it. `lite` is the x86 twin of the file for phones."""


class TipcTask(Protocol):
    """The module ``tipc`` of a task's package: what it adds to a chain."""

    SIZE: tuple[int, int]
    """Height and width of generated images and inputs; three of the cells of stride 32, which the pooling of
    MobileSeg's decoder does not divide."""
    BATCH: int
    EVAL_FLAGS: str
    """Flags of tools/val.py."""
    KIND: str
    """What tools/predict.py writes, and test_tipc/compare_results.py compares."""
    PREDICT_FLAGS: str
    LEAST_EQUAL: str
    """Least share of results that an exported model has in common with the checkpoint."""

    def changes(self, model: Mapping[str, Any], classes: int, height: int) -> dict[str, Any]:
        """What a training of seconds on generated data changes in a configuration with this section `model`."""

    def dataset(self, part: str, root: str, classes: int) -> dict[str, Any]:
        """The section of the generated dataset, without its transforms."""


@dataclass(frozen=True)
class Chain:
    """One network and where its files are.

    Attributes:
        name: folder below test_tipc/configs and test_tipc/output.
        source: configuration that it is made from, relative to the repository.
        config: the same, loaded.
    """

    name: str
    source: Path
    config: Config

    @property
    def task(self) -> TipcTask:
        """What the task of the network adds to a chain."""
        return cast("TipcTask", stage(NETWORKS.get(self.config.to_dict()["model"]["type"]), "tipc"))

    @property
    def iters(self) -> int:
        """Steps of the training."""
        return MORE_ITERS.get(self.name, ITERS)

    def size(self, mode: str) -> tuple[int, int]:
        """Height and width of the input: small for a training of seconds, else the configuration's own."""
        if mode == LITE:
            return self.task.SIZE
        size = self.config.to_dict()["export"]["size"]
        return size["height"], size["width"]

    def data(self, mode: str) -> str:
        """Folder of the synthetic dataset of a mode."""
        height, width = self.size(mode)
        return f"test_tipc/data/{mode}_{height}x{width}"


def chains() -> list[Chain]:
    """Every chain, in the order of their names."""
    found = []
    for pattern in PATTERNS:
        for path in sorted((ROOT / "configs").glob(pattern)):
            name = "_".join(path.stem.split("_")[:2])
            found.append(Chain(name, path.relative_to(ROOT), load_config(path)))
    return sorted(found, key=lambda chain: chain.name)


def files() -> dict[Path, str]:
    """Path relative to the repository -> content, of everything below test_tipc/configs."""
    written = {}
    for chain in chains():
        for mode in MODES:
            written[FOLDER / chain.name / f"{mode}.yml"] = _yaml(chain, mode)
        written[FOLDER / chain.name / "train_infer_python.txt"] = _text(_train_infer(chain))
        for variant, (target, engine) in SERVED.items():
            written[FOLDER / chain.name / f"{variant}.txt"] = _text(_served(chain, target, engine))
        written[FOLDER / chain.name / f"{PTQ}.txt"] = _text(_quantised(chain))
    return written


def _yaml(chain: Chain, mode: str) -> str:
    """The configuration on synthetic data of the mode's size; from random weights, unless the task has others."""
    height, width = chain.size(mode)
    model = chain.config.to_dict()["model"]
    changes: dict[str, Any] = {
        "_base_": f"../../../{chain.source.as_posix()}",
        "iters": chain.iters,
        "batch_size": chain.task.BATCH,
        "save_interval": chain.iters,
        "log_iters": 10,
        "num_workers": 0,
        **{f"{part}_dataset": _dataset(chain, part, mode) for part in ("train", "val")},
        "model": {"backbone": {"pretrained": None}},
        # The recipe of the configuration needs thousands of iterations; this one tells some classes apart soon.
        "optimizer": {"_inherited_": False, "type": "AdamW", "weight_decay": 0.01},
        "lr_scheduler": {
            "_inherited_": False,
            "type": "PolynomialDecay",
            "learning_rate": RATES.get(model["type"], RATE),
            "end_lr": 0.0001,
            "power": 0.9,
        },
        "export": {"size": {"height": height, "width": width}},
    }
    own = chain.task.changes(model, len(CLASSES), height)
    changes["model"] |= own.pop("model", {})
    changes |= own
    head = (
        f"# Written by tools/make_tipc.py from {chain.source.as_posix()}; `python tools/make_tipc.py` writes it anew.\n"
    )
    return head + dump(changes)


def _dataset(chain: Chain, part: str, mode: str) -> dict[str, Any]:
    """A synthetic dataset with the normalisation of the configuration."""
    root = chain.data(mode)
    steps = chain.config.to_dict()["val_dataset"]["transforms"]
    normalize = next(dict(step) for step in steps if step["type"] == "Normalize")
    section: dict[str, Any] = {"_inherited_": False, "dataset_root": root, "mode": part, "transforms": [normalize]}
    if part == "train":
        section["transforms"] = [{"type": "RandomHorizontalFlip"}, normalize]
    listed = chain.task.dataset(part, root, len(CLASSES))
    return {"type": listed.pop("type"), **section, **listed}


Lines = Iterator[tuple[str, str]]
"""(key, value) of a text file; a key without value that begins with '=' is the title of a section."""


def _train_infer(chain: Chain) -> Lines:
    yield from _common(chain)
    yield "=train", ""
    yield "--device", "cpu"
    yield "--iters", f"{LITE}={chain.iters}|{WHOLE}=null"
    yield "--batch_size", f"{LITE}={chain.task.BATCH}|{WHOLE}=null"
    yield "trainer", f"{LITE}=norm_train|{WHOLE}=null"
    yield "norm_train", "tools/train.py --seed 0 --no_eval"
    yield "=eval", ""
    yield "eval", f"tools/val.py --num_workers 1{chain.task.EVAL_FLAGS}"
    yield from _deployment(chain, "paddle", "paddle")


def _served(chain: Chain, target: str, engine: str) -> Lines:
    yield from _common(chain)
    yield from _deployment(chain, target, engine)


def _quantised(chain: Chain) -> Lines:
    """Calibrated on the training images; the engines are those that the quantised folder holds graphs for."""
    yield from _common(chain)
    yield "=quantise", ""
    yield "quantise", "tools/compress.py quantize --images 8"
    yield "-o", "compress.quantize.auto_skip=false compress.quantize.agreement=0.01 compress.measure.runs=5"
    yield from _inference(chain, "paddle|onnxruntime", INT8_EQUAL, " --int8")


def _common(chain: Chain) -> Lines:
    sizes = "|".join(f"{mode}={chain.size(mode)[0]} {chain.size(mode)[1]}" for mode in MODES)
    yield "=model", ""
    yield "model_name", chain.name
    yield "python", "python3"
    yield "--config", "|".join(f"{mode}={(FOLDER / chain.name / mode).as_posix()}.yml" for mode in MODES)
    run = f"test_tipc/output/{chain.name}/{LITE}/run"
    yield "--model_path", run
    yield "=prepare", ""
    yield "draw", "test_tipc/make_data.py"
    yield "--root", "|".join(f"{mode}={chain.data(mode)}" for mode in MODES)
    yield "--size", sizes
    yield "--train", "|".join(f"{mode}={IMAGES[mode][0]}" for mode in MODES)
    yield "--val", "|".join(f"{mode}={IMAGES[mode][1]}" for mode in MODES)


def _deployment(chain: Chain, target: str, engine: str) -> Lines:
    yield "=export", ""
    yield "export", f"tools/export.py --targets {target} --accept_weak"
    yield from _inference(chain, engine, chain.task.LEAST_EQUAL)


def _inference(chain: Chain, engine: str, least: str, how: str = "") -> Lines:
    kind = chain.task.KIND
    yield "=infer", ""
    yield "inference", f"tools/predict.py --quiet --write {kind}{chain.task.PREDICT_FLAGS}"
    yield "--engine", engine
    yield "--threads", f"{LITE}=1|{WHOLE}=2"
    yield "--image_path", "|".join(f"{mode}={chain.data(mode)}/images/val" for mode in MODES)
    yield "=compare", ""
    yield "compare", f"test_tipc/compare_results.py --kind {kind}{how}"
    yield "--min_equal", least


def _text(lines: Lines) -> str:
    return "".join(
        f"{'':=^27}{key[1:]}_params{'':=^27}\n" if key.startswith("=") else f"{key}:{value}\n" for key, value in lines
    )


def differing() -> list[str]:
    """Names of files that are missing, out of date, or no longer made."""
    wanted = files()
    there = {path.relative_to(ROOT) for path in (ROOT / FOLDER).rglob("*") if path.is_file()}
    changed = {path for path, text in wanted.items() if path in there and (ROOT / path).read_text("utf-8") != text}
    return sorted(path.as_posix() for path in changed | (there ^ wanted.keys()))


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    args = parser.parse_args()
    names = differing()
    if args.check:
        for name in names:
            print(f"{name} is not what tools/make_tipc.py writes", file=sys.stderr)
        return 1 if names else 0
    wanted = files()
    for path in (ROOT / FOLDER).rglob("*"):
        if path.is_file() and path.relative_to(ROOT) not in wanted:
            path.unlink()
    for path, text in wanted.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    print(f"{len(wanted)} files below {FOLDER}, {len(names)} of them changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
