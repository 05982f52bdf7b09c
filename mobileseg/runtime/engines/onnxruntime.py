"""ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.engines.base import Engine


class OnnxRuntimeEngine(Engine):
    """Runs the ONNX graph with the CPU provider."""

    name = "onnxruntime"
    files_key = "onnx"
    _session: Any

    def _load(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only
        path = self.path_of(self.files.model)
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the exception types of onnxruntime have no common base but this
            raise RuntimeEngineError(f"ONNX Runtime cannot load {path}: {error}") from error
        self._require_names(
            [value.name for value in self._session.get_inputs()], [value.name for value in self._session.get_outputs()]
        )

    def _run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        try:
            results = self._session.run(list(self._output_names.values()), {self._input_name: image})
        except Exception as error:
            raise RuntimeEngineError(f"ONNX Runtime failed on an input of {list(image.shape)}: {error}") from error
        return dict(zip(self._output_names, results, strict=True))
