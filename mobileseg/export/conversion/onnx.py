"""Paddle program to simplified ONNX."""

from __future__ import annotations

import os
from typing import Any

from mobileseg.errors import ExportError
from mobileseg.export.conversion.onnx_blocks import split_hard_swish
from mobileseg.export.conversion.process import run_task
from mobileseg.folders import scratch_folder


def convert(
    model: str | os.PathLike[str],
    params: str | os.PathLike[str],
    out: str | os.PathLike[str],
    opset: int,
    blocked: bool = False,
) -> dict[str, Any]:
    """Convert and simplify in a process of its own; returns opset and number of nodes.

    Args:
        model: ``.pdmodel``.
        params: ``.pdiparams``.
        out: path of the ``.onnx`` file.
        opset: ONNX operator set.
        blocked: the graph is for ONNX Runtime, and no step to another format.

    Raises:
        Failure: a converter refused the program or died.
    """
    request = {"model": str(model), "params": str(params), "out": str(out), "opset": opset, "blocked": blocked}
    return run_task("onnx", request)


def translate(model: str, params: str, out: str, opset: int, blocked: bool = False) -> dict[str, Any]:
    """Convert in this process, which paddle2onnx may end; the arguments are those of `convert`.

    Raises:
        ExportError: the result is no valid ONNX model, or has a pool that ONNX Runtime dies on.
    """
    import onnx
    import onnxslim
    import paddle2onnx

    with scratch_folder() as folder:
        raw = str(folder / "raw.onnx")
        paddle2onnx.export(model, params, raw, opset_version=opset, verbose=False)
        graph = onnx.load(raw)
    _refuse_zero_strides(graph)
    slim = onnxslim.slim(graph)
    if blocked:
        split_hard_swish(slim)
    onnx.checker.check_model(slim)
    onnx.save(slim, out)
    versions = [entry.version for entry in slim.opset_import if entry.domain in ("", "ai.onnx")]
    return {"opset": versions[0], "nodes": len(slim.graph.node)}


def _refuse_zero_strides(graph: Any) -> None:
    """paddle2onnx writes an adaptive pool of a dynamic shape as a pool of stride 0: ONNX Runtime divides by it."""
    for node in graph.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("strides", "kernel_shape") and 0 in attribute.ints:
                raise ExportError(
                    f"paddle2onnx wrote {node.op_type} '{node.name}' with {attribute.name} {list(attribute.ints)}: "
                    "adaptive pooling of dynamic shape cannot be expressed in ONNX",
                    remedy="export a fixed size, or give the network a pooling with exact bins",
                )
