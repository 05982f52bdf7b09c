"""TorchScript on the CPU, for those who have PyTorch installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.engines.base import Engine


class TorchScriptEngine(Engine):
    """Runs a ``.pt`` file; its outputs have no names and come in the manifest's order."""

    name = "torchscript"
    files_key = "torchscript"
    _module: Any

    def _load(self) -> None:
        torch.set_num_threads(self.threads)
        path = self.path_of(self.files.model)
        try:
            self._module = torch.jit.load(str(path), map_location="cpu").eval()
        except RuntimeError as error:
            raise RuntimeEngineError(f"PyTorch cannot load {path}: {error}") from error

    def _run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        try:
            with torch.no_grad():
                answer = self._module(torch.from_numpy(image))
        except RuntimeError as error:
            raise RuntimeEngineError(f"PyTorch failed on an input of {list(image.shape)}: {error}") from error
        values = [answer] if isinstance(answer, torch.Tensor) else list(answer)
        if len(values) != len(self.outputs):
            raise RuntimeEngineError(
                f"{self.name}: graph '{self.graph}' has {len(values)} outputs, the manifest says {len(self.outputs)}",
                remedy="export the folder again",
            )
        return {spec.name: value.numpy().copy() for spec, value in zip(self.outputs, values, strict=True)}
