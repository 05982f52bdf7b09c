"""NCNN on the CPU."""

from __future__ import annotations

from typing import Any

import ncnn
import numpy as np

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.engines.base import Engine


class NcnnEngine(Engine):
    """Runs ``.param`` and ``.bin``.

    NCNN has no batch dimension: it is taken off the input and put back on every output. It computes float32
    (half precision is switched off, so that results can be compared), and labels come back as float32 and are
    given the manifest's type.
    """

    name = "ncnn"
    files_key = "ncnn"
    _net: Any

    def _load(self) -> None:
        param, weights = self.path_of(self.files.param), self.path_of(self.files.bin)
        self._net = ncnn.Net()
        self._net.opt.use_vulkan_compute = False
        self._net.opt.num_threads = self.threads
        for option in (
            "use_fp16_packed",
            "use_fp16_storage",
            "use_fp16_arithmetic",
            "use_bf16_storage",
            "use_bf16_packed",
        ):
            setattr(self._net.opt, option, False)
        if self._net.load_param(str(param)) != 0:
            raise RuntimeEngineError(f"NCNN cannot load {param}")
        if self._net.load_model(str(weights)) != 0:
            raise RuntimeEngineError(f"NCNN cannot load {weights}, which does not fit {param.name}")
        self._require_names(list(self._net.input_names()), list(self._net.output_names()))

    def _run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        results = {}
        extractor = self._net.create_extractor()
        # NCNN's layers read float32, also where the other graphs take bytes. The Mat borrows the array's
        # memory, so `values` stays referenced until the last extract.
        values = image[0].astype(np.float32, copy=False)
        if extractor.input(self._input_name, ncnn.Mat(values)) != 0:
            raise RuntimeEngineError(f"NCNN refused an input of {list(image.shape)}")
        for spec in self.outputs:
            code, result = extractor.extract(self._output_names[spec.name])
            if code != 0:
                raise RuntimeEngineError(f"NCNN failed to compute '{spec.name}' (code {code})")
            array = np.array(result, copy=True)[None]
            if array.ndim == len(spec.shape) + 1 and array.shape[1] == 1:
                array = array[:, 0]  # labels: NCNN keeps the reduced channel dimension
            results[spec.name] = array.astype(spec.dtype, copy=False)
        return results
