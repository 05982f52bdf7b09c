"""The recipe `mobileseg compress quantize`: from a trained network to an exported int8 model and what it cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mobileseg.compress.gate import Gate, write_gate
from mobileseg.compress.measure import cost_of, measure_engines, scores_of
from mobileseg.compress.precision.analyse import Analysis, analyse, render
from mobileseg.compress.precision.artefact import TARGETS, Written, write_int8
from mobileseg.compress.precision.images import require_images
from mobileseg.compress.precision.prepare import Prepared, calibrate, calibration_streams, prepare, wanted_layers
from mobileseg.compress.precision.ranges import Ranges
from mobileseg.compress.precision.scores import Evaluation
from mobileseg.compress.precision.simulate import Precision, simulated
from mobileseg.compress.precision.streams import Stream, read_streams, run_stream
from mobileseg.compress.recipe import Recipe
from mobileseg.compress.report import write_report
from mobileseg.compress.variants import Variant, Variants
from mobileseg.config.build import build_dataset
from mobileseg.data.subset import ImageSubset, subset_of
from mobileseg.errors import CompressionError
from mobileseg.export.atomic_folder import refuse_existing
from mobileseg.export.conversion import converters
from mobileseg.export.exporter import export
from mobileseg.export.from_config import images_from
from mobileseg.export.options import ENGINES
from mobileseg.export.verify import TargetRow
from mobileseg.files import write_whole
from mobileseg.folders import scratch_folder
from mobileseg.runtime.engines.registry import unavailable
from mobileseg.runtime.segmenter import Segmenter
from mobileseg.training.evaluator import SegmenterPredictor, evaluate

FLOAT, INT8 = "fp32", "int8"
ANALYSIS, RANGES = "analysis.json", "ranges.json"


@dataclass
class QuantizeRecipe(Recipe):
    """One call of the recipe."""

    def __post_init__(self) -> None:
        self.settings = self.config.compress.quantize
        self.variants = Variants(self.folder, "quantize")

    def run(self) -> list[Variant]:
        """Do all steps and write the report.

        Raises:
            CompressionError: the network cannot be quantised, or lost more than ``compress.max_drop``.
            DataError: an image cannot be read.
            ExportError: a conversion failed.
        """
        settings = self.settings
        self.config.require("val_dataset")
        self._dataset = build_dataset(self.config.to_dict()["val_dataset"])
        targets = self._targets()
        require_images(settings.images)
        for name in (FLOAT, INT8):
            refuse_existing(self.folder / name, overwrite=True)
        with scratch_folder() as work:
            prepared = prepare(self._trained(), self.config, self._dataset, work, self._zoo)
            layers = wanted_layers(prepared, settings.components, settings.skip)
            streams, calibrated = calibration_streams(prepared, self.config, settings.images, self.say)
            self._judges = self._held_out(calibrated)
            self._export_float(self.load(), targets)
            self.say(f"ranges of the activations by PaddleSlim ({settings.algorithm})")
            ranges = calibrate(prepared, streams, settings.algorithm)
            write_whole(self.folder / RANGES, json.dumps(ranges.to_dict(), indent=1) + "\n")
            analysis = self._analyse(prepared, ranges, layers)
            layers = [layer for layer in layers if layer not in set(analysis.keep)]
            written = self._write(prepared, ranges, layers, targets, analysis)
        folders = {name: self.folder / name for name in (FLOAT, INT8)}
        timed = [engine for engine in self.config.compress.measure.engines if engine in _engines(targets)]
        measure_engines(self.variants, folders, self.config, self.say, engines=timed)
        self.variants.set_facts(
            quantize={
                "layers": len(layers),
                "float_layers": prepared.in_float(layers),
                "algorithm": settings.algorithm,
                "images": ranges.images,
                "kernels": written.kernels,
            }
        )
        write_report(self.variants, f"{self.config.name}: int8")
        return self.variants.read()

    def _trained(self) -> Any:
        """The network to quantise: the input, or what training with simulated int8 makes of it."""
        if self.settings.qat is None:
            return self.load()
        from mobileseg.compress.precision.qat import train_quantised

        return train_quantised(self.config, self.load, self.folder, self._dataset, self.say)

    def _targets(self) -> tuple[str, ...]:
        """What is installed of what the configuration wants, or of all that can be int8."""
        named = self.config.export.targets
        wanted = [target for target in TARGETS if named is None or target in named]
        found = tuple(target for target in wanted if not converters.missing(target))
        if not found:
            raise CompressionError(
                f"none of the targets {', '.join(named or TARGETS)} can be written in int8 here",
                remedy=f"export.targets: [{', '.join(TARGETS)}], and install their converters",
            )
        return found

    def _analysis_images(self) -> ImageSubset:
        return subset_of(self._dataset, self.settings.analysis_images)

    def _held_out(self, calibrated: set[Path]) -> ImageSubset:
        """The images that judge: those that neither calibrated nor chose layers; all, where none are left."""
        used = {index for index, item in enumerate(self._dataset.items) if Path(item.image).resolve() in calibrated}
        used.update(self._analysis_images().indices)
        held_out = subset_of(self._dataset, self.settings.score_images, without=used)
        if len(held_out):
            return held_out
        self.say(
            "warning: no validation image is left that neither calibrated nor chose; int8 is judged on those that did"
        )
        return subset_of(self._dataset, self.settings.score_images)

    def _export_float(self, network: Any, targets: Sequence[str]) -> None:
        """The folder and the row that int8 is compared with."""
        place = self.folder / FLOAT
        self.say("export in float32, to compare with")
        result = export(
            network,
            self.config,
            place,
            targets=targets,
            zoo=self._zoo,
            overwrite=True,
            accept_weak=True,
            report=lambda line: self.say(f"  {line}"),
        )
        cost = cost_of(network, self.config)
        self.variants.add(Variant(FLOAT, "the input", cost.parameters, cost.macs, _sizes(result.rows)))
        engines = _engines(targets)
        if engines:
            scores, note = self._engine_scores(FLOAT, place, engines[0]), f"scored on {engines[0]}"
        else:
            scores, note = scores_of(network, self.config, self._judges), "scored in memory"
        self.variants.update(FLOAT, scores=scores, note=note)

    def _analyse(self, prepared: Prepared, ranges: Ranges, layers: Sequence[str]) -> Analysis:
        """Layer-wise errors; printed, and written to analysis.json."""
        settings = self.settings
        allowed = settings.tolerance
        if self.config.compress.max_drop is not None:
            allowed = min(allowed, self.config.compress.max_drop)
        images = self._analysis_images()
        # Together about as many frames as there are images.
        streams = read_streams(images, range(0, len(images), len(prepared.task.pipelines)), prepared.task)
        with simulated(prepared.network, {layer: ranges.inputs_of(layer) for layer in ranges.layers}, {}) as simulation:
            found = analyse(
                Evaluation(simulation, self.config.to_dict(), images),
                layers,
                [partial(_run_all, prepared, stream) for stream in streams],
                allowed=allowed,
                candidates=settings.analysis_layers,
                automatic=settings.auto_skip,
                say=self.say,
            )
        self.say(render(found))
        write_whole(self.folder / ANALYSIS, json.dumps(found.to_dict(), indent=1) + "\n")
        return found

    def _write(
        self, prepared: Prepared, ranges: Ranges, layers: Sequence[str], targets: Sequence[str], analysis: Analysis
    ) -> Written:
        options = prepared.options
        chosen = images_from([], self._dataset, self._zoo, (options.height, options.width))
        baseline = self.variants.get(FLOAT)
        assert baseline is not None
        metric, before = next(iter(baseline.scores.items()))
        # Only layers whose gain was measured: to skip any other one has no effect that anybody has seen.
        rows = sorted((row for row in analysis.layers if (row.gain or 0.0) > 0), key=lambda row: -(row.gain or 0.0))
        harmful = [row.layer for row in rows if row.layer in set(layers)]

        def accept(stage: Path) -> None:
            found = {engine: self._engine_scores(INT8, stage, engine) for engine in _engines(targets)}
            found = found or {"simulation": self._simulated_scores(prepared, ranges, layers)}
            for engine, scores in found.items():
                self.say(f"int8 on {engine}: {metric} {scores[metric]:.4f} (float32 {before:.4f})")
            worst = min(found, key=lambda engine: found[engine][metric])
            gate = Gate(metric, before, found[worst][metric], self.config.compress.max_drop, harmful[:8], True)
            note = ", ".join(f"{engine} {scores[metric]:.4f}" for engine, scores in found.items())
            self.variants.add(
                Variant(
                    INT8,
                    f"{len(layers)} of {len(prepared.layers)} kernels in int8",
                    baseline.parameters,
                    baseline.macs,
                    scores=found[worst],
                    note=note,
                )
            )
            self.variants.set_facts(int8_scores=found, gate=asdict(gate))
            gate.check("the int8 network")
            write_gate(self.folder, gate)

        written = write_int8(
            prepared,
            ranges,
            layers,
            self.folder / INT8,
            chosen.pixels,
            chosen.source,
            agreement=self.settings.agreement,
            targets=targets,
            accept=accept,
            say=self.say,
        )
        self.variants.update(INT8, sizes=_sizes(written.rows))
        for row in written.rows:
            share = "" if row.equal is None else f", {row.equal:.2%} equal to simulated int8"
            self.say(f"{row.target}: {row.status}, {(row.size_bytes or 0) / 1e6:.2f} MB{share}")
        for warning in written.warnings:
            self.say(f"warning: {warning}")
        return written

    def _engine_scores(self, name: str, folder: Path, engine: str) -> dict[str, float]:
        images = self._judges
        self.say(f"score {name} on {engine}, {len(images)} images")
        predict = SegmenterPredictor(Segmenter(folder, engine=engine))
        return evaluate(predict, images, num_workers=1).named()

    def _simulated_scores(self, prepared: Prepared, ranges: Ranges, layers: Sequence[str]) -> dict[str, float]:
        """What stands in where no engine here runs a target."""
        images = self._judges
        self.say(f"score simulated int8, {len(images)} images")
        with simulated(prepared.network, {layer: ranges.inputs_of(layer) for layer in layers}, {}) as simulation:
            precision: dict[str, Precision] = dict.fromkeys(layers, "int8")
            return Evaluation(simulation, self.config.to_dict(), images).scores([precision])[0].named()


def _run_all(prepared: Prepared, stream: Stream) -> None:
    for _ in run_stream(prepared, stream):
        pass


def _engines(targets: Sequence[str]) -> list[str]:
    """Engines that can run the targets here, the fastest first."""
    found = [ENGINES[target] for target in targets if target in ENGINES and not unavailable(ENGINES[target])]
    return sorted(found, key=lambda engine: engine != "onnxruntime")


def _sizes(rows: Sequence[TargetRow]) -> dict[str, int]:
    return {row.target: row.size_bytes for row in rows if row.size_bytes is not None}
