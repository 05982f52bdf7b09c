"""Try PaddleSeg's own configurations: load, build, and one per network and loss also train, evaluate and export.

    python tools/try_paddleseg.py PaddleSeg --write docs/from_paddleseg.md

PaddleSeg is a checkout of release 2.8; nothing of it is changed. Every configuration is tried in a process of its own,
because converters can end a process without a message. With --write the table in the page is replaced.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from mobileseg.config.build import build_losses, build_network, check_components  # noqa: E402
from mobileseg.config.load import Config, load_config  # noqa: E402
from mobileseg.errors import MobileSegError  # noqa: E402
from mobileseg.export.options import TARGETS  # noqa: E402

STAGES = ("load", "build", "train", "eval", *TARGETS)
SIDES = (128, 256, 512)
"""Sides of the images that training is tried with; some transformers take their own size alone."""
CLASSES, CLASSES_OF = 5, {"ESPNetV1": 19}
"""Of the trial; the widths in PaddleSeg's ESPNetV1 fit nothing but 19 classes."""
BEGIN, END = "<!-- table of tools/try_paddleseg.py -->", "<!-- end of the table -->"
TIMEOUT = 900
"""Seconds that one stage may take."""
_SMALL = ("tiny", "b0", "small", "_s_", "resnet18", "w18", "stdc1", "resnet50", "base")


def configurations(checkout: Path) -> list[Path]:
    """Files below configs/ that describe a network, without the bases."""
    files = sorted((checkout / "configs").rglob("*.yml"))
    return [file for file in files if "_base_" not in file.parts]


def family(config: Config) -> str:
    """Network and losses, the pair that training is tried for."""
    model = config.model["type"] if config.model else "no network"
    losses = config.to_dict()["loss"] or {"types": []}
    names = sorted({part["type"] for item in losses["types"] for part in item.get("losses", [item])})
    return f"{model.split('.')[-1]}: {', '.join(name.split('.')[-1] for name in names) or 'no loss'}"


def chosen(families: Mapping[str, list[Path]]) -> dict[Path, str]:
    """The smallest configuration of every family, told by its name."""

    def rank(file: Path) -> tuple[int, str]:
        return next((place for place, word in enumerate(_SMALL) if word in file.stem), len(_SMALL)), file.stem

    return {min(files, key=rank): name for name, files in families.items()}


def try_one(file: Path, stages: Iterable[str], say: Callable[[dict[str, str]], None]) -> None:
    """Tell ``say`` after each stage: stage -> 'ok' or why not; what a failure makes pointless is left out."""
    wanted = set(stages)
    stage = "load"
    try:
        config = load_config(file)
        check_components(config)
        say({"load": "ok"})
        stage = "build"
        network = None
        if "build" in wanted:
            network = build_network(config, load_pretrained=False) if config.model else None
            if config.loss:
                build_losses(config)
            say({"build": "ok"})
        stage = "train"
        if wanted & {"train", "eval"} and config.loss and config.model:
            say(_train(file))
        stage = TARGETS[0]
        targets = tuple(target for target in TARGETS if target in wanted)
        if targets and network is not None:
            say(_convert(network, targets))
    except MobileSegError as error:
        say({stage: " ".join(str(error).split())[:300]})
    except Exception as error:  # what a user would see as 'unexpected'
        say({stage: f"unexpected {type(error).__name__}: {' '.join(str(error).split())[:300]}"})


def _train(file: Path) -> dict[str, str]:
    """Two iterations and one evaluation by the suite's own trainer, on synthetic images."""
    from mobileseg.training.trainer import Trainer

    failure = ""
    for side in SIDES:
        with tempfile.TemporaryDirectory() as folder:
            config = load_config(file, _overrides(file, Path(folder), side))
            try:
                trainer = Trainer(config, Path(folder, "run"), load_pretrained=False)
                result = trainer.fit()
            except Exception as error:  # foreign code: shapes that do not fit this size
                failure = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                continue
        return {"train": "ok", "eval": "ok" if result.scores else "no scores"}
    return {"train": failure}


