"""What is measured of every network of a compression: cost, scores, sizes, and on engines latency and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mobileseg.benchmarking.benchmark import Case, synthetic_image
from mobileseg.benchmarking.benchmark import measure as measure_latency
from mobileseg.benchmarking.host_info import machine
from mobileseg.benchmarking.memory import measure_memory
from mobileseg.compress.variants import Variants
from mobileseg.config.load import Config
from mobileseg.errors import CompressionError
from mobileseg.export.exporter import export
from mobileseg.export.from_config import dataset_from, options_from
from mobileseg.export.options import ENGINES
from mobileseg.folders import scratch_folder
from mobileseg.nn import cost
from mobileseg.training.evaluator import evaluate
from mobileseg.training.predictors import make_predictor

Say = Callable[[str], None]


def cost_of(network: Any, config: Config) -> cost.Cost:
    """Parameters and multiply-adds of what is deployed, for an image of the export size."""
    options = options_from(config, {})
    return cost.total(cost.measure(network, options.height, options.width))


def scores_of(network: Any, config: Config, dataset: Any, progress: Callable[[int, int], None] | None = None) -> Any:
    """Scores of a network on a dataset that a row shows, by name; the first one decides."""
    network.eval()
    predict = make_predictor(network, config.to_dict())
    return evaluate(predict, dataset, num_workers=1, progress=progress).named()


def targets_for(engines: Sequence[str]) -> list[str]:
    """Export targets that these engines run.

    Raises:
        CompressionError: an engine is not known, or runs nothing that is exported here.
    """
    target_of = {engine: target for target, engine in ENGINES.items()}
    unknown = [engine for engine in engines if engine not in target_of]
    if unknown:
        raise CompressionError(
            f"compress.measure.engines: there is no engine {', '.join(unknown)}",
            remedy=f"choose from {', '.join(target_of)}",
        )
    return [target_of[engine] for engine in engines]


def export_variant(network: Any, config: Config, folder: Path, engines: Sequence[str], say: Say) -> dict[str, int]:
    """Export a network for the engines; verified as by `mobileseg export`, but weak references are accepted.

    Returns:
        Target -> bytes.
    """
    network.eval()
    result = export(network, config, folder, targets=targets_for(engines), overwrite=True, accept_weak=True, report=say)
    return {row.target: row.size_bytes for row in result.rows if row.size_bytes is not None}


def measure_engines(
    variants: Variants,
    folders: Mapping[str, Path],
    config: Config,
    say: Say,
    *,
    engines: Sequence[str] | None = None,
    like: Mapping[str, str] | None = None,
) -> None:
    """Latency and memory of exported models, all in one interleaved run, into the rows; nothing without engines.

    Args:
        variants: has a row for every name.
        folders: name -> exported model.
        config: ``compress.measure`` and the images.
        say: told what is going on.
        engines: those of ``compress.measure.engines`` that the folders have graphs for; None: all of them.
        like: name -> the name in ``folders`` whose graph has the same shapes; gets the same latency and memory.
    """
    settings = config.compress.measure
    engines = settings.engines if engines is None else engines
    if not engines:
        return
    names = {str(folder): name for name, folder in folders.items()}
    cases = [Case(folder, engine, settings.threads) for folder in names for engine in engines]
    with scratch_folder() as scratch:
        image = _image(config, scratch)
        say(f"latency of {len(cases)} cases, {settings.runs} runs each, interleaved")
        rows = measure_latency(cases, image, runs=settings.runs, say=say)
        say("memory of fresh processes")
        memory = measure_memory(cases, image)
    for folder, name in names.items():
        latency = {row["engine"]: row["stages"]["inference"]["median_ms"] for row in rows if row["folder"] == folder}
        peaks = {case.engine: round(peak / 1e6, 1) for case, peak in memory.items() if case.folder == folder}
        for row in (name, *(twin for twin, other in (like or {}).items() if other == name)):
            variants.update(row, latency_ms=latency, memory_mb=peaks)
    variants.set_facts(
        machine={**machine(), "load": rows[0]["load"]},
        threads=settings.threads,
        runs=settings.runs,
        benchmark=[{**row, "folder": Path(row["folder"]).name} for row in rows],
        like=dict(like or {}),
    )


def _image(config: Config, scratch: Path) -> str:
    """A validation image, else a synthetic one of the export size."""
    dataset = dataset_from(config)
    if dataset is not None and len(dataset):
        return str(dataset.items[0].image)
    options = options_from(config, {})
    synthetic_image(scratch / "synthetic.jpg", (options.height, options.width))
    return str(scratch / "synthetic.jpg")
