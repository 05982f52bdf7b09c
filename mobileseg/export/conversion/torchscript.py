"""ONNX to TorchScript, through onnx2torch; an extra for those who have PyTorch installed."""

from __future__ import annotations

import os
from typing import Any

from mobileseg.export.conversion.process import run_task


def convert(model: str | os.PathLike[str], out: str | os.PathLike[str], shape: tuple[int, ...]) -> dict[str, Any]:
    """Convert in a process of its own; returns the versions of what converted.

    Args:
        model: ``.onnx`` file with one input.
        out: path of the ``.pt`` file.
        shape: of the input; the graph takes no other.

    Raises:
        Failure: onnx2torch refused an operator, or died.
    """
    return run_task("torchscript", {"model": str(model), "out": str(out), "shape": list(shape)})


def translate(model: str, out: str, shape: list[int]) -> dict[str, Any]:
    """Convert in this process."""
    import onnx
    import onnx2torch
    import torch

    graph = onnx.load(model)
    kind = onnx.helper.tensor_dtype_to_np_dtype(graph.graph.input[0].type.tensor_type.elem_type)
    network = onnx2torch.convert(graph).eval()
    image = torch.zeros(shape, dtype=getattr(torch, kind.name))
    with torch.no_grad():
        traced = torch.jit.freeze(torch.jit.trace(network, image, check_trace=False))
    traced.save(out)
    return {"torch": torch.__version__}
