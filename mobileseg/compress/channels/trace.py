"""A network's forward pass as a list of operators, with the parameters under the network's own names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import paddle
from paddle import nn
from paddle.jit.dy2static.program_translator import ConcreteProgram
from paddle.static import InputSpec

from mobileseg.compress.channels.modes import DROPOUTS
from mobileseg.errors import CompressionError
from mobileseg.nn.compat import require_static_programs
from mobileseg.nn.graphs import run_once
from mobileseg.nn.trace_failure import REMEDY, trace_failure

#: Input size of a trace: sides that differ and are multiples of 32, small because labels are kept for every pixel.
TRACE_SIZE = (64, 96)


@dataclass(frozen=True)
class Op:
    """One operator.

    Attributes:
        type: Paddle's operator name, for example 'conv2d'.
        inputs: slot -> variable names.
        outputs: as ``inputs``.
        attrs: attribute values.
    """

    type: str
    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]
    attrs: Mapping[str, Any]

    def input(self, slot: str) -> str:
        """The variable of a slot that holds one."""
        return self.inputs[slot][0]

    def output(self, slot: str) -> str:
        """The variable of a slot that holds one."""
        return self.outputs[slot][0]


@dataclass(frozen=True)
class NetworkTrace:
    """What a network does with one image.

    Attributes:
        ops: operators in the order in which they run.
        shapes: variable -> shape.
        parameters: variable -> name in the network's state dict.
        outputs: variables that the network returns.
    """

    ops: tuple[Op, ...]
    shapes: Mapping[str, tuple[int, ...]]
    parameters: Mapping[str, str]
    outputs: tuple[str, ...]

    @cached_property
    def readers(self) -> dict[str, list[Op]]:
        """Variable -> operators that read it."""
        found: dict[str, list[Op]] = {}
        for op in self.ops:
            for name in {name for names in op.inputs.values() for name in names}:
                found.setdefault(name, []).append(op)
        return found

    @cached_property
    def writers(self) -> dict[str, Op]:
        """Variable -> operator that writes it."""
        return {name: op for op in self.ops for names in op.outputs.values() for name in names}

    def sole_reader(self, name: str) -> Op | None:
        """The operator that reads a variable, when there is exactly one and the network does not return it."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None


class _Untranslated(nn.Layer):
    """Keeps Paddle from rewriting the source of all forward passes, which takes most of the time of a trace.

    That is for branches on values of tensors, and a network with those has no fixed channels to speak of.
    """

    def __init__(self, network: nn.Layer, size: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        self.size = size

    @paddle.jit.not_to_static
    def forward(self, x: paddle.Tensor) -> Any:
        return run_once(self.network, self.size, x)


def trace(network: nn.Layer, size: tuple[int, int] = TRACE_SIZE, *, training: bool = True) -> NetworkTrace:
    """Trace a network.

    Args:
        network: maps float32 [1, 3, H, W] to tensors, in any nesting.
        size: height and width of the image.
        training: with what only training computes, such as auxiliary heads.

    Raises:
        CompressionError: the forward pass cannot be traced.
        DependencyError: the installed Paddle is not the converter's.
    """
    require_static_programs()
    layers = network.sublayers(include_self=True)
    modes = [(layer, layer.training, layer.__dict__.get("forward")) for layer in layers]
    network.train() if training else network.eval()
    for layer in layers:
        if isinstance(layer, DROPOUTS):
            layer.eval()  # what it draws at random is no part of the structure
    try:
        wrapper = _Untranslated(network, size)
        spec = paddle.jit.to_static(wrapper.forward, full_graph=True)._function_spec
        image = InputSpec([1, 3, *size], "float32", name="x")
        # Not get_concrete_program, which goes on to prepare the program for running: twice the time.
        program = ConcreteProgram.from_func_spec(spec, [image], {}, wrapper)
        return _read(program, network)
    except MemoryError:
        raise
    except Exception as error:  # Paddle raises many types here; all mean that the forward cannot be traced
        raise CompressionError(trace_failure(error, size), remedy=REMEDY) from error
    finally:
        for layer, mode, forward in modes:
            layer.training = mode
            layer.__dict__.pop("forward", None)  # tracing leaves its rewritten forward on every layer
            if forward is not None:
                layer.__dict__["forward"] = forward


def _read(program: Any, network: nn.Layer) -> NetworkTrace:
    block = program.main_program.global_block()
    ops, shapes = [], {}
    for op in block.ops:
        inputs = {slot: tuple(op.input(slot)) for slot in op.input_names if op.input(slot)}
        outputs = {slot: tuple(op.output(slot)) for slot in op.output_names if op.output(slot)}
        attrs = {name: op.attr(name) for name in op.attr_names if name != "op_callstack"}
        ops.append(Op(op.type, inputs, outputs, attrs))
        for names in (*inputs.values(), *outputs.values()):
            shapes.update({name: tuple(block.var(name).shape) for name in names})
    own = {tensor.name: name for name, tensor in network.state_dict().items()}
    fetched = [var.name for var in paddle.utils.flatten(program.outputs) if hasattr(var, "name")]
    return NetworkTrace(tuple(ops), shapes, {name: own[name] for name in shapes if name in own}, tuple(fetched))