def _overrides(file: Path, folder: Path, side: int) -> dict[str, Any]:
    config = load_config(file).to_dict()
    classes = CLASSES_OF.get(config["model"]["type"].split(".")[-1], CLASSES)
    rng = np.random.default_rng(0)
    lines = []
    for number in range(4):
        label = np.kron(rng.integers(0, CLASSES, (4, 4)), np.ones((side // 4, side // 4))).astype(np.uint8)
        image = np.clip(40 * label[..., None] + rng.integers(0, 40, (side, side, 3)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), image)
        cv2.imwrite(str(folder / f"{number}_label.png"), label)
        lines.append(f"{number}.png {number}_label.png")
    (folder / "list.txt").write_text("\n".join(lines), encoding="utf-8")
    data = {
        "_inherited_": False,
        "type": "Dataset",
        "dataset_root": str(folder),
        "train_path": str(folder / "list.txt"),
        "val_path": str(folder / "list.txt"),
        "num_classes": classes,
        "transforms": [{"type": "Normalize"}],
    }
    changes: dict[str, Any] = {"train_dataset": data, "val_dataset": {**data, "mode": "val"}}
    changes |= {"iters": 2, "batch_size": 2, "log_iters": 1, "num_workers": 0, "model.num_classes": classes}
    return changes | _per_class(config, classes)


def _per_class(data: Mapping[str, Any], classes: int) -> dict[str, Any]:
    """What else says how many classes there are: parts of the model, losses and their weights."""
    changes: dict[str, Any] = {}
    for key, value in (data["model"] or {}).items():
        if isinstance(value, dict) and "num_classes" in value:
            changes[f"model.{key}.num_classes"] = classes
    changes["loss"] = {
        "_inherited_": False,
        **data["loss"],
        "types": [_loss(item, classes) for item in data["loss"]["types"]],
    }
    return changes


def _loss(item: Mapping[str, Any], classes: int) -> dict[str, Any]:
    """A loss for these classes, also one of several losses."""
    changed = dict(item)
    if "num_classes" in item:
        changed["num_classes"] = classes
    if isinstance(item.get("weight"), list):
        changed["weight"] = [1.0] * classes
    if "losses" in item:
        changed["losses"] = [_loss(part, classes) for part in item["losses"]]
    return changed


def _convert(network: Any, targets: tuple[str, ...]) -> dict[str, str]:
    """Trace the network at a fixed size and convert it; numbers are compared by `mobileseg export`."""
    from mobileseg.export.diagnosis.audit import audit
    from mobileseg.export.options import ExportOptions

    network.eval()
    side = getattr(network, "probed_side", SIDES[0])
    try:
        result = audit(network, ExportOptions(side, side, output_op="none"), targets)
    except Exception as error:  # foreign code that cannot be traced
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return dict.fromkeys(targets, reason)
    found = {}
    for target, state in result.targets.items():
        lacks = sorted({item.operator.type for item in result.findings if item.target == target})
        found[target] = "ok" if state == "converts" else f"{state}: {', '.join(lacks)}"
    return found


def _work(pipe: Any, file: Path, stages: tuple[str, ...]) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # what the networks print is not read
        os.dup2(quiet, stream)
    try_one(file, stages, pipe.send)
    pipe.send({})


def _isolated(file: Path, stages: tuple[str, ...], timeout: int) -> dict[str, str]:
    """Stage -> 'ok' or why not, by :func:`try_one` in a process of its own; one that dies or hangs is told as such."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, file, stages))
    process.start()
    theirs.close()
    found: dict[str, str] = {}
    try:
        while ours.poll(timeout):
            part = ours.recv()
            if not part:
                return found
            found |= part
        process.kill()
        reason = f"no end after {timeout} s"
    except EOFError:
        process.join()
        reason = f"the process ended with code {process.exitcode}"
    finally:
        process.join()
    return found | {next(stage for stage in stages if stage not in found): reason}


Results = dict[str, dict[str, str]]


def try_all(
    checkout: Path,
    stages: tuple[str, ...],
    done: Callable[[str, Results], None],
    *,
    only: str = "",
    earlier: Results | None = None,
    timeout: int = TIMEOUT,
) -> Results:
    """Results by the path of the file below configs/: stage -> 'ok' or why not, and ``family`` where it was chosen.

    Args:
        checkout: of PaddleSeg.
        stages: what the chosen files are tried with; the others are loaded and built.
        done: told after each file: one line, and all results so far.
        only: regular expression of the files.
        earlier: results of a trial that was cut off, or of fewer stages; what they say already is not tried again.
        timeout: seconds that one stage may take.
    """
    files = [file for file in configurations(checkout) if re.search(only, str(file))]
    families: dict[str, list[Path]] = {}
    for file in files:
        try:
            families.setdefault(family(load_config(file)), []).append(file)
        except MobileSegError:
            continue  # reported by its own trial
    representatives = chosen(families)
    cheap = tuple(stage for stage in stages if stage in ("load", "build"))
    results: Results = dict(earlier or {})
    for number, file in enumerate(sorted(files, key=lambda file: file not in representatives), 1):
        name = str(file.relative_to(checkout / "configs"))
        wanted = stages if file in representatives else cheap
        known = results.get(name, {})
        if set(wanted) <= set(known) or any(known.get(stage, "ok") != "ok" for stage in STAGES):
            continue
        began = time.perf_counter()
        if set(wanted) <= {"load"}:  # nothing of that can end this process
            results[name] = {}
            try_one(file, wanted, results[name].update)
        else:
            results[name] = dict(_isolated(file, wanted, timeout))
        if file in representatives:
            results[name]["family"] = representatives[file]
        bad = {key: value for key, value in results[name].items() if value != "ok" and key != "family"}
        done(f"{number}/{len(files)} {name} {time.perf_counter() - began:.0f} s {bad or 'ok'}", results)
    return results


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Counts, one row per network and loss, and what does not work."""
    lines = ["| stage | tried | works |", "|---|---|---|"]
    for stage in STAGES:
        tried = [result[stage] for result in results.values() if stage in result]
        if tried:
            lines.append(f"| {stage} | {len(tried)} | {tried.count('ok')} |")
    rows = sorted((result["family"], name, result) for name, result in results.items() if "family" in result)
    shown = [stage for stage in STAGES if any(stage in result for _, _, result in rows)]
    lines += ["", f"| network and losses | file | {' | '.join(shown)} |", f"|---|---|{'---|' * len(shown)}"]
    for name, file, result in rows:
        cells = " | ".join("yes" if result.get(stage) == "ok" else "no" if stage in result else "" for stage in shown)
        lines.append(f"| {name} | `{Path(file).name}` | {cells} |")
    failures = [
        f"- `{name}`, {stage}: {text}"
        for name, result in sorted(results.items())
        for stage, text in result.items()
        if stage != "family" and text != "ok"
    ]
    return "\n".join([*lines, *(["", "What does not work, and why:", ""] if failures else []), *failures])


def write_table(page: Path, text: str) -> None:
    """Replace what stands between the two marks of a page."""
    content = page.read_text(encoding="utf-8")
    before, found, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not found or not end:
        raise SystemExit(f"{page} has no place for the table: it needs the lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main() -> int:
    """Try, print, write; the number of configurations that do not load is the exit code (at most 100)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", type=Path, help="checkout of PaddleSeg 2.8")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--only", default="", help="regular expression of the files to try")
    parser.add_argument(
        "--json", type=Path, help="write the results there; files that it has already are not tried again"
    )
    parser.add_argument("--timeout", type=int, default=TIMEOUT, metavar="S", help="seconds that one stage may take")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace the table of this page")
    args = parser.parse_args()
    logging.getLogger("mobileseg").setLevel(logging.ERROR)

    def done(line: str, results: Results) -> None:
        print(line, flush=True)
        if args.json:  # after every file: a trial of all takes hours on a small machine
            args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")

    earlier = json.loads(args.json.read_text(encoding="utf-8")) if args.json and args.json.is_file() else None
    results = try_all(args.checkout, tuple(args.stages), done, only=args.only, earlier=earlier, timeout=args.timeout)
    if args.write:
        write_table(args.write, table(results))
    print(table(results).split("\n\n")[0])
    return min(100, sum(result.get("load") != "ok" for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
