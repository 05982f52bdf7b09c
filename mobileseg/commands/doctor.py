"""`mobileseg doctor`: find what is wrong with data, machine, configuration or exported model before it costs days."""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Callable
from contextlib import contextmanager
from inspect import signature
from typing import TYPE_CHECKING, Any

from mobileseg.commands.arguments import add_override_argument
from mobileseg.converter import has_more_engines
from mobileseg.errors import ConfigError, DataError, ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mobileseg.config.load import Config
    from mobileseg.data.base import ImageDataset
    from mobileseg.data.doctor.checks import Finding

HELP = "check a dataset, this machine, a configuration or an exported model"

_MOST_THREADS = 256
_SPLITS = (("train", "train_dataset"), ("val", "val_dataset"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Subcommands data, env, config and model."""
    parts = parser.add_subparsers(dest="part", metavar="WHAT", required=True)
    data = parts.add_parser("data", help="read the datasets of a configuration and say whether training may start")
    _add_config(data)
    data.add_argument("--limit", type=int, metavar="N", help="read only N images per split, evenly spaced")
    data.add_argument("--workers", type=int, default=2, help="threads that read (default 2)")
    env = parts.add_parser("env", help="versions, converters and engines of this machine")
    env.add_argument("--quick", action="store_true", help="do not convert and run a small network")
    config = parts.add_parser("config", help="check a configuration; show every value with the line that set it")
    _add_config(config)
    config.add_argument("--no-files", action="store_true", help="do not check that data and weights exist")
    model = parts.add_parser("model", help="replay the golden outputs of an exported model on every engine")
    model.add_argument("folder", metavar="FOLDER", help="exported model (with deploy.yaml)")
    model.add_argument("--engine", action="append", metavar="NAME", help="only this engine (may be repeated)")
    for part in (data, env, config, model):
        part.add_argument("--json", action="store_true", help="print JSON")
        part.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks")


def needs_converter(args: argparse.Namespace) -> bool:
    """Where an exported model is replayed on engines that the converter environment alone has."""
    return args.part == "model" and has_more_engines(args.engine)


def run(args: argparse.Namespace) -> int:
    """Dispatch to the part that was asked for."""
    parts: dict[str, Callable[[argparse.Namespace], int]] = {
        "data": _data,
        "env": _env,
        "config": _config,
        "model": _model,
    }
    return parts[args.part](args)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="configuration file")
    add_override_argument(parser)


def _data(args: argparse.Namespace) -> int:
    from mobileseg.config.load import load_config
    from mobileseg.data.doctor.diagnose import diagnose
    from mobileseg.data.doctor.table import render

    if args.limit is not None and args.limit < 1:
        raise ConfigError(f"--limit is {args.limit}", remedy="give a positive number of images")
    if not 1 <= args.workers <= _MOST_THREADS:
        raise ConfigError(f"--workers is {args.workers}, expected 1 to {_MOST_THREADS}")
    config = load_config(args.config, args.opts)
    datasets, findings = _open_datasets(config)
    with _progress() as progress:
        diagnosis = diagnose(
            datasets,
            batch_size=config.batch_size,
            limit=args.limit,
            workers=args.workers,
            progress=progress,
            earlier=findings,
            keep_empty=[name for name, key in _SPLITS if _keeps_empty(getattr(config, key))],
        )
    print(json.dumps(diagnosis.to_dict(), indent=2) if args.json else render(diagnosis))
    return diagnosis.exit_code


def _open_datasets(config: Config) -> tuple[dict[str, ImageDataset], list[Finding]]:
    """The datasets that can be opened, and a finding for each that cannot."""
    from mobileseg.config.build import build_dataset
    from mobileseg.config.structure import spokesman
    from mobileseg.data.doctor.checks import Finding
    from mobileseg.data.doctor.task import doctor_of
    from mobileseg.registry import DATASETS

    datasets: dict[str, ImageDataset] = {}
    findings: list[Finding] = []
    for name, key in _SPLITS:
        section = getattr(config, key)
        if section is None:
            fix = f"add {key} to the configuration"
            level = "error" if name == "train" else "warning"
            findings.append(Finding(level, "dataset-missing", f"the configuration has no {key}", fix=fix, split=name))
            continue
        try:
            datasets[name] = build_dataset(_whole(section))
        except (ConfigError, DataError) as error:
            message = f"{error.message} ({key}, {config.origin(key)})"
            unusable = Finding("error", "dataset-unusable", message, fix=error.remedy or "", split=name)
            kinds = []
            if isinstance(error, DataError):
                kinds = doctor_of(DATASETS.get(spokesman(section)["type"])).refused(name, error)
            findings += kinds or [unusable]
    return datasets, findings


def _parts(section: dict[str, Any]) -> list[dict[str, Any]]:
    """The sections of the datasets that a dataset is made of, [] when it is made of none."""
    parts = section.get("parts")
    found = [part.get("dataset") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return [part for part in found if isinstance(part, dict)]


def _whole(section: dict[str, Any]) -> dict[str, Any]:
    """A section of a dataset with the images that training would leave out, so that they are examined too."""
    from mobileseg.registry import DATASETS

    section = copy.deepcopy(section)
    for one in [section, *_parts(section)]:
        if "keep_empty" in signature(DATASETS.get(str(one.get("type")))).parameters:
            one["keep_empty"] = True
    return section


def _keeps_empty(section: dict[str, Any] | None) -> bool:
    """Whether a dataset, or a part of it, is trained on images without objects too."""
    return section is not None and any(one.get("keep_empty") for one in [section, *_parts(section)])


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar per split on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    bars: dict[str, Any] = {}

    def step(name: str, done: int, total: int) -> None:
        if name not in bars:
            bars[name] = tqdm(total=total, desc=f"reading {name}", unit="image", leave=False)
        bars[name].update(done - bars[name].n)
        if done == total:
            bars[name].close()

    try:
        yield step
    finally:
        for bar in bars.values():
            bar.close()


def _config(args: argparse.Namespace) -> int:
    from mobileseg.config.build import check_components, check_files
    from mobileseg.config.load import explain, load_config

    config = load_config(args.config, args.opts)
    check_components(config)
    if not args.no_files:
        check_files(config)
    if args.json:
        shown = {"path": str(config.path), "hash": config.hash, "config": config.to_dict(), "pipelines": _links(config)}
        print(json.dumps(shown, indent=2))
    else:
        print(explain(config))
        print(_pipelines(config))
        print(f"\n{config.path} is correct; hash {config.hash[:12]}")
    return 0


def _links(config: Config) -> dict[str, list[dict[str, Any]]]:
    """The steps of the pipelines with the range of pixel values behind each."""
    from mobileseg.data.transforms.build import build_transforms
    from mobileseg.data.transforms.ranges import chain

    return {
        key: [{"transform": link.name, "gives": list(link.after)} for link in chain(build_transforms(steps))]
        for _, key in _SPLITS
        if (steps := (getattr(config, key) or {}).get("transforms"))
    }


def _pipelines(config: Config) -> str:
    lines = []
    for key, links in _links(config).items():
        lines += ["", f"{key}: pixels are read as 0..255; behind every transform they are"]
        lines += [f"  {link['transform']:24} {link['gives'][0]:.4g}..{link['gives'][1]:.4g}" for link in links]
    return "\n".join(lines)


def _env(args: argparse.Namespace) -> int:
    from mobileseg.environment.report import check_environment, exit_code, render, to_dict

    findings = check_environment(run=not args.quick)
    print(json.dumps(to_dict(findings), indent=2) if args.json else render(findings))
    return exit_code(findings)


def _model(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from mobileseg.export.verify import replay

    rows, problems = replay(args.folder, args.engine)
    if args.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "problems": problems}, indent=2))
    else:
        print(f"{'target':10} {'engine':12} {'status':18} {'max diff':>9} {'equal':>8} {'kB':>8} {'ms':>8}")
        for row in rows:
            numbers = (
                _number(row.max_diff, "9.1e", 9),
                _number(row.equal, "8.4f", 8),
                _number(None if row.size_bytes is None else row.size_bytes / 1000, "8.0f", 8),
                _number(row.latency_ms, "8.1f", 8),
            )
            print(f"{row.target:10} {row.engine or '-':12} {row.status:18} {' '.join(numbers)}")
        for problem in problems:
            print(f"ERROR {problem}")
        if not problems:
            print(f"{args.folder} gives what was verified when it was exported")
    return ExportError.exit_code if problems else 0


def _number(value: float | None, style: str, width: int) -> str:
    return " " * (width - 1) + "-" if value is None else format(value, style)
