"""From a trained network to what is quantised: norms folded, traced, calibrated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from paddle import nn

from mobileseg.compress.fold import fold_norms
from mobileseg.compress.precision import slim
from mobileseg.compress.precision.graph import save_float_graph
from mobileseg.compress.precision.images import choose_images, coverage
from mobileseg.compress.precision.ranges import Call, GraphRanges, Ranges, find_calls
from mobileseg.compress.precision.streams import Stream, read_streams, record_inputs
from mobileseg.config.build import build_dataset
from mobileseg.config.load import Config
from mobileseg.errors import CompressionError, ConfigError, DataError
from mobileseg.export.conversion.pdmodel import Program
from mobileseg.export.from_config import options_from, subject_from
from mobileseg.export.manifest import Subject
from mobileseg.export.options import ExportOptions
from mobileseg.export.task import ExportTask
from mobileseg.export.tasks import task_for
from mobileseg.folders import scratch_folder
from mobileseg.nn.components import component_paths, is_inside


@dataclass(frozen=True)
class TracedGraph:
    """A float graph of the network.

    Attributes:
        name: of the graph.
        program: with the origins of its operators.
        model: its file; the weights lie beside it.
        calls: layer -> uses of its kernel.
        renamed: variable of the graph that is calibrated -> its name here, where that is another.
    """

    name: str
    program: Program
    model: Path
    calls: dict[str, tuple[Call, ...]]
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def params(self) -> Path:
        """The file with the weights."""
        return self.model.with_suffix(".pdiparams")


@dataclass(frozen=True)
class Prepared:
    """A network that is ready to be quantised.

    Attributes:
        network: in evaluation mode, norms folded.
        options: form of the graphs.
        subject: name, classes, palette.
        task: of the network.
        graphs: in the order in which they first run.
        shared: paths of the layers that are in several graphs. They stay float32: what they read has another range in
            each.
    """

    network: Any
    options: ExportOptions
    subject: Subject
    task: ExportTask
    graphs: tuple[TracedGraph, ...]
    shared: tuple[str, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of the layers that can run in int8, in the order of the graphs."""
        return tuple(layer for graph in self.graphs for layer in graph.calls)

    def in_float(self, layers: Collection[str]) -> list[str]:
        """Paths of the layers with a kernel that stay float32 when ``layers`` are quantised."""
        return [*(layer for layer in self.layers if layer not in set(layers)), *self.shared]


def prepare(network: Any, config: Config, dataset: Any, work: Path, zoo: Path | None = None) -> Prepared:
    """Fold the norms of a network, in place, and trace its graphs.

    Args:
        network: trained.
        config: its configuration.
        dataset: validation dataset, for names and colours of the classes.
        work: folder for the float graphs.
        zoo: folder of the weights, where it is one.

    Raises:
        CompressionError: the export has a dynamic shape, or there is nothing to quantise.
    """
    slim.require_paddleslim()
    options = options_from(config, {})
    if options.dynamic:
        raise CompressionError(
            "an int8 graph is calibrated for one size, and export.dynamic leaves it open",
            remedy="-o export.dynamic=false",
        )
    network.eval()
    fold_norms(network)
    subject = subject_from(config, network, dataset, zoo)
    return trace(network, options, subject, work)


def trace(network: Any, options: ExportOptions, subject: Subject, work: Path) -> Prepared:
    """Trace the graphs of a network.

    Args:
        network: in evaluation mode, norms folded.
        options: form of the graphs.
        subject: name, classes, palette.
        work: folder for the float graphs.

    Raises:
        CompressionError: there is nothing to quantise.
    """
    task = task_for(network, options, subject.settings)
    graphs, shared = _traced(network, options, task, work)
    if not any(graph.calls for graph in graphs):
        raise CompressionError("the network has no convolution that could run in int8")
    return Prepared(network, options, subject, task, graphs, shared)


def graphs_for(prepared: Prepared, targets: Sequence[str], work: Path) -> dict[str, tuple[TracedGraph, ...]]:
    """The graphs in the form of every target, traced again where that is not the form that is calibrated.

    Args:
        prepared: the network, in float32.
        targets: what is converted to.
        work: folder for the float graphs.

    Raises:
        CompressionError: another form runs other kernels, so that the ranges would not be those of its tensors.
    """
    forms = {target: prepared.task.form(target, prepared.options) for target in targets}
    traced = {prepared.options: prepared.graphs}
    for form in forms.values():
        if form not in traced:
            folder = work / f"form{len(traced)}"
            folder.mkdir()
            again, _ = _traced(prepared.network, form, prepared.task, folder)
            pairs = zip(again, prepared.graphs, strict=True)
            traced[form] = tuple(replace(graph, renamed=_renamed(graph, calibrated)) for graph, calibrated in pairs)
    return {target: traced[form] for target, form in forms.items()}


def _traced(
    network: Any, options: ExportOptions, task: ExportTask, work: Path
) -> tuple[tuple[TracedGraph, ...], tuple[str, ...]]:
    """The graphs, with the calls of layers that are in one of them alone, and the layers that are in several."""
    layers = dict(network.named_sublayers())
    graphs: list[TracedGraph] = []
    for graph in task.deployment(network, options).graphs:
        stem = work / f"float.{graph.name}"
        program = save_float_graph(network, options, stem, task, graph.name)
        calls = {
            path: uses
            for path, uses in find_calls(program).items()
            if isinstance(layers.get(path), (nn.Conv2D, nn.Conv2DTranspose))
        }
        graphs.append(TracedGraph(graph.name, program, stem.with_name(f"{stem.name}.pdmodel"), calls))
    times = Counter(layer for graph in graphs for layer in graph.calls)
    shared = tuple(layer for layer, count in times.items() if count > 1)
    alone = tuple(
        replace(graph, calls={layer: uses for layer, uses in graph.calls.items() if layer not in shared})
        for graph in graphs
    )
    return alone, shared


