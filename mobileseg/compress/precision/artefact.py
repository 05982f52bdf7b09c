"""The exported model of a quantised network: Paddle with fake-quantise operators, QDQ ONNX, Paddle Lite for ARM."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mobileseg.compress.precision import slim
from mobileseg.compress.precision.graph import without_runtime_attributes
from mobileseg.compress.precision.prepare import Prepared, TracedGraph, graphs_for
from mobileseg.compress.precision.qdq import write_qdq
from mobileseg.compress.precision.ranges import Ranges, float_weights
from mobileseg.compress.precision.simulate import Precision, simulated
from mobileseg.errors import CompressionError, ExportError
from mobileseg.export.atomic_folder import keep_failed, put_in_place, refuse_existing, staging
from mobileseg.export.conversion import converters, lite, onnx
from mobileseg.export.conversion.pdmodel import Program
from mobileseg.export.conversion.process import Failure
from mobileseg.export.manifest import GOLDEN_FILE, build_manifest, file_names
from mobileseg.export.recording import build_reference
from mobileseg.export.verify import FAILED, SKIPPED, TargetRow, check_engines
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.specs import GraphSpec

TARGETS = ("paddle", "onnx", "lite_arm")
"""What can be written in int8: x86 kernels of Paddle Lite and NCNN's tools take other forms."""


@dataclass(frozen=True)
class Written:
    """A folder that was written and verified.

    Attributes:
        rows: one per target.
        warnings: what the reader should know.
        kernels: number of kernels in int8, in all graphs.
    """

    rows: tuple[TargetRow, ...]
    warnings: tuple[str, ...]
    kernels: int


def write_int8(
    prepared: Prepared,
    ranges: Ranges,
    layers: Collection[str],
    folder: Path,
    images: Sequence[np.ndarray],
    source: str,
    *,
    agreement: float,
    targets: Sequence[str] = TARGETS,
    accept: Callable[[Path], None] = lambda _stage: None,
    say: Callable[[str], None] = lambda _line: None,
) -> Written:
    """Write the folder; it appears only when every graph that can be run here agrees, and the caller accepts it.

    The reference that graphs are compared with is the network in memory with simulated int8.

    Args:
        prepared: the float network.
        ranges: of its activations.
        layers: paths of the layers to run in int8.
        folder: to make; an exported model that is there is replaced.
        images: uint8 [h,w,3] RGB to verify with, at least four.
        source: where they are from.
        agreement: share of labels, or detections, that every engine must have in common with the reference.
        targets: from `TARGETS`.
        accept: called with the complete folder before it is put into place; raises what forbids it.
        say: told what is going on.

    Raises:
        CompressionError: a target cannot be in int8, PaddleSlim failed, or an engine disagrees (the folder is kept as
            ``<folder>.failed``).
        DependencyError: a converter is not installed.
        ExportError: a conversion failed, or the folder holds something else.
    """
    refuse_existing(folder, overwrite=True)
    for target in targets:
        if target not in TARGETS:
            raise CompressionError(f"{target} cannot be written in int8", remedy=f"choose from {' '.join(TARGETS)}")
        converters.require(target)
    task, options = prepared.task, prepared.options
    size = options.height, options.width
    limits = {layer: ranges.inputs_of(layer) for layer in layers}
    precision: dict[str, Precision] = dict.fromkeys(layers, "int8")
    with simulated(prepared.network, limits, precision):
        reference = build_reference(task, prepared.network, options, images, [size], source)
    weakness = task.weakness(reference, len(prepared.subject.classes))
    with staging(folder, True) as (stage, work):
        writer = _GraphWriter(prepared, ranges, layers, stage, work)
        for target, traced in graphs_for(prepared, targets, work).items():
            for graph in traced:
                say(f"convert the graph '{graph.name}' to {target}")
                writer.write(graph, target)
        kernels = {graph.name: writer.kernels(graph) for graph in prepared.graphs}
        reference.save(stage / GOLDEN_FILE)
        task.write_files(stage)
        notes = {
            "precision": f"int8: {len(layers)} of {len(prepared.layers)} layers with a kernel, weights per channel, "
            f"activations per tensor; ranges by PaddleSlim ({ranges.algorithm}, {ranges.images} images)",
            "verification": f"{len(reference.items)} images from {source}; the reference is the network with simulated "
            "int8; Paddle rounds what kernels read, ONNX Runtime also what they give",
            "golden": task.golden_note,
        }
        left = prepared.in_float(layers)
        if left:
            notes["float_layers"] = " ".join(left)
        deployed = task.deployment(prepared.network, options)
        manifest = build_manifest(stage, task, deployed, prepared.subject, options, targets, reference, (), notes)
        graphs = {name: _marked(graph) if kernels[name] else graph for name, graph in manifest.graphs.items()}
        manifest = replace(manifest, graphs=graphs, least_equal=agreement)
        manifest.write(stage)
        say("run every graph and compare it with simulated int8")
        rows = check_engines(stage, Manifest.read(stage), task, reference, reference.frames())
        failed = [row for row in rows if row.status == FAILED]
        if failed:
            kept = keep_failed(stage, folder)
            listed = "\n".join(f"  {row.target} ({row.engine}): {row.problems[0]}" for row in failed)
            raise CompressionError(
                f"int8 graphs do not agree with simulated int8:\n{listed}",
                remedy=f"leave more layers in float (compress.quantize.skip); the folder is kept as {kept}",
            )
        kept_rows = tuple(row.to_manifest() for row in rows if row.status != SKIPPED)
        replace(manifest, verification=kept_rows).write(stage)
        accept(stage)
        put_in_place(stage, folder)
    return Written(tuple(rows), (weakness,) if weakness else (), sum(kernels.values()))


