"""ONNX to TorchScript, through onnx2torch; an extra for those who have PyTorch installed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mobileseg.export.conversion.process import run_task


def convert(
    model: str | os.PathLike[str], out: str | os.PathLike[str], shapes: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """Convert in a process of its own; returns the versions of what converted.

    Args:
        model: ``.onnx`` file.
        out: path of the ``.pt`` file.
        shapes: of the inputs; the graph takes no other.

    Raises:
        Failure: onnx2torch refused an operator, or died.
    """
    return run_task("torchscript", {"model": str(model), "out": str(out), "shapes": [list(shape) for shape in shapes]})


def translate(model: str, out: str, shapes: list[list[int]]) -> dict[str, Any]:
    """Convert in this process."""
    import onnx
    import onnx2torch
    import torch

    graph = onnx.load(model)
    kinds = [onnx.helper.tensor_dtype_to_np_dtype(one.type.tensor_type.elem_type) for one in graph.graph.input]
    network = onnx2torch.convert(graph).eval()
    inputs = tuple(
        torch.zeros(shape, dtype=getattr(torch, kind.name)) for shape, kind in zip(shapes, kinds, strict=True)
    )
    with torch.no_grad():
        traced = torch.jit.freeze(torch.jit.trace(network, inputs, check_trace=False))
    traced.save(out)
    return {"torch": torch.__version__}
