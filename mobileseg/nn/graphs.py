"""What of a network is deployed: its graphs, the tensors that they hand to each other, and what is kept between frames.

``network.graphs(size)`` is the one place that says it. Tracing, cost, pruning, folding, quantisation and export use it
(:func:`deployment`, :func:`run_once`), so a network of several graphs needs no other word anywhere.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import paddle
from paddle import nn

from mobileseg.names import IMAGE, MAIN


@dataclass(frozen=True)
class GraphInput:
    """A tensor that a graph takes.

    Attributes:
        name: `IMAGE`, an output of a graph before, or a tensor that is kept.
        shape: for the size that was asked for.
        dtype: Paddle's name of the element type.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class NetworkGraph:
    """A part of a network that becomes one graph.

    Attributes:
        name: of the graph, and of its files.
        layer: takes the inputs in their order, gives ``{name: tensor}``.
        inputs: what it takes; `IMAGE` is normalised, float32 [1, C, H, W].
        outputs: names of what it gives, in order; empty when the task of the network knows them.
    """

    name: str
    layer: nn.Layer
    inputs: tuple[GraphInput, ...]
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deployment:
    """Everything that is deployed.

    Attributes:
        graphs: in the order in which they first run.
        pipelines: name -> names of the graphs that run for one frame; the first pipeline is the one that needs nothing
            of earlier frames.
        state: pipeline -> {name under which later frames take a tensor: its name in this frame}.
    """

    graphs: tuple[NetworkGraph, ...]
    pipelines: Mapping[str, tuple[str, ...]]
    state: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def graph(self, name: str) -> NetworkGraph:
        """The graph of that name."""
        return next(graph for graph in self.graphs if graph.name == name)

    def run(self, pipeline: str, known: Mapping[str, Any]) -> Iterator[GraphRun]:
        """Run the graphs of one frame in memory, one after the other.

        Args:
            pipeline: that the frame runs.
            known: the frame's image, float32 [1, C, H, W], under `IMAGE`, and what earlier frames kept.
        """
        known = dict(known)
        for name in self.pipelines[pipeline]:
            graph = self.graph(name)
            inputs = {spec.name: known[spec.name] for spec in graph.inputs}
            outputs = dict(_named_outputs(graph, graph.layer(*inputs.values())))
            known |= outputs
            yield GraphRun(graph, inputs, outputs)

    def kept(self, pipeline: str, made: Mapping[str, Any]) -> dict[str, Any]:
        """What later frames take of the tensors that the graphs of a frame gave, by the name under which they do."""
        return {name: made[source] for name, source in self.state.get(pipeline, {}).items()}


class GraphRun(NamedTuple):
    """A graph that was run.

    Attributes:
        graph: which one.
        inputs: tensors that it took, by name, in their order.
        outputs: tensors that it gave, by name.
    """

    graph: NetworkGraph
    inputs: dict[str, Any]
    outputs: dict[str, Any]


def single(network: nn.Layer, size: tuple[int, int], outputs: tuple[str, ...] = (), channels: int = 3) -> Deployment:
    """The deployment of a network that is one graph, from an image to its outputs."""
    image = GraphInput(IMAGE, (1, channels, *size))
    return Deployment((NetworkGraph(MAIN, network, (image,), outputs),), {MAIN: (MAIN,)})


def deployment(network: nn.Layer, size: tuple[int, int]) -> Deployment:
    """What of a network is deployed for images of a size.

    Args:
        network: its ``graphs(size)`` says it; without one the network is a single graph, of images with ``in_channels``
            channels (3 where it does not say).
        size: (height, width).
    """
    if hasattr(network, "graphs"):
        found: Deployment = network.graphs(size)
        return found
    return single(network, size, channels=getattr(network, "in_channels", 3))


def has_blocked_form(network: nn.Layer) -> bool:
    """Whether :func:`blocked_form` gives another layer than the network."""
    return any(hasattr(layer, "blocked_form") for layer in network.sublayers(include_self=True))


def blocked_form(layer: nn.Layer) -> nn.Layer:
    """What is traced in evaluation for an engine that keeps channels in blocks, as ONNX Runtime does on x86.

    Such an engine rearranges a tensor for every operator that knows no blocks, or does not get whole ones.

    Returns:
        An equal layer, in which those layers are replaced whose ``blocked_form()`` gives another; it shares all others.
        The layer itself, when there are none.
    """
    if hasattr(layer, "blocked_form"):
        found: nn.Layer = layer.blocked_form()
        return found
    forms = {name: blocked_form(child) for name, child in layer.named_children()}
    if all(form is layer._sub_layers[name] for name, form in forms.items()):
        return layer
    twin = copy.copy(layer)
    twin._sub_layers = type(layer._sub_layers)({**layer._sub_layers, **forms})
    return twin


def run_once(network: nn.Layer, size: tuple[int, int], image: paddle.Tensor | None = None) -> dict[str, Any]:
    """Run every graph of a network once, as it is (mode, gradients), and return all tensors by name.

    Args:
        network: any network.
        size: (height, width) of the image.
        image: float32 [1, C, H, W], normalised; None is zeros. What is kept of earlier frames is taken from this one,
            as if the same image came again.

    Returns:
        Outputs of all graphs; of those that give the same tensor, the last one's. Outputs without names are numbered.
    """
    found = deployment(network, size)
    given: dict[str, Any] = {IMAGE: image} if image is not None else {}
    kept = {name: source for state in found.state.values() for name, source in state.items()}
    made: dict[str, Any] = {}
    for graph in found.graphs:
        known = {**given, **made, **{name: made[source] for name, source in kept.items() if source in made}}
        fed = [
            known[spec.name] if spec.name in known else paddle.zeros(list(spec.shape), spec.dtype)
            for spec in graph.inputs
        ]
        made.update(_named_outputs(graph, graph.layer(*fed)))
    return made


def _named_outputs(graph: NetworkGraph, result: Any) -> Mapping[str, Any]:
    """What a graph gave, by name: a network that nobody exports need not name it."""
    if isinstance(result, Mapping):
        return result
    return {f"{graph.name}.{index}": tensor for index, tensor in enumerate(paddle.utils.flatten(result))}
