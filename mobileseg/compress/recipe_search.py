"""The recipe `mobileseg compress search`: accuracy and latency of every precision per component."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from mobileseg.benchmarking.host_info import load_of_others, machine
from mobileseg.compress.precision.combine import (
    DEVICE_ONLY,
    Combination,
    CombinationRow,
    Combinations,
    assignment,
    best_row,
    with_latency,
)
from mobileseg.compress.precision.prepare import Prepared, calibrate, calibration_streams, graphs_for, prepare
from mobileseg.compress.precision.qdq import write_qdq
from mobileseg.compress.precision.ranges import Ranges
from mobileseg.compress.precision.scores import Evaluation
from mobileseg.compress.precision.simulate import Precision, Simulation
from mobileseg.compress.precision.streams import Stream
from mobileseg.compress.precision.tables import (
    Calibration,
    Effect,
    calibrations_table,
    combinations_table,
    effects,
    effects_table,
)
from mobileseg.compress.precision.timing import time_onnx
from mobileseg.compress.recipe import Recipe
from mobileseg.compress.report import Wording, write_report
from mobileseg.compress.variants import Variant, Variants
from mobileseg.config.build import build_dataset
from mobileseg.data.subset import subset_of
from mobileseg.errors import CompressionError
from mobileseg.export.conversion import onnx
from mobileseg.export.conversion.process import Failure
from mobileseg.folders import scratch_folder
from mobileseg.nn.components import component_paths, is_inside

Paths: TypeAlias = dict[str, tuple[str, ...]]
"""Component -> paths of its layers."""

_Timed: TypeAlias = tuple[str, tuple[str, ...]]  # a graph, and its layers in int8


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        components: names, in the order of the combinations.
        rows: one for every combination that was scored, the finest precision first.
        complete: whether these are all there are.
        chosen: the best one under the budget, if one meets it.
        calibrations: scores by number of images to calibrate with.
        ranges: of the activations, for int8.
        load: cores that other programs kept busy before the latencies were taken.
    """

    components: list[str]
    rows: list[CombinationRow]
    complete: bool
    chosen: CombinationRow | None
    calibrations: list[Calibration]
    ranges: Ranges
    load: float


