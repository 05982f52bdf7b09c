"""Finding the layer that computes something else when it is traced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from mobileseg.export.conversion.converters import Graph
from mobileseg.export.conversion.pdmodel import Operator, Program
from mobileseg.export.diagnosis.bisect import run_natively
from mobileseg.export.golden import Reference
from mobileseg.export.options import ExportOptions
from mobileseg.export.tolerance import LIMIT
from mobileseg.nn.modes import evaluating


def locate_trace_difference(
    network: Any, options: ExportOptions, graph: Graph, reference: Reference, work: Path
) -> Operator | None:
    """The first operator that ends a layer whose output differs between the traced graph and the network.

    A forward that branches on Python values can take another branch while it is traced; every engine then agrees
    with the graph and none with the network.

    Args:
        network: the network in memory.
        options: form of the graph.
        graph: the traced program.
        reference: gives the input.
        work: for intermediate files.

    Returns:
        None when all layers agree.

    Raises:
        Failure: Paddle refused the program or died.
    """
    program = Program.read(graph.model)
    last: dict[str, Operator] = {}
    for op in program.operators():
        if op.origin.layer and op.results():
            last[op.origin.layer] = op
    ends = {layer: op.results()[-1] for layer, op in last.items()}
    model = work / "layers.pdmodel"
    program.fetching(ends.values()).write(model)
    traced = run_natively(Graph(model, graph.params, graph.shapes, graph.opset), reference.items[0].input, work)
    eager = _layer_outputs(network, network_input(reference.items[0].input, options), set(ends))
    fetched = dict(zip(ends, traced.values(), strict=True))  # renamed by Paddle, but in the order asked for
    for layer, op in sorted(last.items(), key=lambda item: item[1].index):
        if layer in eager and not _equal(fetched[layer], eager[layer]):
            return op
    return None


def network_input(fed: np.ndarray, options: ExportOptions) -> np.ndarray:
    """What the network gets, float32 [1,3,H,W], when the graph is fed ``fed``."""
    values = fed.astype(np.float32)
    if options.layout == "NHWC":
        values = values.transpose(0, 3, 1, 2)
    if options.normalize_in_graph:
        mean = np.array(options.mean, np.float32).reshape(1, -1, 1, 1)
        std = np.array(options.std, np.float32).reshape(1, -1, 1, 1)
        values = (values / 255.0 - mean) / std
    return np.ascontiguousarray(values)


def _layer_outputs(network: Any, image: np.ndarray, wanted: set[str]) -> dict[str, np.ndarray]:
    """Output of every wanted layer that is called once and returns one tensor."""
    calls: dict[str, list[np.ndarray]] = {}

    def note(path: str) -> Callable[[Any, Any, Any], None]:
        def hook(_layer: Any, _inputs: Any, output: Any) -> None:
            if isinstance(output, paddle.Tensor):
                calls.setdefault(path, []).append(output.numpy())

        return hook

    handles = [
        layer.register_forward_post_hook(note(path)) for path, layer in network.named_sublayers() if path in wanted
    ]
    try:
        with evaluating(network), paddle.no_grad():
            network(paddle.to_tensor(image))
    finally:
        for handle in handles:
            handle.remove()
    return {path: values[0] for path, values in calls.items() if len(values) == 1}


def _equal(value: np.ndarray, expected: np.ndarray) -> bool:
    if value.shape != expected.shape:
        return True  # the layer's last operator is not its output: nothing can be said
    scale = float(expected.std()) or 1.0
    return bool(np.abs(value.astype(np.float64) - expected).max(initial=0) <= LIMIT * scale)
