"""The float graph that is calibrated, and what is taken out of a graph before Paddle Lite reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobileseg.export.conversion.pdmodel import Program
from mobileseg.export.conversion.tracing import save_paddle_graph
from mobileseg.export.options import ExportOptions
from mobileseg.export.task import ExportTask

_RUNTIME_ONLY = {
    "exhaustive_search", "force_fp32_output", "fuse_relu_before_depthwise_conv", "mkldnn_data_type", "onednn_data_type",
    "op_callstack", "op_device", "op_namescope", "op_role", "op_role_var", "use_addto", "use_cudnn", "use_mkldnn",
    "use_onednn", "use_quantizer", "workspace_size_MB",
}  # fmt: skip
"""Attributes that say how Paddle itself runs an operator, or where it was written; Lite would store them."""


def save_float_graph(network: Any, options: ExportOptions, stem: Path, task: ExportTask, graph: str) -> Program:
    """Trace a graph of a network with folded norms; ``<stem>.pdmodel``, ``<stem>.pdiparams`` and origins are written.

    Args:
        network: in evaluation mode.
        options: form of the graph.
        stem: path without suffix.
        task: of the network.
        graph: its name.
    """
    program = save_paddle_graph(network, options, stem, task, graph)
    add_biases_directly(program)
    program.write(stem.with_name(stem.name + ".pdmodel"), with_origins=True)
    return program


def add_biases_directly(program: Program) -> int:
    """Let additions of a bias read the parameter, in place; returns how many.

    Tracing a convolution with a bias gives an operator that reshapes the bias to [1,C,1,1] at every run. Without it
    Paddle Lite joins the bias with the convolution, and the graph is smaller.
    """
    parameters = program.parameters()
    shapes = program.shapes()
    operators = program.operators()
    reshaped = {
        op.outputs["Out"][0]: op
        for op in operators
        if op.type == "reshape2" and op.inputs["X"][0] in parameters and _is_channel(shapes[op.outputs["Out"][0]])
    }
    readers: dict[str, int] = {}
    for op in operators:
        for names in op.inputs.values():
            for name in names:
                readers[name] = readers.get(name, 0) + 1
    gone = []
    for op in operators:
        source = reshaped.get(op.inputs["Y"][0]) if op.type == "elementwise_add" else None
        if source is None or readers[op.inputs["Y"][0]] != 1 or len(shapes[op.inputs["X"][0]]) != 4:
            continue
        message = program.block.ops[op.index]
        next(slot for slot in message.inputs if slot.parameter == "Y").arguments[:] = [source.inputs["X"][0]]
        next(attr for attr in message.attrs if attr.name == "axis").i = 1
        gone.append(source)
    dropped = {name for op in gone for names in op.outputs.values() for name in names}
    for op in sorted(gone, key=lambda one: -one.index):
        del program.block.ops[op.index]
    for index in reversed(range(len(program.block.vars))):
        if program.block.vars[index].name in dropped:
            del program.block.vars[index]
    return len(gone)


def without_runtime_attributes(program: Program) -> Program:
    """A copy without what only Paddle's own runtime reads; a tenth of a quantised ``.nb`` file would be that."""
    slim = program.copy()
    for op in slim.block.ops:
        kept = [type(attr).FromString(attr.SerializeToString()) for attr in op.attrs if attr.name not in _RUNTIME_ONLY]
        del op.attrs[:]
        op.attrs.extend(kept)
    return slim


def _is_channel(shape: list[int]) -> bool:
    return len(shape) == 4 and shape[0] == shape[2] == shape[3] == 1
