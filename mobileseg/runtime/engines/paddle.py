"""Paddle Inference on the CPU, with oneDNN (five times faster than without), or on a GPU without TensorRT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mobileseg.errors import DependencyError, RuntimeEngineError
from mobileseg.runtime.engines.base import Engine
from mobileseg.runtime.engines.predictors import Part, Stage, collect_shapes, on_cpu, run_stages

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
    _stages: list[Stage]

    def _load(self) -> None:
        inference = import_inference()
        self._device = self.options.get("device", "cpu")
        if self._device not in ("cpu", "gpu"):
            raise RuntimeEngineError(f"device is '{self._device}', expected 'cpu' or 'gpu'")
        if self._device == "gpu":
            require_gpu()
        parts = self._component_parts() if self.options.get("components", False) else [self._main_part()]
        self._stages = [Stage(part, inference, self._config(inference, part)) for part in parts]

    def _config(self, inference: Any, part: Part) -> Any:
        config = inference.Config(str(part.model), str(part.params))
        if not self.options.get("print_details", False):
            config.disable_glog_info()
        config.enable_memory_optim()
        if self._device == "gpu":
            config.enable_use_gpu(GPU_MEMORY_MB, 0)
            return config
        onednn = self.options.get("onednn", True)
        on_cpu(config, onednn=onednn)
        if onednn:
            config.set_mkldnn_cache_capacity(_CACHED_SHAPES)
        config.set_cpu_math_library_num_threads(self.threads)
        return config

    def _run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        found = run_stages(self._stages, {self._input_name: image})
        return {ours: found[theirs] for ours, theirs in self._output_names.items()}

    def collect_shapes(self, inputs: Sequence[np.ndarray], target: Path) -> None:
        """Write the range of shapes of all tensors that these inputs give, for `TensorRTOptions.shape_file`.

        Args:
            inputs: what the graph is fed, run by run.
            target: file to write.

        Raises:
            RuntimeEngineError: Paddle failed.
        """
        collect_shapes(self._main_part(), [{self._input_name: image} for image in inputs], target)

    def _main_part(self) -> Part:
        """The whole graph."""
        shapes = self.path_of(self.files.shapes) if self.files.shapes else None
        return Part(
            "graph",
            self.path_of(self.files.model),
            self.path_of(self.files.params),
            shapes,
            (self._input_name,),
            tuple(self._output_names.values()),
        )

    def _component_parts(self) -> list[Part]:
        """The components of the graph, in the order in which they run.

        Raises:
            RuntimeEngineError: the folder has none.
        """
        if not self.manifest.components:
            raise RuntimeEngineError(
                f"artefact '{self.manifest.name}' has no component graphs",
                remedy="export it with `mobileseg export --tensorrt`, or give one precision for the whole",
            )
        return [
            Part(
                part.name,
                self.path_of(part.model),
                self.path_of(part.params),
                self.path_of(part.shapes),
                part.inputs,
                part.outputs,
            )
            for part in self.manifest.components
        ]


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
