"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.engines.base import Engine, Port


class OnnxRuntimeEngine(Engine):
    """Runs ONNX graphs with the CPU provider."""

    name = "onnxruntime"
    files_key = "onnx"

    def _open(self, port: Port) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only
        path = self.path_of(port, port.files.model)
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the exception types of onnxruntime have no common base but this
            raise RuntimeEngineError(
                f"ONNX Runtime cannot load {path}: {error}", remedy="export the folder again"
            ) from error
        inputs, outputs = ([value.name for value in values()] for values in (session.get_inputs, session.get_outputs))
        port.require_names(self.name, inputs, outputs)
        return session

    def _run(self, session: Any, port: Port, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        fed = {port.input_names[name]: value for name, value in inputs.items()}
        try:
            results = session.run(list(port.output_names.values()), fed)
        except Exception as error:
            shapes = ", ".join(str(list(value.shape)) for value in inputs.values())
            raise RuntimeEngineError(f"ONNX Runtime failed on an input of {shapes}: {error}") from error
        return dict(zip(port.output_names, results, strict=True))
