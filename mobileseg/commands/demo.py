"""`mobileseg demo`: the life of a network of each family on synthetic data, in minutes on two cores."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobileseg import __version__, converter, paddle_version
from mobileseg.errors import ConfigError
from mobileseg.tasks import INSTANCE, SEMANTIC, VIDEO, stage

if TYPE_CHECKING:
    from mobileseg.config.load import Config
    from mobileseg.scores import Scores
    from mobileseg.viz.report import NetworkReport

HELP = "train (or take from the zoo), export, verify and evaluate a network of each family on synthetic data"

EXAMPLES = 4
RUNS = 50  # timed runs per engine: enough for a steady median of a few milliseconds each


@dataclass(frozen=True)
class Family:
    """One network of the demo.

    Attributes:
        name: folder below the output; that of its task.
        title: heading in the report.
        config: its configuration.
        start: the family whose trained backbone it starts from, '' for what the configuration says.
        weights: folder of a network that is trained already, None to train it here.
    """

    name: str
    title: str
    config: Path
    start: str = ""
    weights: Path | None = None


_VIDEO = Path("zoo/mobileyolact_edge_mobilenetv2_clips")

FAMILIES = (
    Family(
        SEMANTIC,
        "MobileSeg: semantic segmentation",
        Path("configs/mobileseg/mobileseg_mobilenetv2_synthetic.yml"),
    ),
    Family(
        INSTANCE,
        "mobileYOLACT: instance segmentation",
        Path("configs/mobileyolact/mobileyolact_mobilenetv2_synthetic.yml"),
        start=SEMANTIC,
    ),
    Family(
        VIDEO,
        "MobileYolactEdge: video instance segmentation",
        _VIDEO / "config.yml",
        weights=_VIDEO,
    ),
)

CLIPS = "video"
"""Folder of generated clips below the demo's data."""


@dataclass(frozen=True)
class Outcome:
    """What became of one network: its scores in Paddle and per engine, its latencies, its part of the report."""

    truth: Scores
    scores: dict[str, Scores]
    latencies: list[dict[str, Any]]
    report: NetworkReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = [family.name for family in FAMILIES]
    parser.add_argument("--only", choices=names, help="one family instead of all")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder (default: demo; with --quick demo/quick)")
    parser.add_argument("--iters", type=int, help="train each network for fewer iterations, for a quick look")
    parser.add_argument(
        "--quick", action="store_true", help="as few steps as possible: tries the path, not the network"
    )


def run(args: argparse.Namespace) -> int:
    """Generate, then for each family train (or take what is trained), export, verify, evaluate, measure; one report."""
    began = time.perf_counter()
    if args.output is None:
        args.output = Path("demo/quick" if args.quick else "demo")
    families = [family for family in FAMILIES if args.only in (None, family.name)]
    for family in families:
        if not family.config.is_file():
            raise ConfigError(f"{family.config} does not exist here", remedy="run in a checkout of the suite")
    minutes: dict[str, float] = {}
    elsewhere = converter.converter() if converter.is_needed() else None  # it must not be missing after the training
    if not converter.was_called():
        print(_runs_on(elsewhere))
    with _step("data", "generate the dataset", minutes):
        _generate(args)
    if elsewhere is not None:
        for family in (family for family in families if family.weights is None):
            config = _config(family, args)
            with _step(f"train {family.name}", _training_of(family, config), minutes):
                _train(config, args.output / family.name / "run")
        print(f"\ntrained in {sum(minutes.values()):.1f} minutes; what follows is done in the converter environment")
        return int(args.hand_over())  # which finds the runs finished and goes on from there
    outcomes = {family.name: _live(family, args, minutes) for family in families}
    report = _report(args.output, [outcome.report for outcome in outcomes.values()])
    for family in families:
        _summary(family, outcomes[family.name])
    spent = {name: f"{value:.1f}" for name, value in minutes.items()}
    print("\nminutes: " + ", ".join(f"{name} {value}" for name, value in spent.items() if value != "0.0"))
    what = "the part in the converter environment" if converter.was_called() else "the whole demo"
    print(f"{what} took {(time.perf_counter() - began) / 60:.1f} minutes")
    print(f"report: {report.resolve()}")
    return 0


