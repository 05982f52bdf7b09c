"""`mobileseg demo`: a network's whole life on drawn data, in minutes on two cores."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobileseg.errors import ConfigError

if TYPE_CHECKING:
    from mobileseg.config.load import Config

HELP = "train, evaluate, export, verify and draw a network on generated data; ends with a report"

CONFIG = Path("configs/mobileseg/mobileseg_mobilenetv2_synthetic.yml")
EXAMPLES = 4
RUNS = 50  # timed runs per engine: enough for a steady median of a few milliseconds each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, default=CONFIG, help=f"configuration (default: {CONFIG})")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder (default: demo; with --quick demo/quick)")
    parser.add_argument("--iters", type=int, help="train for fewer iterations, for a quick look")
    parser.add_argument(
        "--quick", action="store_true", help="as few steps as possible: tries the path, not the network"
    )


def run(args: argparse.Namespace) -> int:
    """Generate, train, evaluate, export, verify, predict, measure, report."""
    began = time.perf_counter()
    if args.output is None:
        args.output = Path("demo/quick" if args.quick else "demo")
    if not args.config.is_file():
        raise ConfigError(
            f"{args.config} does not exist here", remedy="run in a checkout of the suite, or name a file with --config"
        )
    minutes: dict[str, float] = {}
    with _stage("data", "draw the dataset", minutes):
        _generate(args)
    config = _config(args)
    run_folder, artefact = args.output / "run", args.output / "artefact"
    with _stage("train", f"train for {config.iters} iterations", minutes):
        _train(config, run_folder)
    with _stage("export", "export, run and compare every graph", minutes):
        result, truth = _export(config, run_folder, artefact, weak=args.quick)
    with _stage("evaluate", "evaluate the exported folder on every engine", minutes):
        scores = _evaluate(config, artefact)
    with _stage("benchmark", "measure the latency of every engine", minutes):
        rows = _benchmark(artefact, args.output, runs=5 if args.quick else RUNS)
    report = _report(args.output, config, run_folder, artefact, next(iter(scores.values())), result.rows, rows)
    _summary(truth, scores, rows, minutes)
    print(f"\nthe whole demo took {(time.perf_counter() - began) / 60:.1f} minutes")
    print(f"report: {report.resolve()}")
    return 0


@contextmanager
def _stage(name: str, title: str, minutes: dict[str, float]) -> Iterator[None]:
    print(f"\n== {title}", flush=True)
    began = time.perf_counter()
    yield
    minutes[name] = (time.perf_counter() - began) / 60


def _generate(args: argparse.Namespace) -> None:
    from mobileseg.data.synthetic import generate

    root = args.output / "data"
    fresh = generate(root, train=16, val=8) if args.quick else generate(root)
    print(f"{root}: {'written' if fresh else 'already there'}")


def _config(args: argparse.Namespace) -> Config:
    from mobileseg.config.load import load_config

    root = (args.output / "data").as_posix()
    changes: list[str] = []
    for part in ("train", "val"):
        values = {"dataset_root": root, f"{part}_path": f"{root}/{part}.txt", "classes": f"{root}/classes.txt"}
        changes += [f"{part}_dataset.{key}={value}" for key, value in values.items()]
    iters = 8 if args.quick else args.iters
    if iters is not None:
        changes += [f"iters={iters}", f"save_interval={iters}", f"lr_scheduler.warmup_iters={min(20, iters // 4)}"]
    if args.quick:
        changes += ["batch_size=4", "log_iters=2"]
    return load_config(args.config, changes)


def _train(config: Config, folder: Path) -> None:
    """Train, or use the run that an earlier demo finished or left."""
    from mobileseg.engine.trainer import Trainer

    Trainer(config, folder).fit(resume="auto")


def _export(config: Config, run_folder: Path, artefact: Path, *, weak: bool) -> tuple[Any, dict[str, Any]]:
    """Export the best weights; returns the export's result and the scores of the network in Paddle."""
    from mobileseg.config.build import build_network
    from mobileseg.engine.weights import load_checkpoint_weights
    from mobileseg.export.exporter import export
    from mobileseg.export.table import format_rows

    network = build_network(config, load_pretrained=False)
    load_checkpoint_weights(run_folder / "best", network)
    network.eval()
    truth = network_scores(config, network)
    result = export(
        network, config, artefact, overwrite=True, accept_weak=weak, report=lambda line: print(line, flush=True)
    )
    print(format_rows(result.rows))
    return result, truth


