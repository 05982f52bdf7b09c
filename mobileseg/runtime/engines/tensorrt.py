"""Paddle Inference with TensorRT on an NVIDIA GPU."""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.data.io import read_image
from mobileseg.errors import DependencyError, RuntimeEngineError
from mobileseg.files import write_whole
from mobileseg.runtime.engines.base import Port
from mobileseg.runtime.engines.paddle import GPU_MEMORY_MB, PaddleEngine, import_inference
from mobileseg.runtime.engines.predictors import Part, PredictorStage, collect_shapes
from mobileseg.runtime.engines.registry import fitting
from mobileseg.runtime.engines.tensorrt_options import (
    PRECISIONS,
    Machine,
    TensorRTOptions,
    cache_key,
    cache_root,
    calibration_digest,
)
from mobileseg.runtime.manifest import COMPONENTS
from mobileseg.runtime.preprocess import Preprocessor
from mobileseg.runtime.specs import TensorSpec

_TABLE_NOTE = "calibrated.json"
_SHAPES = "shapes.pbtxt"
_QUANTISED = (b"quantize_linear", b"fake_quantize")  # operators of graphs that were quantised in training


@dataclass(frozen=True)
class Plan:
    """How one part is run.

    Attributes:
        part: its graph; `Part.shapes` is the cache's own copy, or None for an engine of one fixed shape.
        precision: 'fp32', 'fp16' or 'int8'.
        calibrated: value ranges come from images, not from the graph.
        cache: folder of its engines.
    """

    part: Part
    precision: str
    calibrated: bool
    cache: Path


class TensorRTEngine(PaddleEngine):
    """Runs Paddle graphs, or the component graphs of one, as TensorRT engines.

    Options are those of `TensorRTOptions`. The first load on a machine builds the engines, which takes minutes; later
    loads read them from the cache. Between graphs tensors go through the memory of the host.

    Raises:
        DependencyError: no GPU, or no GPU build of Paddle with TensorRT.
        RuntimeEngineError: an option that cannot be used, or int8 without a source of value ranges.
    """

    name = "tensorrt"
    option_names = tuple(field.name for field in fields(TensorRTOptions))

    @property
    def _by_component(self) -> bool:
        """A network of several graphs has a precision per graph; one graph must have been divided for that."""
        divided = COMPONENTS in self.manifest.pipelines or len(self.manifest.deployed) == 1
        return self._settings.by_component and divided

    def _pipelines(self) -> dict[str, tuple[str, ...]]:
        self._settings = TensorRTOptions(**self.options)
        return super()._pipelines()

    def _open_all(self, ports: Sequence[Port]) -> dict[str, Any]:
        inference = import_inference()
        reason = missing(inference)
        if reason:
            others = fitting(self.manifest)
            raise DependencyError(
                f"TensorRT cannot be used: {reason}",
                remedy=f"engines that run this folder here: {', '.join(others)}" if others else None,
            )
        machine = machine_of(inference, self._settings.device)
        parts = [self._part(port) for port in ports]
        precisions = self._settings.precision_of([part.name for part in parts])
        quantised = {part.name: is_quantised(part.model) for part in parts}
        wanted = [part.name for part in parts if precisions[part.name] == "int8" and not quantised[part.name]]
        calibration = self._calibration_inputs() if wanted else []
        if wanted and not calibration:
            raise RuntimeEngineError(
                f"int8 needs value ranges, and {self._where(wanted)} was not quantised in training",
                remedy="name images to calibrate with (calibration=[...]), about a hundred",
            )
        if self.manifest.image.dynamic and "int8" in precisions.values():
            raise RuntimeEngineError(
                "int8 needs a graph of fixed size, and this one takes any size",
                remedy="export without --dynamic, or use fp16",
            )
        digest = calibration_digest(calibration)
        plans = [
            self._plan(machine, part, precisions[part.name], part.name in wanted, digest)
            for part in self._ready(ports, parts)
        ]
        if any(plan.calibrated and not (plan.cache / _TABLE_NOTE).is_file() for plan in plans):
            self._calibrate(inference, plans, calibration)
        sessions: dict[str, Any] = {
            plan.part.name: PredictorStage(plan.part, inference, configure(inference, plan, self._settings))
            for plan in plans
        }
        for _ in range(self._settings.warmup):
            self._through(sessions, self._blank())
        return sessions

    def _ready(self, ports: Sequence[Port], parts: Sequence[Part]) -> list[Part]:
        """The parts with a shape file each: the user's, the folder's, or one collected here and kept."""
        if self._settings.shape_file is not None:
            return [replace(part, shapes=Path(self._settings.shape_file)) for part in parts]
        found: list[Part] = []
        for port, part in zip(ports, parts, strict=True):
            if part.shapes is not None:
                found.append(part)
                continue
            hashes = self.manifest.files[part.model.name][:16], self.manifest.files[part.params.name][:16]
            target = cache_root(self._settings) / "shapes" / f"{'-'.join(hashes)}.pbtxt"
            if not target.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_suffix(f".{os.getpid()}")
                fed = {port.input_names[spec.name]: self._blank_tensor(spec) for spec in port.inputs}
                collect_shapes(part, [fed], partial)
                os.replace(partial, target)
            found.append(replace(part, shapes=target))
        return found

    def _plan(self, machine: Machine, part: Part, precision: str, calibrated: bool, digest: str) -> Plan:
        key = cache_key(machine, part, precision, self._settings, digest if calibrated else "")
        folder = cache_root(self._settings) / key
        folder.mkdir(parents=True, exist_ok=True)
        shapes: Path | None = None
        if precision != "int8" and part.shapes is not None:
            # Paddle writes sizes that it meets later into the file, and the folder's own is hashed.
            shapes = folder / _SHAPES
            if not shapes.is_file():
                shutil.copyfile(part.shapes, shapes)
        return Plan(replace(part, shapes=shapes), precision, calibrated, folder)

    def _calibrate(self, inference: Any, plans: Sequence[Plan], inputs: Sequence[np.ndarray]) -> None:
        """Run the images; Paddle writes the tables when the predictors end."""
        before = {plan.part.name: set(os.listdir(plan.cache)) for plan in plans}
        stages = {
            plan.part.name: PredictorStage(plan.part, inference, configure(inference, plan, self._settings))
            for plan in plans
        }
        for image in inputs:
            self._through(stages, image)
        stages.clear()
        gc.collect()
        for plan in plans:
            if not plan.calibrated or (plan.cache / _TABLE_NOTE).is_file():
                continue
            if set(os.listdir(plan.cache)) <= before[plan.part.name]:
                raise RuntimeEngineError(
                    f"the calibration of {self._where([plan.part.name])} gave no table in {plan.cache}",
                    remedy="look at Paddle's log with print_details=True",
                )
            write_whole(plan.cache / _TABLE_NOTE, json.dumps({"images": len(inputs)}) + "\n")

    def _through(self, sessions: Mapping[str, Any], image: np.ndarray) -> None:
        """One frame through every pipeline, with nothing remembered."""
        for graphs in self.pipelines.values():
            tensors = {self.manifest.image.name: image}
            for graph in graphs:
                port = self._ports[graph]
                fed = {
                    spec.name: tensors[spec.name] if spec.name in tensors else self._blank_tensor(spec)
                    for spec in port.inputs
                }
                tensors.update(self._run(sessions[graph], port, fed))

    def _calibration_inputs(self) -> list[np.ndarray]:
        preprocess = Preprocessor(self.manifest.image)
        images = self._settings.calibration
        return [preprocess(item if isinstance(item, np.ndarray) else read_image(item)) for item in images]

    def _blank(self) -> np.ndarray:
        spec = self.manifest.image
        return np.zeros(spec.shape(), np.dtype(spec.dtype))

    def _blank_tensor(self, spec: TensorSpec) -> np.ndarray:
        if spec.name == self.manifest.image.name:
            return self._blank()
        return np.zeros([max(1, length) for length in spec.shape], np.dtype(spec.dtype))

    def _where(self, names: Sequence[str]) -> str:
        return ", ".join(names) if self._settings.by_component else f"artefact '{self.manifest.name}'"