def _renamed(graph: TracedGraph, calibrated: TracedGraph) -> dict[str, str]:
    """See `TracedGraph.renamed`: two traces name what kernels read alike, and each names its outputs after the form."""
    one, other = (
        [(layer, call.weight, call.input) for layer, calls in each.calls.items() for call in calls]
        for each in (graph, calibrated)
    )
    if one != other:
        raise CompressionError(
            f"the graph '{graph.name}' has other kernels when it ends at the decoder ({len(one)}) than when it ends in "
            f"results ({len(other)}), or has them in another order",
            remedy="let forward() of the network call coarse_logits(), or set -o export.output_op=argmax",
        )
    before = {(op.type, str(op.inputs)): op.results() for op in calibrated.program.operators()}
    ends = set(graph.program.outputs())
    return {
        old: new
        for op in graph.program.operators()
        for old, new in zip(before.get((op.type, str(op.inputs)), []), op.results(), strict=False)
        if new in ends
    }


def calibration_streams(
    prepared: Prepared, config: Config, count: int, say: Callable[[str], None]
) -> tuple[list[Stream], set[Path]]:
    """The streams to calibrate with, one for every image that is chosen, and the files of these images.

    Raises:
        CompressionError: no images are wanted.
        DataError: an image cannot be read.
        ConfigError: there is no dataset.
    """
    dataset = _dataset(config, config.compress.quantize.dataset, say)
    chosen = choose_images(dataset, count)
    if len(chosen) < count:
        say(f"the dataset has {len(chosen)} images, fewer than the {count} to calibrate with")
    shown = ", ".join(f"{name} {number}" for name, number in coverage(dataset, chosen).items())
    say(f"calibrate with {len(chosen)} images of {dataset.source}; images that show a class: {shown}")
    files = {Path(dataset.items[index].image).resolve() for index in chosen}
    return read_streams(dataset, chosen, prepared.task), files


def calibrate(prepared: Prepared, streams: Sequence[Stream], algorithm: str) -> Ranges:
    """Find the ranges of all activations with PaddleSlim, graph by graph.

    Args:
        prepared: the network, in float32.
        streams: what it sees.
        algorithm: 'avg', 'KL', 'hist' or 'mse'.

    Raises:
        CompressionError: PaddleSlim failed, or left a kernel without a range.
    """
    found: dict[str, GraphRanges] = {}
    with scratch_folder() as folder:
        inputs = record_inputs(prepared, streams, folder)
        for graph in prepared.graphs:
            if not graph.calls:
                continue
            limits, largest = slim.calibrate(graph.model, inputs[graph.name], algorithm)
            missing = [
                layer
                for layer, calls in graph.calls.items()
                if any(not limits.get(call.input, 0) > 0 for call in calls)
            ]
            if missing:
                raise CompressionError(
                    f"the input of {', '.join(missing[:4])} was zero in all images to calibrate with",
                    remedy="calibrate with more images, or name the layers in compress.quantize.skip",
                )
            found[graph.name] = GraphRanges(limits, largest, graph.calls)
    return Ranges(found, algorithm, len(streams))


def wanted_layers(prepared: Prepared, components: Sequence[str] | None, skip: Sequence[str]) -> list[str]:
    """The layers to run in int8.

    Args:
        prepared: the network.
        components: parts of it that may be quantised; None for all.
        skip: fnmatch patterns of layers that stay in float.

    Raises:
        CompressionError: a component or a pattern that fits nothing, or nothing is left.
    """
    layers = list(prepared.layers)
    if components is not None:
        paths = component_paths(prepared.network)
        unknown = [name for name in components if name not in paths]
        if unknown:
            raise CompressionError(
                f"compress.quantize.components: the network has no component '{unknown[0]}'",
                remedy=f"choose from {', '.join(paths) or 'none: it names no components'}",
            )
        inside = tuple(path for name in components for path in paths[name])
        layers = [layer for layer in layers if is_inside(layer, inside)]
    for pattern in skip:
        if not any(fnmatchcase(layer, pattern) for layer in prepared.layers):
            raise CompressionError(
                f"compress.quantize.skip: no layer matches '{pattern}'",
                remedy=f"names look like {', '.join(prepared.layers[:3])}",
            )
    layers = [layer for layer in layers if not any(fnmatchcase(layer, pattern) for pattern in skip)]
    if not layers:
        raise CompressionError("no layer is left to run in int8", remedy="skip less, or name other components")
    return layers


def _dataset(config: Config, part: str, say: Callable[[str], None]) -> Any:
    """The dataset to calibrate with, its images untransformed; the validation part when there is no training part."""
    settings = config.to_dict()
    section = settings[f"{part}_dataset"]
    other = "val" if part == "train" else "train"
    if section is not None:
        try:
            return build_dataset(section)
        except (DataError, ConfigError) as error:
            if settings[f"{other}_dataset"] is None:
                raise
            say(f"{part}_dataset cannot be used ({error.message.splitlines()[0]}): the {other} part is taken")
    if settings[f"{other}_dataset"] is None:
        raise ConfigError(
            "there are no images to calibrate with: the configuration has neither train_dataset nor val_dataset",
            remedy="add one",
        )
    return build_dataset(settings[f"{other}_dataset"])