def network_scores(config: Config, network: Any) -> dict[str, Any]:
    """Scores of a network in evaluation mode on the validation set of its configuration."""
    from mobileseg.config.build import build_dataset
    from mobileseg.engine.evaluator import evaluate
    from mobileseg.engine.inference import NetworkPredictor, TestOptions

    settings = config.to_dict()
    predictor = NetworkPredictor(network, TestOptions.from_section(settings["test_config"]))
    return evaluate(predictor, build_dataset(settings["val_dataset"]))


def _evaluate(config: Config, artefact: Path) -> dict[str, dict[str, Any]]:
    from mobileseg.config.build import build_dataset
    from mobileseg.engine.evaluator import SegmenterPredictor, evaluate
    from mobileseg.runtime.artefact import Manifest
    from mobileseg.runtime.engines.registry import fitting
    from mobileseg.runtime.segmenter import Segmenter
    from mobileseg.semantic.metric import render_table

    dataset = build_dataset(config.to_dict()["val_dataset"])
    scores = {}
    for engine in fitting(Manifest.read(artefact)):
        scores[engine] = evaluate(SegmenterPredictor(Segmenter(artefact, engine=engine)), dataset)
    print(render_table(next(iter(scores.values()))))
    return scores


def _benchmark(artefact: Path, output: Path, *, runs: int) -> list[dict[str, Any]]:
    from mobileseg.runtime.artefact import Manifest
    from mobileseg.runtime.benchmark import Case, measure
    from mobileseg.runtime.benchmark_rows import render_table, save_rows
    from mobileseg.runtime.engines.registry import fitting

    image = sorted((output / "data" / "images" / "val").glob("*.png"))[0]
    cases = [Case(str(artefact), engine, 1) for engine in fitting(Manifest.read(artefact))]
    rows = measure(cases, image, runs=runs)
    save_rows(output / "benchmark.json", rows)
    print(render_table(rows))
    return rows


def _report(
    output: Path,
    config: Config,
    run_folder: Path,
    artefact: Path,
    scores: dict[str, Any],
    verification: Sequence[Any],
    rows: list[dict[str, Any]],
) -> Path:
    from mobileseg.config.build import build_dataset
    from mobileseg.runtime.benchmark import machine
    from mobileseg.runtime.segmenter import Segmenter
    from mobileseg.viz.report import Example, write_report

    dataset = build_dataset(config.to_dict()["val_dataset"])
    segmenter = Segmenter(artefact)
    examples = []
    for index in range(min(EXAMPLES, len(dataset))):
        sample = dataset.load(index)
        image = sample.image.astype("uint8")
        examples.append(Example(f"validation image {index}", image, segmenter(image).labels, sample.label))
    facts = machine()
    environment = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in facts.items()}
    return write_report(
        output / "report.html",
        title=f"{config.name}: from a YAML file to verified graphs",
        log_path=run_folder / "log.jsonl",
        eval_metrics=scores,
        examples=examples,
        verification_rows=verification,
        benchmark_rows=rows,
        config_yaml=config.to_yaml(),
        environment=environment,
        palette=segmenter.palette,
    )


def _summary(
    truth: dict[str, Any], scores: dict[str, dict[str, Any]], rows: list[dict[str, Any]], minutes: dict[str, float]
) -> None:
    latency = {row["engine"]: row["stages"]["inference"]["median_ms"] for row in rows}
    print(f"\n{'engine':<24}{'mIoU':>8}{'inference':>14}")
    print(f"{'network (dygraph)':<24}{truth['miou']:>8.4f}{'-':>14}")
    for engine, values in scores.items():
        milliseconds = f"{latency[engine]:.1f} ms" if engine in latency else "-"
        print(f"{engine:<24}{values['miou']:>8.4f}{milliseconds:>14}")
    print("minutes: " + ", ".join(f"{name} {value:.1f}" for name, value in minutes.items()))