def configure(inference: Any, plan: Plan, options: TensorRTOptions) -> Any:
    """The `Config` of one part.

    Args:
        inference: the module `paddle.inference`.
        plan: graph, precision, cache.
        options: the rest.
    """
    config = inference.Config(str(plan.part.model), str(plan.part.params))
    if not options.print_details:
        config.disable_glog_info()
    config.enable_memory_optim()
    config.enable_use_gpu(GPU_MEMORY_MB, options.device)
    config.set_optim_cache_dir(str(plan.cache))
    config.enable_tensorrt_engine(
        workspace_size=options.workspace_mb << 20,
        max_batch_size=1,
        min_subgraph_size=options.min_subgraph_size,
        precision_mode=getattr(inference.PrecisionType, PRECISIONS[plan.precision]),
        use_static=True,
        use_calib_mode=plan.calibrated,
    )
    if plan.part.shapes is not None:
        config.enable_tuned_tensorrt_dynamic_shape(str(plan.part.shapes), True)
    if options.keep_in_paddle:
        config.exp_disable_tensorrt_ops(list(options.keep_in_paddle))
    return config


def missing(inference: Any) -> str:
    """Why TensorRT cannot be used with the installed Paddle, '' when it can."""
    import paddle

    if not paddle.is_compiled_with_cuda():
        return f"the installed Paddle {paddle.__version__} is a build for CPUs"
    if not any(inference.get_trt_compile_version()):
        return f"the installed Paddle {paddle.__version__} was built without TensorRT"
    if not any(inference.get_trt_runtime_version()):
        return "the TensorRT library (libnvinfer) cannot be loaded"
    if paddle.device.cuda.device_count() == 0:
        return "Paddle finds no NVIDIA GPU (driver missing, or CUDA_VISIBLE_DEVICES is empty)"
    return ""


def machine_of(inference: Any, device: int) -> Machine:
    """The GPU and the versions of what builds engines for it.

    Raises:
        RuntimeEngineError: there is no GPU of that number.
    """
    import paddle

    count = paddle.device.cuda.device_count()
    if device >= count:
        raise RuntimeEngineError(f"there is no GPU {device}", remedy=f"Paddle finds {count}, numbered from 0")
    return Machine(
        gpu=paddle.device.cuda.get_device_name(device),
        capability=".".join(map(str, paddle.device.cuda.get_device_capability(device))),
        tensorrt=".".join(map(str, inference.get_trt_runtime_version())),
        paddle=f"{paddle.__version__} {paddle.version.commit}",
        cuda=str(paddle.version.cuda()),
    )


def is_quantised(model: Path) -> bool:
    """Whether a graph holds the value ranges that int8 needs."""
    content = model.read_bytes()
    return any(name in content for name in _QUANTISED)
