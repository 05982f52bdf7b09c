"""What each option of a configuration gives alone: one short run per option and seed, and one table.

    python tools/ablate.py tools/ablation/camvid.yml --classes pole sign pedestrian

ROWS.yml has ``base`` (a configuration), ``seeds`` and ``rows``: each has a ``name`` and an ``override``, a list of
KEY=VALUE. The base itself is the first row. Runs are made one after the other, each by ``mobileseg train`` in a process
and a folder of its own below ``--save_dir``/ROWS; called again, the tool takes finished runs as they are and continues
one that was cut. All rows are scored by the evaluation at the end of their run, whatever scores came before it.

Differences are to the base with the same seeds: it begins with the same weights and meets the same images, as far as
the option leaves them alone. Written are ``table.md`` and ``table.json``.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from mobileseg.config.load import Config, load_config  # noqa: E402
from mobileseg.errors import ConfigError, MobileSegError, TrainingError  # noqa: E402
from mobileseg.files import write_whole  # noqa: E402
from mobileseg.viz.history import read_history  # noqa: E402

BASE = "base"
SHOWN = ("accuracy", "mask AP50", "box AP")
"""Scores that every table shows, where a run has them."""
Train = Callable[[str, Path, Sequence[str]], None]


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: what is switched on.
        override: KEY=VALUE, on top of the base.
    """

    name: str
    override: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """What a finished run gave.

    Attributes:
        score: of the evaluation after the last iteration.
        values: further scores by name: those of ``SHOWN``, and the IoU (or mask AP) of every class; None where there is
            nothing to score.
        minutes: of training, evaluations left out.
    """

    score: float
    values: Mapping[str, float | None]
    minutes: float


def read_rows(path: Path) -> tuple[str, list[int], list[Row]]:
    """Base configuration, seeds and rows, the base first.

    Raises:
        ConfigError: the file cannot be read or says something else.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        base, seeds = str(document["base"]), [int(seed) for seed in document.get("seeds", [0])]
        rows = [Row(str(row["name"]), tuple(map(str, row["override"]))) for row in document["rows"]]
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path}: {type(error).__name__}: {error}",
            remedy="write base: FILE, seeds: [0] and rows: [{name: NAME, override: ['KEY=VALUE']}]",
        ) from error
    folders = [folder_of(row.name) for row in (Row(BASE, ()), *rows)]
    twice = sorted({folder for folder in folders if folders.count(folder) > 1})
    if twice or not seeds:
        raise ConfigError(f"{path}: rows that share the folder {twice[0]}" if twice else f"{path} names no seed")
    return base, seeds, [Row(BASE, ()), *rows]


def folder_of(name: str) -> str:
    """Name of a row's folder."""
    return re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")


def measured(run: Path, config: Config) -> Measured | None:
    """What a run gave; None when it has not come to the evaluation after its last iteration."""
    history = read_history(run)
    last = next((event for event in reversed(history["eval"]) if event["iter"] == config.iters), None)
    state = run / "last" / "state.json"
    if last is None or not state.is_file():
        return None
    seconds, before = 0.0, 0
    for event in history["train"]:
        images = (event["iter"] - before) * config.batch_size * config.accumulate
        seconds, before = seconds + images / event["images_per_s"], event["iter"]
    if "class_iou" in last:
        names = json.loads(state.read_text(encoding="utf-8"))["classes"]
        values = {"accuracy": last["accuracy"], **dict(zip(names, last["class_iou"], strict=True))}
    else:
        values = {"mask AP50": last["mask"]["ap50"], "box AP": last["box"]["ap"]}
        values |= {name: scores["mask_ap"] for name, scores in last["class_ap"].items()}
    return Measured(last["score"], values, seconds / 60)


def train(base: str, run: Path, override: Sequence[str]) -> None:
    """One run in a process of its own, continued if it was cut.

    Raises:
        TrainingError: it ended with an error, or was interrupted.
    """
    call = [sys.executable, "-m", "mobileseg", "train", base, "--save_dir", str(run), "--resume", "auto"]
    code = subprocess.run([*call, "--do_eval", "-o", *override], check=False).returncode
    if code:
        raise TrainingError(f"{run}: the training ended with code {code}", remedy="call again to go on")