@dataclass
class SearchRecipe(Recipe):
    """One call of the recipe."""

    def __post_init__(self) -> None:
        self.settings = self.config.compress.search
        limit = self.config.compress.max_drop
        self.max_drop = self.settings.max_drop if limit is None else limit
        self.variants = Variants(self.folder, "search", anew=True)

    def run(self) -> str:
        """Search and write the report; returns its tables.

        Raises:
            CompressionError: the network names no components, or cannot be quantised.
            DataError: an image cannot be read.
        """
        self.config.require("val_dataset")
        self._dataset = subset_of(build_dataset(self.config.to_dict()["val_dataset"]), self.settings.images)
        algorithm, count = self.config.compress.quantize.algorithm, self.config.compress.quantize.images
        with scratch_folder() as work:
            prepared = prepare(self.load(), self.config, self._dataset.dataset, work, self._zoo)
            paths = component_paths(prepared.network)
            if not paths:
                raise CompressionError(
                    f"{type(prepared.network).__name__} names no components (method components())",
                    remedy="use `mobileseg compress quantize` on the whole network",
                )
            streams, _ = calibration_streams(prepared, self.config, max([count, *self.settings.calibrations]), self.say)
            ranges = calibrate(prepared, streams[:count], algorithm)
            rows, complete = self._score(prepared, ranges, paths)
            latencies, load = self._latencies(prepared, ranges, paths, [row.combination for row in rows], work)
            rows = with_latency(rows, latencies)
            chosen = best_row(rows, max_drop=self.max_drop, latency_ms=self.settings.latency_ms)
            calibrations = self._calibrations(prepared, streams, paths, algorithm, chosen)
        found = Found(list(paths), rows, complete, chosen, calibrations, ranges, load)
        changes = effects(found.components, rows)
        self._keep(found, changes)
        return write_report(
            self.variants, f"{self.config.name}: precision per component", self._wording(found, changes)
        )

    def _evaluation(self, simulation: Simulation) -> Evaluation:
        return Evaluation(simulation, self.config.to_dict(), self._dataset)

    def _score(self, prepared: Prepared, ranges: Ranges, paths: Paths) -> tuple[list[CombinationRow], bool]:
        simulation = Simulation(prepared.network, {layer: ranges.inputs_of(layer) for layer in ranges.layers})
        try:
            combinations = Combinations(self._evaluation(simulation), paths, self.settings.precisions, self.say)
            return combinations.search(self.settings.time_limit, self.max_drop)
        finally:
            simulation.close()

    def _latencies(
        self,
        prepared: Prepared,
        ranges: Ranges,
        paths: Paths,
        combinations: Sequence[Combination],
        work: Path,
    ) -> tuple[dict[Combination, float], float]:
        """Milliseconds of every combination without float16, and the cores that were busy before.

        ONNX Runtime, all graphs in one interleaved run. A frame takes what the graphs of its pipeline take; of streams
        it is the mean over the frames of one.
        """
        timed = [one for one in combinations if "fp16" not in one]
        files: dict[_Timed, Path] = {}
        needed = [_layers_of(prepared, paths, one) for one in timed]
        for graph in graphs_for(prepared, ["onnx"], work)["onnx"]:
            converted = work / f"{graph.name}.onnx"
            try:
                onnx.convert(graph.model, graph.params, converted, prepared.options.opset)
            except Failure as failure:
                raise CompressionError(
                    f"the graph '{graph.name}' cannot be timed: its conversion to ONNX failed ({failure})"
                ) from failure
            for layers in dict.fromkeys(found[graph.name] for found in needed):
                files[graph.name, layers] = converted
                if layers:
                    files[graph.name, layers] = work / f"timed{len(files)}.onnx"
                    own = ranges.graphs[graph.name].renamed(graph.renamed)
                    write_qdq(converted, graph.program, own, layers, files[graph.name, layers])
        self.say(f"latency of {len(timed)} combinations, {self.settings.runs} runs each")
        load = load_of_others(self.say)
        found = time_onnx(list(files.values()), runs=self.settings.runs, threads=self.settings.threads)
        latency = dict(zip(files, found, strict=True))
        pipelines = prepared.task.deployment(prepared.network, prepared.options).pipelines
        frames = [pipelines[name] for name in prepared.task.pipelines]
        return {
            combination: statistics.mean(sum(latency[name, own[name]] for name in frame) for frame in frames)
            for combination, own in zip(timed, needed, strict=True)
        }, load

    def _calibrations(
        self, prepared: Prepared, streams: Sequence[Stream], paths: Paths, algorithm: str, chosen: CombinationRow | None
    ) -> list[Calibration]:
        """Scores by number of images to calibrate with: everything in int8, and the chosen combination."""
        int8: Precision = "int8"
        whole: Combination = (int8,) * len(paths)
        wanted = [whole]
        if chosen is not None and "int8" in chosen.combination and chosen.combination not in wanted:
            wanted.append(chosen.combination)
        found = []
        for count in self.settings.calibrations:
            self.say(f"calibration with {count} images")
            limits: dict[str, Sequence[float] | None] = dict.fromkeys(prepared.layers)
            if count:
                ranges = calibrate(prepared, streams[:count], algorithm)
                limits = {layer: ranges.inputs_of(layer) for layer in ranges.layers}
            simulation = Simulation(prepared.network, limits)
            try:
                assignments = [assignment(paths, one) for one in wanted]
                scores = self._evaluation(simulation).scores(assignments)
            finally:
                simulation.close()
            named = {"-".join(one): each.named() for one, each in zip(wanted, scores, strict=True)}
            found.append(Calibration(min(count, len(streams)), named))
        return found

    @property
    def _budget(self) -> str:
        if self.settings.latency_ms is not None:
            return f"latency at most {self.settings.latency_ms:g} ms"
        return f"at most {self.max_drop:g} lost"

    def _keep(self, found: Found, changes: Sequence[Effect]) -> None:
        """Everything that was found into ``report.json``."""
        for row in found.rows:
            pairs = zip(found.components, row.combination, strict=True)
            described = ", ".join(f"{name} {precision}" for name, precision in pairs)
            latency = {} if row.latency_ms is None else {"onnxruntime": row.latency_ms}
            note = DEVICE_ONLY if row.latency_ms is None else ""
            self.variants.add(Variant(row.name, described, latency_ms=latency, scores=row.scores, note=note))
        self.variants.set_facts(
            machine={**machine(), "load": found.load},
            runs=self.settings.runs,
            threads=self.settings.threads,
            complete=found.complete,
            budget=self._budget,
            best=None if found.chosen is None else found.chosen.name,
            effects=[asdict(one) for one in changes],
            calibrations=[asdict(one) for one in found.calibrations],
            images=len(self._dataset),
        )

    def _wording(self, found: Found, changes: Sequence[Effect]) -> Wording:
        tables = {}
        if changes:
            caption = f"Mean change by a precision in one component, against {found.rows[0].combination[0]}"
            tables[caption] = effects_table(changes)
        if found.calibrations:
            tables["Calibration with more and fewer images"] = calibrations_table(found.calibrations)
        tried = "All combinations." if found.complete else "Greedy search: not all combinations were tried."
        return Wording(
            lead=[
                f"Scores on {len(self._dataset)} images with simulated precision; int8 calibrated with "
                f"{found.ranges.images} images ({found.ranges.algorithm}). {tried}",
                f"Budget: {self._budget}. {_advice(found)}",
            ],
            variants=combinations_table(found.components, found.rows, found.chosen),
            tables=tables,
            about=[] if found.chosen is None else [found.chosen.name],
        )


def _layers_of(prepared: Prepared, paths: Paths, combination: Combination) -> dict[str, tuple[str, ...]]:
    """Graph -> its layers that are in int8."""
    pairs = zip(paths.values(), combination, strict=True)
    inside = tuple(path for members, precision in pairs if precision == "int8" for path in members)
    return {graph.name: tuple(layer for layer in graph.calls if is_inside(layer, inside)) for graph in prepared.graphs}


def _advice(found: Found) -> str:
    """The best combination and how it is exported."""
    if found.chosen is None:
        return "No combination that runs here meets it."
    pairs = zip(found.components, found.chosen.combination, strict=True)
    parts = [name for name, precision in pairs if precision == "int8"]
    setting = f" `compress.quantize.components: {json.dumps(parts)}` exports it." if parts else ""
    return f"Best: {found.chosen.name}.{setting}"
