"""TorchScript on the CPU, for those who have PyTorch installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.engines.base import Engine, Port


class TorchScriptEngine(Engine):
    """Runs ``.pt`` files; their outputs have no names and come in the manifest's order, as their inputs do."""

    name = "torchscript"
    files_key = "torchscript"

    def _open(self, port: Port) -> Any:
        torch.set_num_threads(self.threads)
        path = self.path_of(port, port.files.model)
        try:
            return torch.jit.load(str(path), map_location="cpu").eval()
        except RuntimeError as error:
            raise RuntimeEngineError(
                f"PyTorch cannot load {path}: {error}", remedy="export the folder again"
            ) from error

    def _run(self, session: Any, port: Port, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            with torch.no_grad():
                answer = session(*(torch.from_numpy(inputs[spec.name]) for spec in port.inputs))
        except RuntimeError as error:
            shapes = ", ".join(str(list(value.shape)) for value in inputs.values())
            raise RuntimeEngineError(f"PyTorch failed on an input of {shapes}: {error}") from error
        values = [answer] if isinstance(answer, torch.Tensor) else list(answer)
        if len(values) != len(port.outputs):
            raise RuntimeEngineError(
                f"{self.name}: graph '{port.graph}' has {len(values)} outputs, the manifest says {len(port.outputs)}",
                remedy="export the folder again",
            )
        return {spec.name: value.numpy().copy() for spec, value in zip(port.outputs, values, strict=True)}
