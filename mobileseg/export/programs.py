"""Paddle programs of a network: one for every graph, and for every form that some target needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mobileseg.export.conversion import converters
from mobileseg.export.conversion.tracing import save_paddle_graph
from mobileseg.export.options import BLOCKED, ExportOptions
from mobileseg.export.task import ExportTask
from mobileseg.names import IMAGE, MAIN
from mobileseg.nn.graphs import NetworkGraph, has_blocked_form


def save_programs(
    network: Any,
    task: ExportTask,
    options: ExportOptions,
    targets: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    work: Path,
    report: Callable[[str], None],
    saved_for: Callable[[str, converters.Graph], None],
) -> dict[str, list[converters.Graph]]:
    """Trace the graphs of a network, and again for each target that needs another form.

    Args:
        network: in evaluation mode.
        task: of the network.
        options: form of the export.
        targets: what is converted to.
        sizes: (height, width) of the inputs that are verified.
        work: folder for the programs.
        report: told what is traced.
        saved_for: told of each program as soon as it is there, with the target that is made of it.

    Returns:
        Target -> its programs, in the order of the graphs.
    """
    other = has_blocked_form(network)
    forms = {target: (task.form(target, options), other and target in BLOCKED) for target in targets}
    saved: dict[tuple[ExportOptions, bool], list[converters.Graph]] = {}
    for key in forms.values():
        if key in saved:
            continue
        form, blocked = key
        saved[key] = []
        for graph in task.deployment(network, form).graphs:
            names = ", ".join(task.output_names(graph.name, form))
            what = "the network" if graph.name == MAIN else f"the graph '{graph.name}'"
            report(f"trace {what} at {form.height}x{form.width} (output {names})")
            stem = work / f"{graph.name}{len(saved)}"
            save_paddle_graph(network, form, stem, task, graph.name, blocked=blocked)
            shapes = tuple(_shapes(graph, form, size) for size in sizes)
            model, params = stem.with_suffix(".pdmodel"), stem.with_suffix(".pdiparams")
            made = converters.Graph(model, params, shapes, form.opset, graph.name)
            saved[key].append(made)
            for target in targets:
                if forms[target] == key:
                    saved_for(target, made)
    return {target: saved[key] for target, key in forms.items()}


def _shapes(graph: NetworkGraph, form: ExportOptions, size: tuple[int, int]) -> tuple[tuple[int, ...], ...]:
    """Shapes of a graph's inputs for an image of a size."""
    image = (1, form.channels, *size) if form.layout == "NCHW" else (1, *size, form.channels)
    return tuple(image if spec.name == IMAGE else spec.shape for spec in graph.inputs)