def _live(family: Family, args: argparse.Namespace, minutes: dict[str, float]) -> Outcome:
    """The life of one network."""
    root = args.output / family.name
    config = _config(family, args)
    trained = family.weights or root / "run" / "best"
    if family.weights is None:
        with _step(f"train {family.name}", _training_of(family, config), minutes):
            _train(config, root / "run")
    with _step("export", f"{family.title}: export, run and compare every graph", minutes):
        rows, truth = _export(config, trained, root / "artefact", weak=args.quick)
    with _step("evaluate", "evaluate the exported model on every engine", minutes):
        scores = _evaluate(config, root / "artefact")
    if family.name == VIDEO:
        with _step("clip", "find and follow the objects of a clip", minutes):
            _follow(config, root)
    with _step("benchmark", "measure the latency of every engine", minutes):
        latencies = _benchmark(root, args.output / "data", runs=5 if args.quick else RUNS)
    return Outcome(truth, scores, latencies, _part(family, config, root, next(iter(scores.values())), rows, latencies))


def _runs_on(elsewhere: converter.Converter | None) -> str:
    import platform

    own = f"mobileseg {__version__}, Python {platform.python_version()}, {paddle_version.installed()}"
    return own if elsewhere is None else f"{own}; converter environment: {elsewhere}"


def _training_of(family: Family, config: Config) -> str:
    return f"{family.title}: train for {config.iters} iterations"


@contextmanager
def _step(name: str, title: str, minutes: dict[str, float]) -> Iterator[None]:
    print(f"\n== {title}", flush=True)
    began = time.perf_counter()
    yield
    minutes[name] = minutes.get(name, 0.0) + (time.perf_counter() - began) / 60


def _generate(args: argparse.Namespace) -> None:
    from mobileseg.data.synthetic.datasets import generate
    from mobileseg.data.synthetic.video import generate_clips

    root = args.output / "data"
    fresh = generate(root, train=16, val=8) if args.quick else generate(root)
    print(f"{root}: {'written' if fresh else 'already there'}")
    if args.only in (None, VIDEO):
        fresh = generate_clips(root / CLIPS, seed=3, train=1, val=2, length=6 if args.quick else 16, size=(256, 256))
        print(f"{root / CLIPS}: {'written' if fresh else 'already there'}")


def _config(family: Family, args: argparse.Namespace) -> Config:
    """The configuration of a family, with the demo's folders in the place of the ones it names."""
    from mobileseg.config.load import load_config

    plain = load_config(family.config)
    root = (args.output / "data").as_posix()
    changes: list[str] = []
    for part, section in (("train", plain.train_dataset), ("val", plain.val_dataset)):
        assert section is not None
        for key, value in section.items():  # 'demo/data/train.txt' -> '<output>/data/train.txt'
            if isinstance(value, str) and value.startswith("demo/data"):
                changes.append(f"{part}_dataset.{key}={root}{value.removeprefix('demo/data')}")
        if family.name == VIDEO:
            changes.append(f"{part}_dataset.dataset_root={root}/{CLIPS}")
    if family.start:
        start = args.output / family.start / "run" / "best" / "model.pdparams"
        if start.is_file():  # not with --only
            changes.append(f"model.backbone.pretrained={start.as_posix()}")
    iters = 8 if args.quick else args.iters
    if iters is not None and family.weights is None:
        changes += [f"iters={iters}", f"save_interval={iters}", f"lr_scheduler.warmup_iters={min(20, iters // 4)}"]
    if args.quick and family.weights is None:
        changes += ["batch_size=4", "log_iters=2"]
    return load_config(family.config, changes)


def _train(config: Config, folder: Path) -> None:
    """Train, or use the run that an earlier demo finished or left."""
    from mobileseg.training.trainer import Trainer

    Trainer(config, folder).fit(resume="auto")


def _export(config: Config, trained: Path, artefact: Path, *, weak: bool) -> tuple[Sequence[Any], Scores]:
    """Export trained weights; returns the rows of the comparison and the scores of the network in Paddle."""
    from mobileseg.config.build import build_network
    from mobileseg.export.exporter import export
    from mobileseg.export.table import format_rows
    from mobileseg.training.weights import load_checkpoint_weights

    network = build_network(config, load_pretrained=False)
    load_checkpoint_weights(trained, network)
    network.eval()
    truth = network_scores(config, network)
    result = export(
        network, config, artefact, overwrite=True, accept_weak=weak, report=lambda line: print(line, flush=True)
    )
    print(format_rows(result.rows, result.results))
    return result.rows, truth


def network_scores(config: Config, network: Any) -> Scores:
    """Scores of a network in evaluation mode on the validation set of its configuration."""
    from mobileseg.config.build import build_dataset
    from mobileseg.training.evaluator import evaluate
    from mobileseg.training.predictors import make_predictor

    settings = config.to_dict()
    return evaluate(make_predictor(network, settings), build_dataset(settings["val_dataset"]))