def ablate(base: str, seeds: Sequence[int], rows: Sequence[Row], folder: Path, run_one: Train = train) -> list[Any]:
    """Train what is missing; ``[[Measured of every seed] of every row]``.

    Raises:
        ConfigError: a row cannot be loaded, before anything is trained.
        TrainingError: a run failed, or a folder holds a run of other settings.
    """
    plans = [[(folder / folder_of(row.name) / f"seed_{seed}", [*row.override, f"seed={seed}"]) for seed in seeds]
             for row in rows]  # fmt: skip
    configs = {run: load_config(base, override) for plan in plans for run, override in plan}
    for run, config in configs.items():
        saved = run / "config.yml"
        if saved.is_file() and load_config(saved).hash != config.hash:
            raise TrainingError(f"{run} was trained with other settings", remedy="remove it, or choose another folder")
    found = []
    for plan in plans:
        for run, override in plan:
            if measured(run, configs[run]) is None:
                run_one(base, run, override)
        results = [measured(run, configs[run]) for run, _ in plan]
        if None in results:
            raise TrainingError(f"{plan[results.index(None)][0]} has no evaluation after its last iteration")
        found.append(results)
    return found


def table(
    rows: Sequence[Row], results: Sequence[Sequence[Measured]], seeds: Sequence[int], names: Sequence[str]
) -> str:
    """Markdown: the mean score of each row, its difference to the base, seeds, named values, minutes per run."""
    several = [f"seed {seed}" for seed in seeds] if len(seeds) > 1 else []
    head = ["row", "score", "difference", *several, *names, "minutes"]
    lines = [head, ["---"] * len(head)]
    first = statistics.mean(one.score for one in results[0])
    for row, runs in zip(rows, results, strict=True):
        mean = statistics.mean(one.score for one in runs)
        each = [f"{one.score:.4f}" for one in runs] if several else []
        more = []
        for name in names:
            known = [value for one in runs if (value := one.values[name]) is not None]
            more.append(f"{statistics.mean(known):.3f}" if known else "-")
        difference = "" if row.name == BASE else f"{mean - first:+.4f}"
        minutes = f"{statistics.mean(one.minutes for one in runs):.1f}"
        lines.append([row.name, f"{mean:.4f}", difference, *each, *more, minutes])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main(arguments: Sequence[str] | None = None, run_one: Train = train) -> int:
    """Train what is missing, print and write the table; 0, or the exit code of the error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", type=Path, help="file with base, seeds and rows")
    parser.add_argument("--save_dir", type=Path, default=Path("output/ablation"), help="folder of the runs")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="rows to take beside the base, by name")
    parser.add_argument("--classes", nargs="+", default=[], metavar="NAME", help="classes to show beside the score")
    args = parser.parse_args(arguments)
    try:
        base, seeds, rows = read_rows(args.rows)
        unknown = sorted(set(args.only or []) - {row.name for row in rows})
        if unknown:
            raise ConfigError(f"--only: {args.rows} has no row {unknown[0]!r}")
        rows = [row for row in rows if args.only is None or row.name in (BASE, *args.only)]
        folder = args.save_dir / args.rows.stem
        results = ablate(base, seeds, rows, folder, run_one)
        values = results[0][0].values
        absent = [name for name in args.classes if name not in values]
        if absent:
            known = ", ".join(name for name in values if name not in SHOWN)
            raise ConfigError(f"--classes: there are no scores of {absent[0]!r}", remedy=f"known classes: {known}")
    except MobileSegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    text = table(rows, results, seeds, [*(name for name in SHOWN if name in values), *args.classes])
    document = {row.name: [asdict(one) for one in runs] for row, runs in zip(rows, results, strict=True)}
    write_whole(folder / "table.md", text)
    write_whole(folder / "table.json", json.dumps(document, indent=1))
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
