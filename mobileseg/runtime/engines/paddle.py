"""Paddle Inference on the CPU, with oneDNN (five times faster than without), or on a GPU without TensorRT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mobileseg.errors import DependencyError, RuntimeEngineError
from mobileseg.names import MAIN
from mobileseg.runtime.engines.base import Engine, Port
from mobileseg.runtime.engines.predictors import Part, PredictorStage, collect_shapes, on_cpu
from mobileseg.runtime.manifest import COMPONENTS

# oneDNN keeps compiled primitives per input shape; without a bound a dynamic graph grows with every new size.
_CACHED_SHAPES = 10

GPU_MEMORY_MB = 100
"""What Paddle takes of a GPU's memory at the start; it grows by itself."""


class PaddleEngine(Engine):
    """Runs ``model.pdmodel`` and ``model.pdiparams``.

    Options: ``device`` ('cpu', or 'gpu' for the first GPU), ``onednn`` (True; False runs Paddle's plain kernels),
    ``components`` (False; True runs the component graphs of a folder that has them, one after the other, which gives
    the same answer) and ``print_details`` (False; True shows Paddle's log).
    """

    name = "paddle"
    files_key = "paddle"
    option_names: ClassVar[tuple[str, ...]] = ("device", "onednn", "components", "print_details")

    @property
    def _by_component(self) -> bool:
        return bool(self.options.get("components", False))

    def _pipelines(self) -> dict[str, tuple[str, ...]]:
        if not self._by_component:
            return super()._pipelines()
        if COMPONENTS not in self.manifest.pipelines:
            raise RuntimeEngineError(
                f"artefact '{self.manifest.name}' has no component graphs",
                remedy="export it with `mobileseg export --tensorrt`, or give one precision for the whole",
            )
        return {MAIN: self.manifest.pipelines[COMPONENTS]}

    def _open(self, port: Port) -> Any:
        inference = import_inference()
        device = self.options.get("device", "cpu")
        if device not in ("cpu", "gpu"):
            raise RuntimeEngineError(f"device is '{device}', expected 'cpu' or 'gpu'")
        if device == "gpu":
            require_gpu()
        part = self._part(port)
        return PredictorStage(part, inference, self._config(inference, part, device))

    def _config(self, inference: Any, part: Part, device: str) -> Any:
        config = inference.Config(str(part.model), str(part.params))
        if not self.options.get("print_details", False):
            config.disable_glog_info()
        config.enable_memory_optim()
        if device == "gpu":
            config.enable_use_gpu(GPU_MEMORY_MB, 0)
            return config
        onednn = self.options.get("onednn", True)
        on_cpu(config, onednn=onednn)
        if onednn:
            config.set_mkldnn_cache_capacity(_CACHED_SHAPES)
        config.set_cpu_math_library_num_threads(self.threads)
        return config

    def _run(self, session: Any, port: Port, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = session.run({port.input_names[name]: value for name, value in inputs.items()})
        return {ours: found[theirs] for ours, theirs in port.output_names.items()}

    def collect_shapes(self, inputs: Sequence[np.ndarray], target: Path) -> None:
        """Write the range of shapes of all tensors that these inputs give, for `TensorRTOptions.shape_file`.

        Args:
            inputs: tensors of images, run by run.
            target: file to write.

        Raises:
            RuntimeEngineError: Paddle failed.
        """
        port = self._port(MAIN)
        name = port.input_names[self.manifest.image.name]
        collect_shapes(self._part(port), [{name: image} for image in inputs], target)

    def _part(self, port: Port) -> Part:
        """The files of a graph, after their hashes have been checked."""
        return Part(
            port.graph,
            self.path_of(port, port.files.model),
            self.path_of(port, port.files.params),
            self.path_of(port, port.files.shapes) if port.files.shapes else None,
            tuple(port.input_names.values()),
            tuple(port.output_names.values()),
        )


def import_inference() -> Any:
    """The module `paddle.inference`."""
    import zlib  # noqa: F401  # before Paddle, see mobileseg/__init__.py

    from paddle import inference

    return inference


def require_gpu() -> None:
    """Raises DependencyError when Paddle cannot use a GPU here."""
    import paddle

    if not paddle.is_compiled_with_cuda():
        reason = f"the installed Paddle {paddle.__version__} is a build for CPUs"
    elif paddle.device.cuda.device_count() == 0:
        reason = "Paddle finds no NVIDIA GPU (driver missing, or CUDA_VISIBLE_DEVICES is empty)"
    else:
        return
    raise DependencyError(f"the GPU cannot be used: {reason}", remedy="run on the CPU")
