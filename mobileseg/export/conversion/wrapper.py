"""The base of the layers that are exported: a graph of a network behind its deployment input form.

Everything that only deployment wants (normalisation, casts, layout) is here, and what comes after the network in the
task's module, so networks stay as they are trained.
"""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from mobileseg.export.options import ExportOptions
from mobileseg.names import IMAGE
from mobileseg.nn.graphs import NetworkGraph


class DeployInput(nn.Layer):
    """What a deployed graph does before the network; the base of the layers that say what it does after it.

    Args:
        network: layer whose first input is float32 [N, C, H, W], normalised.
        options: form of input and output.
    """

    def __init__(self, network: nn.Layer, options: ExportOptions) -> None:
        super().__init__()
        self.network = network
        self.options = options
        # (x * scale - mean) / std as one multiply and one add.
        length = options.pixel_range[1] - options.pixel_range[0]
        scale = [1.0 / (length * std) for std in options.std]
        shift = [-mean / std for mean, std in zip(options.mean, options.std, strict=True)]
        shape = [1, options.channels, 1, 1]
        self.register_buffer("input_scale", paddle.to_tensor(scale, dtype="float32").reshape(shape), persistable=False)
        self.register_buffer("input_shift", paddle.to_tensor(shift, dtype="float32").reshape(shape), persistable=False)

    def outputs(self, x: Tensor, others: Sequence[Tensor] = ()) -> dict[str, Tensor]:
        """The network's outputs for an image in the form of the options, and its other inputs as they are."""
        return self.network(self.normalised(x), *others)

    def normalised(self, x: Tensor) -> Tensor:
        """What the network takes for float32 or uint8, [1,C,H,W] or [1,H,W,C]."""
        if self.options.input_dtype == "uint8":
            x = x.astype("float32")  # before the transpose: Paddle has no transpose of uint8
        if self.options.layout == "NHWC":
            x = x.transpose([0, 3, 1, 2])
        if self.options.normalize_in_graph:
            x = x * self.input_scale + self.input_shift
        return x


class DeployGraph(nn.Layer):
    """A graph as it is: one whose inputs are tensors of other graphs.

    Args:
        network: gives ``{name: tensor}``.
        outputs: names to return, in order.
    """

    def __init__(self, network: nn.Layer, outputs: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.names = tuple(outputs)

    def forward(self, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        """Args: the inputs in their order, one list as tracing needs it. Returns the outputs in the order of names."""
        found = self.network(*inputs)
        return tuple(found[name] for name in self.names)


class DeployImageGraph(DeployInput):
    """A graph that takes the image first, and is otherwise as it is.

    Args:
        network: gives ``{name: tensor}``.
        options: form of the image.
        outputs: names to return, in order.
    """

    def __init__(self, network: nn.Layer, options: ExportOptions, outputs: Sequence[str]) -> None:
        super().__init__(network, options)
        self.names = tuple(outputs)

    def forward(self, x: Tensor, others: Sequence[Tensor] = ()) -> tuple[Tensor, ...]:
        """Args: x as the options say, and the other inputs. Returns the outputs in the order of their names."""
        found = self.outputs(x, others)
        return tuple(found[name] for name in self.names)


def plain(graph: NetworkGraph, options: ExportOptions) -> nn.Layer:
    """The wrapper of a graph that ends as the network does; the image, if it takes it, is its first input."""
    if graph.inputs and graph.inputs[0].name == IMAGE:
        return DeployImageGraph(graph.layer, options, graph.outputs)
    return DeployGraph(graph.layer, graph.outputs)
