"""Which channels of which parameters belong together, from the operators of a network.

Labels start at the outputs of convolutions and linear layers, pass through everything that treats channels alike, and
end at the inputs of other convolutions. Sums join the labels of their terms. What moves data (reshape, transpose,
concat, split, ...) moves the labels of the single elements with the same NumPy call, so that shuffles, squeezed
tensors and pyramid levels laid side by side need no rules of their own. An operator without a rule locks what it reads:
unknown networks are pruned less, never wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mobileseg.compress.channels.labels import LOCKED, NONE, Labels, along, compact, reshape_blocks, spread
from mobileseg.compress.channels.trace import NetworkTrace, Op

Axis = tuple[str, int]

PER_CHANNEL = {"pool2d", "bilinear_interp_v2", "nearest_interp_v2", "bicubic_interp_v2"}
PER_ELEMENT = {
    "relu", "relu6", "leaky_relu", "hard_swish", "hard_sigmoid", "swish", "silu", "sigmoid", "tanh", "gelu", "elu",
    "clip", "scale", "cast", "dropout", "assign", "pow", "square", "sqrt", "exp", "abs",
}  # fmt: skip
BETWEEN = {f"elementwise_{name}" for name in ("add", "sub", "mul", "div", "max", "min")}
RESHAPES = {"reshape2", "squeeze2", "unsqueeze2", "flatten_contiguous_range"}
REDUCTIONS = {"reduce_mean", "reduce_sum", "reduce_max", "reduce_min", "mean"}
CONSTANTS = {"fill_constant", "assign_value", "shape", "range", "fill_any_like"}
TABLE = "assign_value"
CONVOLUTIONS = {"conv2d", "depthwise_conv2d", "conv2d_transpose", "depthwise_conv2d_transpose"}
NORM_PARAMETERS = ("Scale", "Bias", "Mean", "Variance")


@dataclass
class Weighted:
    """A layer with a kernel.

    Attributes:
        weight: name of the kernel.
        out_axis: axis of the kernel that counts outputs.
        in_axis: axis that counts inputs; None where an output reads its own channel alone (depthwise).
        uses: output pixels (input pixels of a transposed convolution), over all uses in one pass.
    """

    weight: str
    out_axis: int
    in_axis: int | None
    uses: int = 0


@dataclass
class Propagation:
    """Result of :func:`propagate`.

    Attributes:
        labels: the joined labels.
        axes: (parameter, axis) -> labels along the axis.
        layers: kernels by name.
    """

    labels: Labels = field(default_factory=Labels)
    axes: dict[Axis, np.ndarray] = field(default_factory=dict)
    layers: dict[str, Weighted] = field(default_factory=dict)


def propagate(graph: NetworkTrace) -> Propagation:
    """Follow the channels through a traced network."""
    walk = _Walk(graph)
    for op in graph.ops:
        walk.step(op)
    for name in graph.outputs:
        walk.result.labels.lock(walk.tensors[name])
    return walk.result


class _Walk:
    def __init__(self, graph: NetworkTrace) -> None:
        self.graph = graph
        self.result = Propagation()
        self.labels = self.result.labels
        self.tensors: dict[str, np.ndarray] = {}
        self.tables: set[str] = set()  # constants that the code computes, and what is made of nothing else
        self.rules: dict[str, Callable[[Op], None]] = {
            **dict.fromkeys(CONVOLUTIONS, self._convolution),
            **dict.fromkeys(PER_CHANNEL, self._per_channel),
            **dict.fromkeys(PER_ELEMENT, self._per_element),
            **dict.fromkeys(BETWEEN, self._between),
            **dict.fromkeys(RESHAPES, self._reshape),
            **dict.fromkeys(REDUCTIONS, self._reduction),
            **dict.fromkeys(CONSTANTS, self._constant),
            "batch_norm": self._norm,
            "matmul_v2": self._product,
            "transpose2": self._transpose,
            "concat": self._concat,
            "split": self._split,
            "slice": self._slice,
        }

    def step(self, op: Op) -> None:
        self.rules.get(op.type, self._unknown)(op)
        read = [name for names in op.inputs.values() for name in names]
        if op.type == TABLE or (read and self.tables.issuperset(read)):
            self.tables.update(name for names in op.outputs.values() for name in names)

    def read(self, name: str) -> np.ndarray:
        """Labels of a variable; a parameter that takes part in arithmetic has labels like a tensor."""
        if name not in self.tensors:
            shape = self.graph.shapes[name]
            if name not in self.graph.parameters:
                return np.broadcast_to(np.array(LOCKED), shape)  # the image
            if len(shape) != 1:
                return np.broadcast_to(np.array(LOCKED), shape)
            return self.axis(self.graph.parameters[name], 0, shape[0])
        return self.tensors[name]

    def axis(self, parameter: str, axis: int, length: int, labels: np.ndarray | None = None) -> np.ndarray:
        """Labels along an axis of a parameter, the given ones joined to those of earlier uses."""
        known = self.result.axes.get((parameter, axis))
        if known is None:
            known = self.result.axes[parameter, axis] = self.labels.fresh(length)
        if labels is not None:
            self.labels.join(known, labels)
        return known

    def write(self, op: Op, slot: str, labels: np.ndarray) -> None:
        self.tensors[op.output(slot)] = labels

    def channels(self, name: str, axis: int) -> np.ndarray:
        """Labels along an axis; locked ones when the tensor has no channels there."""
        labels = self.read(name)
        found = along(labels, axis)
        if found is None:
            self.labels.lock(labels)
            found = np.full(labels.shape[axis], LOCKED)
        return found

    def _unknown(self, op: Op) -> None:
        for name in (name for names in op.inputs.values() for name in names):
            self.labels.lock(self.read(name))
        for name in (name for names in op.outputs.values() for name in names):
            self.tensors[name] = np.broadcast_to(np.array(LOCKED), self.graph.shapes[name])

    def _constant(self, op: Op) -> None:
        for name in (name for names in op.outputs.values() for name in names):
            self.tensors[name] = np.broadcast_to(np.array(NONE), self.graph.shapes[name])

    def _convolution(self, op: Op) -> None:
        variable = op.input("Filter")
        if variable not in self.graph.parameters:
            return self._unknown(op)
        weight, kernel = self.graph.parameters[variable], self.graph.shapes[variable]
        inputs, groups = self.channels(op.input("Input"), 1), op.attrs["groups"]
        transposed = "transpose" in op.type
        out_axis = 1 if transposed else 0
        shape = self.graph.shapes[op.output("Output")]
        pixels = self.graph.shapes[op.input("Input")] if transposed else shape
        if groups == 1:
            self.axis(weight, 1 - out_axis, len(inputs), inputs)
            outputs = self.axis(weight, out_axis, kernel[out_axis])
            layer = Weighted(weight, out_axis, 1 - out_axis)
        elif groups == len(inputs) and shape[1] % groups == 0 and not (transposed and shape[1] != groups):
            # depthwise: the outputs that one channel gives go with it
            outputs = self.axis(weight, 0, kernel[0], np.repeat(inputs, kernel[0] // groups))
            layer = Weighted(weight, 0, None)
        else:
            self.labels.lock(inputs)
            outputs = np.full(shape[1], LOCKED)
            layer = Weighted(weight, out_axis, 1 - out_axis)
        self.result.layers.setdefault(weight, layer).uses += pixels[2] * pixels[3]
        return self.write(op, "Output", spread(outputs, shape, 1))

    def _product(self, op: Op) -> None:
        name, other = op.input("X"), op.input("Y")
        left, shape = self.read(name), self.graph.shapes[op.output("Out")]
        kernel = self.graph.shapes[other]
        plain = not op.attrs.get("trans_x") and not op.attrs.get("trans_y")
        if plain and other in self.graph.parameters and len(kernel) == 2:
            weight = self.graph.parameters[other]
            self.axis(weight, 0, kernel[0], self.channels(name, -1))
            outputs = self.axis(weight, 1, kernel[1])
            uses = int(np.prod(shape[:-1]))
            self.result.layers.setdefault(weight, Weighted(weight, 1, 0)).uses += uses
            return self.write(op, "Out", spread(outputs, shape, len(shape) - 1))
        constant = (compact(self.read(other)) == NONE).all()
        if plain and constant and (compact(left) == compact(left)[..., :1]).all():  # mixes pixels, not channels
            return self.write(op, "Out", np.broadcast_to(left[..., :1], shape))
        return self._unknown(op)

    def _norm(self, op: Op) -> None:
        inputs = self.channels(op.input("X"), 1)
        for slot in NORM_PARAMETERS:
            name = op.input(slot)
            self.axis(self.graph.parameters[name], 0, len(inputs), inputs)
        self.write(op, "Y", spread(inputs, self.graph.shapes[op.output("Y")], 1))

    def _per_channel(self, op: Op) -> None:
        self.write(op, "Out", spread(self.channels(op.input("X"), 1), self.graph.shapes[op.output("Out")], 1))

    def _per_element(self, op: Op) -> None:
        self.write(op, "Out", self.read(op.input("X")))

    def _between(self, op: Op) -> None:
        shape = self.graph.shapes[op.output("Out")]
        left, right = self.read(op.input("X")), self.read(op.input("Y"))
        if op.attrs.get("axis", -1) != -1:  # the axes of Y begin there
            right = right.reshape(right.shape + (1,) * (left.ndim - op.attrs["axis"] - right.ndim))
        if op.input("X") in self.tables:
            self._lock_beside(left, right)
        if op.input("Y") in self.tables:
            self._lock_beside(right, left)
        left, right = self._unless_shared(left, right), self._unless_shared(right, left)
        left, right = np.broadcast_to(left, shape), np.broadcast_to(right, shape)
        self.labels.join(left, right)
        small, large = compact(left), compact(right)
        self.write(op, "Out", np.broadcast_to(np.where(small == NONE, large, small), shape))

    def _lock_beside(self, table: np.ndarray, labels: np.ndarray) -> None:
        """Lock channels for each of which a table has a value, such as positions: code makes it for all of them."""
        shared = range(-min(table.ndim, labels.ndim), 0)
        if self._varies(labels, [axis for axis in shared if table.shape[axis] > 1]):
            self.labels.lock(labels)

    def _unless_shared(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The labels, or `NONE` where one element meets different channels: it stays when one of them goes, and they
        do not depend on each other through it."""
        for axis in range(-min(one.ndim, other.ndim), 0):
            if one.shape[axis] == 1 and other.shape[axis] > 1 and self._varies(other, [axis]):
                self.labels.lock(one)
                return np.full_like(one, NONE)
        return one

    def _reshape(self, op: Op) -> None:
        before = self.read(op.input("X"))
        shape = self.graph.shapes[op.output("Out")]
        after = before.reshape(shape)
        for old, new in reshape_blocks(before.shape, shape):
            if len(old) == 1 and len(new) == 2:
                self._split_axis(after, *new)
            elif len(new) > 1 and self._varies(before, old):
                self.labels.lock(before)
        self.write(op, "Out", after)

    def _split_axis(self, labels: np.ndarray, outer: int, inner: int) -> None:
        """An axis became two. The code fixes the length of the outer one, so that as many channels must remain in
        each part: channels at the same place of all parts are joined. Nothing is to do where a part is one channel."""
        if self._varies(labels, [inner]):
            self.labels.join(labels, np.take(labels, [0], axis=outer))

    @staticmethod
    def _varies(labels: np.ndarray, axes: list[int]) -> bool:
        """Whether labels differ along one of the axes."""
        labels = compact(labels)
        return any((labels != np.take(labels, [0], axis=axis)).any() for axis in axes)

    def _reduction(self, op: Op) -> None:
        labels = self.read(op.input("X"))
        axes = op.attrs.get("dim", [])
        if op.attrs.get("reduce_all") or op.type == "mean" or not axes:
            axes = list(range(labels.ndim))
        if self._varies(labels, axes):
            return self._unknown(op)
        window = [slice(None)] * labels.ndim
        for axis in axes:
            window[axis] = slice(0, 1)
        kept = labels[tuple(window)]
        return self.write(op, "Out", kept.reshape(self.graph.shapes[op.output("Out")]))

    def _transpose(self, op: Op) -> None:
        self.write(op, "Out", self.read(op.input("X")).transpose(op.attrs["axis"]))

    def _concat(self, op: Op) -> None:
        self.write(op, "Out", np.concatenate([self.read(name) for name in op.inputs["X"]], axis=op.attrs["axis"]))

    def _split(self, op: Op) -> None:
        labels, axis, names = self.read(op.input("X")), op.attrs["axis"], op.outputs["Out"]
        ends = np.cumsum([self.graph.shapes[name][axis] for name in names])[:-1]
        for name, part in zip(names, np.split(labels, ends, axis=axis), strict=True):
            self.tensors[name] = part

    def _slice(self, op: Op) -> None:
        labels = self.read(op.input("Input"))
        window = [slice(None)] * labels.ndim
        for axis, start, end in zip(op.attrs["axes"], op.attrs["starts"], op.attrs["ends"], strict=True):
            window[axis] = slice(start, end)
            if self._varies(labels, [axis]):
                self.labels.lock(labels)  # bounds that the code fixes
        self.write(op, "Out", labels[tuple(window)].reshape(self.graph.shapes[op.output("Out")]))