def _marked(graph: GraphSpec) -> GraphSpec:
    """A graph of the manifest whose files are in int8."""
    return replace(graph, files={target: replace(files, precision="int8") for target, files in graph.files.items()})


@dataclass
class _GraphWriter:
    """Writes graphs of a network, target by target."""

    prepared: Prepared
    ranges: Ranges
    layers: Collection[str]
    stage: Path
    work: Path
    fake_quantised: dict[Path, tuple[Program, Path]] = field(default_factory=dict)
    """Float graph -> the same with fake-quantise operators, and the file with its weights."""

    def kernels(self, graph: TracedGraph) -> int:
        """How many kernels of a graph are in int8, which may be none."""
        return sum(len(graph.calls[layer]) for layer in self.layers if layer in graph.calls)

    def write(self, graph: TracedGraph, target: str) -> None:
        """The files of one graph for one target; raises ExportError where the converter fails."""
        names = [self.stage / name for name in file_names(target, graph.name)]
        try:
            if target == "onnx":
                self._write_onnx(graph, names[0])
                return
            program, params = self._rounded(graph, target) if self.kernels(graph) else (graph.program, graph.params)
            if target == "paddle":
                program.write(names[0])
                names[1].write_bytes(params.read_bytes())
            else:
                plain = self.work / f"{graph.name}.lite.pdmodel"
                without_runtime_attributes(program).write(plain)
                lite.convert(plain, params, names[0], target)
        except Failure as failure:
            log = f"\n  last output: {failure.log.splitlines()[-1]}" if failure.log else ""
            raise ExportError(f"conversion to {target} in int8 failed: {failure}{log}") from failure

    def _write_onnx(self, graph: TracedGraph, out: Path) -> None:
        converted = self.work / f"{graph.name}.onnx"
        onnx.convert(graph.model, graph.params, converted, self.prepared.options.opset)
        if self.kernels(graph):
            ranges = self.ranges.graphs[graph.name].renamed(graph.renamed)
            write_qdq(converted, graph.program, ranges, self.layers, out)
        else:
            out.write_bytes(converted.read_bytes())

    def _rounded(self, graph: TracedGraph, target: str) -> tuple[Program, Path]:
        """What `fake_quantised` holds for a graph, made when it is first asked for."""
        if graph.model not in self.fake_quantised:
            folder = self.work / f"int8.{graph.name}{len(self.fake_quantised)}"
            limits = self.ranges.graphs[graph.name].renamed(graph.renamed).limits
            slim.write_graph(graph.model, limits, float_weights(graph.program, self.layers), folder)
            program = Program.read(folder / "model.pdmodel")
            form = self.prepared.task.form(target, self.prepared.options)
            program.name_outputs(self.prepared.task.output_names(graph.name, form))
            self.fake_quantised[graph.model] = program, folder / "model.pdiparams"
        return self.fake_quantised[graph.model]