def _evaluate(config: Config, artefact: Path) -> dict[str, Scores]:
    from mobileseg.config.build import build_dataset
    from mobileseg.runtime.engines.registry import fitting
    from mobileseg.runtime.manifest import Manifest
    from mobileseg.runtime.segmenter import Segmenter
    from mobileseg.training.evaluator import SegmenterPredictor, evaluate

    dataset = build_dataset(config.to_dict()["val_dataset"])
    scores = {}
    for engine in fitting(Manifest.read(artefact)):
        scores[engine] = evaluate(SegmenterPredictor(Segmenter(artefact, engine=engine)), dataset)
    print(next(iter(scores.values())).table)
    return scores


def _follow(config: Config, root: Path) -> None:
    """Write the first validation clip as a video, and what `mobileseg predict` makes of it."""
    from mobileseg.config.build import build_dataset
    from mobileseg.prediction.predict import PredictionWriter
    from mobileseg.prediction.sources import find_sources
    from mobileseg.runtime.segmenter import Segmenter
    from mobileseg.runtime.video import VideoWriter

    dataset = build_dataset(config.to_dict()["val_dataset"])
    clip = root / "clip.mp4"
    with VideoWriter(clip, 10.0) as writer:
        for index in dataset.sequences()[0]:
            writer.write(dataset.load(index).image.astype("uint8"))
    PredictionWriter(Segmenter(root / "artefact"), root / "followed", outputs=("overlay", "json")).run(
        find_sources([str(clip)])
    )


def _benchmark(root: Path, data: Path, *, runs: int) -> list[dict[str, Any]]:
    from mobileseg.benchmarking.benchmark import Case, measure
    from mobileseg.benchmarking.rows import render_table, save_rows
    from mobileseg.runtime.engines.registry import fitting
    from mobileseg.runtime.manifest import Manifest

    artefact = root / "artefact"
    image = sorted((data / "images" / "val").glob("*.png"))[0]
    cases = [Case(str(artefact), engine, 1) for engine in fitting(Manifest.read(artefact))]
    rows = measure(cases, image, runs=runs)
    save_rows(root / "benchmark.json", rows)
    print(render_table(rows))
    return rows


def _part(
    family: Family,
    config: Config,
    root: Path,
    scores: Scores,
    verification: Sequence[Any],
    latencies: list[dict[str, Any]],
) -> NetworkReport:
    """One network's part of the report."""
    from mobileseg.config.build import build_dataset
    from mobileseg.runtime.segmenter import Segmenter
    from mobileseg.viz.report import Example, NetworkReport

    dataset = build_dataset(config.to_dict()["val_dataset"])
    segmenter = Segmenter(root / "artefact")
    shown = stage(segmenter, "visualize")
    following = getattr(shown, "TRACKS_BY_DEFAULT", False)
    examples = []
    # Images by themselves, or frames of the first clip with all frames between them.
    wanted = range(len(dataset.sequences()[0])) if following else range(min(EXAMPLES, len(dataset)))
    stream = segmenter.stream(track=True) if following else None
    for index in wanted:
        sample = dataset.load(index)
        image = sample.image.astype("uint8")
        found = segmenter(image) if stream is None else stream.step(image)
        if index % -(-len(wanted) // EXAMPLES) == 0:
            name = f"validation image {index}" if stream is None else f"frame {index} ({stream.pipeline})"
            examples.append(Example(name, image, found, shown.truth(sample)))
    log = root / "run" / "log.jsonl"
    return NetworkReport(
        task=segmenter.task,
        title=family.title,
        log_path=log if log.is_file() else None,
        eval_metrics=scores,
        examples=examples,
        verification_rows=verification,
        benchmark_rows=latencies,
        config_yaml=config.to_yaml(),
        classes=segmenter.classes,
        palette=segmenter.palette,
    )


def _report(output: Path, parts: Sequence[NetworkReport]) -> Path:
    from mobileseg.benchmarking.host_info import machine
    from mobileseg.viz.report import write_report

    environment = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in machine().items()}
    return write_report(
        output / "report.html", title="From a YAML file to verified graphs", networks=parts, environment=environment
    )


def _summary(family: Family, outcome: Outcome) -> None:
    from mobileseg.benchmarking.benchmark import STREAM

    rows = [row for row in outcome.latencies if row.get("frame") in (None, STREAM)]
    latency = {row["engine"]: row["stages"]["inference"]["median_ms"] for row in rows}
    print(f"\n{family.title}\n{'engine':<24}{outcome.truth.metric:>10}{'inference':>14}")
    print(f"{'network (dygraph)':<24}{outcome.truth.score:>10.4f}{'-':>14}")
    for engine, values in outcome.scores.items():
        milliseconds = f"{latency[engine]:.1f} ms" if engine in latency else "-"
        print(f"{engine:<24}{values['score'] or 0.0:>10.4f}{milliseconds:>14}")
