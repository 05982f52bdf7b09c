"""NCNN on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ncnn
import numpy as np

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.engines.base import Engine, Port


class NcnnEngine(Engine):
    """Runs ``.param`` and ``.bin``.

    NCNN has no batch dimension: it is taken off every input and put back on every output. It computes float32
    (half precision is switched off, so that results can be compared), and labels come back as float32 and are
    given the manifest's type.
    """

    name = "ncnn"
    files_key = "ncnn"

    def _open(self, port: Port) -> Any:
        param, weights = self.path_of(port, port.files.param), self.path_of(port, port.files.bin)
        net = ncnn.Net()
        net.opt.use_vulkan_compute = False
        net.opt.num_threads = self.threads
        for option in (
            "use_fp16_packed",
            "use_fp16_storage",
            "use_fp16_arithmetic",
            "use_bf16_storage",
            "use_bf16_packed",
        ):
            setattr(net.opt, option, False)
        if net.load_param(str(param)) != 0:
            raise RuntimeEngineError(f"NCNN cannot load {param}", remedy="export the folder again")
        if net.load_model(str(weights)) != 0:
            raise RuntimeEngineError(
                f"NCNN cannot load {weights}, which does not fit {param.name}", remedy="export the folder again"
            )
        port.require_names(self.name, list(net.input_names()), list(net.output_names()))
        return net

    def _run(self, session: Any, port: Port, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = {}
        extractor = session.create_extractor()
        # NCNN's layers read float32, also where the other graphs take bytes. A Mat borrows the array's memory, so
        # `values` stay referenced until the last extract.
        values = {name: value[0].astype(np.float32, copy=False) for name, value in inputs.items()}
        for name, value in values.items():
            # A graph whose first layer works in place would write into memory that other frames read.
            mat = ncnn.Mat(value) if name == self.manifest.image.name else ncnn.Mat(value).clone()
            if extractor.input(port.input_names[name], mat) != 0:
                raise RuntimeEngineError(f"NCNN refused an input '{name}' of {list(inputs[name].shape)}")
        for spec in port.outputs:
            code, result = extractor.extract(port.output_names[spec.name])
            if code != 0:
                raise RuntimeEngineError(f"NCNN failed to compute '{spec.name}' (code {code})")
            array = np.array(result, copy=True)[None]
            if array.ndim == len(spec.shape) + 1 and array.shape[1] == 1:
                array = array[:, 0]  # labels: NCNN keeps the reduced channel dimension
            results[spec.name] = array.astype(spec.dtype, copy=False)
        return results
