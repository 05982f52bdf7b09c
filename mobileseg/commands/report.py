"""`mobileseg report`: one HTML page about training runs: curves, scores, examples, exported models."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobileseg.commands.arguments import add_device_argument, choose_device
from mobileseg.errors import ConfigError, MobileSegError

if TYPE_CHECKING:
    from mobileseg.config.load import Config
    from mobileseg.runtime.manifest import Manifest
    from mobileseg.training.network_segmenter import NetworkSegmenter
    from mobileseg.viz.report import Example, NetworkReport
    from mobileseg.viz.task import History

HELP = "write one HTML page about training runs: curves, scores, examples, exported models"

SCORES = "scores.json"
EXAMPLES = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder; several make one page")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="HTML file to write (default: output/report/NAME.html)"
    )
    parser.add_argument("--title", help="heading of the page (default: the names of the runs)")
    parser.add_argument(
        "--examples", type=int, default=EXAMPLES, metavar="N", help=f"validation images to show (default: {EXAMPLES})"
    )
    parser.add_argument(
        "--exported", nargs="+", type=Path, default=[], metavar="FOLDER",
        help="exported models of the run (default: those in the run folder and beside it)",
    )  # fmt: skip
    parser.add_argument(
        "--benchmark", nargs="+", default=[], metavar="JSON", help="rows of `mobileseg benchmark` to show"
    )
    add_device_argument(parser, "where the network runs for the examples")


def run(args: argparse.Namespace) -> int:
    """Gather what the runs left, segment some validation images, write the page."""
    from mobileseg.benchmarking.host_info import machine
    from mobileseg.training.store import run_folder_of
    from mobileseg.viz.report import write_report

    if args.examples < 0:
        raise ConfigError(f"--examples is {args.examples}, expected at least 0")
    if len(args.runs) > 1 and (args.exported or args.benchmark):
        raise ConfigError("--exported and --benchmark belong to one run", remedy="name one run, or leave them out")
    choose_device(args.device)
    runs = [run_folder_of(folder) for folder in args.runs]
    names = _titles(runs)
    headings = names if len(runs) > 1 else [""]  # of one run the page has it
    networks = [network_report(folder, heading, args) for folder, heading in zip(runs, headings, strict=True)]
    target = args.output or Path("output", "report", f"{'_'.join(names).replace('/', '_')}.html")
    facts = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in machine().items()}
    written = write_report(target, title=args.title or ", ".join(names), networks=networks, environment=facts)
    print(f"report: {written.resolve()}")
    return 0


def _titles(runs: list[Path]) -> list[str]:
    """Names of the run folders; with the folder above them where several have one name."""
    names = [folder.resolve().name for folder in runs]
    if len(set(names)) == len(names):
        return names
    return [f"{folder.resolve().parent.name}/{name}" for folder, name in zip(runs, names, strict=True)]


def network_report(folder: Path, title: str, args: argparse.Namespace) -> NetworkReport:
    """The part of one run.

    Raises:
        ConfigError: not a run folder.
    """
    from mobileseg.benchmarking.rows import load_rows
    from mobileseg.viz.history import LOG, read_history
    from mobileseg.viz.report import NetworkReport

    config, task = read_run(folder)
    history = read_history(folder)
    scores, origin = scores_of_run(folder, history)
    exported = list(_named(args.exported)) or list(exported_folders(folder, config.hash))
    segmenter = _segmenter(folder)
    return NetworkReport(
        task=task,
        title=title,
        facts={"run": folder, "scores": origin, "exported": ", ".join(str(place) for place, _ in exported) or "none"},
        log_path=folder / LOG,
        eval_metrics=scores,
        examples=_examples(config, segmenter, args.examples) if segmenter is not None and args.examples else [],
        verification_rows=[row for _, manifest in exported for row in manifest.verification],
        benchmark_rows=[row for path in args.benchmark for row in load_rows(path)],
        config_yaml=config.to_yaml(),
        classes=() if segmenter is None else segmenter.classes,
        palette=None if segmenter is None else segmenter.palette,
    )


def read_run(folder: Path) -> tuple[Config, str]:
    """Configuration and task of a run.

    Raises:
        ConfigError: there is no configuration in the folder.
    """
    from mobileseg.config.build import build_network
    from mobileseg.config.load import RUN_CONFIG, load_config
    from mobileseg.tasks import task_of

    if not (folder / RUN_CONFIG).is_file():
        raise ConfigError(f"{folder} has no {RUN_CONFIG}, so it is no run folder", remedy="name a folder of a training")
    config = load_config(folder / RUN_CONFIG)
    return config, task_of(build_network(config, load_pretrained=False))


def scores_of_run(folder: Path, history: History) -> tuple[dict[str, Any], str]:
    """The scores to show and where they come from.

    Those that `mobileseg val` wrote for ``best`` or the run are taken before those that the log kept: they hold more.
    """
    for path in (folder / "best" / SCORES, folder / SCORES):
        if path.is_file():
            try:
                scores = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise ConfigError(
                    f"{path} is not JSON: {error}", remedy="evaluate again with `mobileseg val`"
                ) from error
            if isinstance(scores, dict):
                return scores, f"{path.relative_to(folder)}, of {scores.get('model', 'the run')}"
    scored = [event for event in history["eval"] if isinstance(event.get("score"), (int, float))]
    if not scored:
        return {}, "none, the run was not evaluated"
    best = max(scored, key=lambda event: float(event["score"]))
    return dict(best), f"the best evaluation during training, at iteration {best['iter']}"


def exported_folders(folder: Path, config_hash: str) -> Iterator[tuple[Path, Manifest]]:
    """Exported models of a run, in the run folder or beside it: those whose manifest names its configuration."""
    from mobileseg.runtime.manifest import is_artefact

    places = sorted({*folder.iterdir(), *folder.resolve().parent.iterdir()}, key=lambda place: place.name)
    for place, manifest in _named([place for place in places if place.is_dir() and is_artefact(place)]):
        if manifest.config_sha256 == config_hash:
            yield place, manifest


def _named(places: list[Path]) -> Iterator[tuple[Path, Manifest]]:
    from mobileseg.runtime.manifest import Manifest

    for place in places:
        yield place, Manifest.read(place)


def _segmenter(folder: Path) -> NetworkSegmenter | None:
    """The network with its best weights; None for a run that has not saved any yet."""
    from mobileseg.training.network_segmenter import NetworkSegmenter

    try:
        return NetworkSegmenter.of_folder(folder)
    except MobileSegError as error:
        print(f"no examples: {error}")
        return None


def _examples(config: Config, segmenter: NetworkSegmenter, count: int) -> list[Example]:
    """Validation images, evenly spread, segmented; none where the dataset is not on this machine."""
    import numpy as np

    from mobileseg.config.build import build_dataset
    from mobileseg.tasks import stage
    from mobileseg.viz.report import Example

    try:
        dataset = build_dataset(config.to_dict()["val_dataset"])
    except MobileSegError as error:
        print(f"no examples: {error}")
        return []
    truth = stage(segmenter, "visualize").truth
    examples = []
    for index in np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int)).tolist():
        sample = dataset.load(index)
        image = dataset.pixels.stored(sample.image)
        shown = dataset.pixels.shown(image)
        examples.append(Example(Path(sample.meta["image_path"]).name, shown, segmenter(image), truth(sample)))
    return examples
