"""The engines by name, and which of them this environment and a folder allow."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from mobileseg.errors import DependencyError, RuntimeEngineError
from mobileseg.runtime.engines.base import Engine
from mobileseg.runtime.manifest import Manifest


@dataclass(frozen=True)
class EngineInfo:
    """Where an engine lives and what it needs.

    Attributes:
        module: module with the class.
        class_name: the `Engine` in it.
        package: import name of the package it runs on.
        requirement: what pip installs for it.
        extra: name of the extra of this distribution, '' when there is none.
        files_key: key of its files in the manifest.
        gpu: it needs the build of the package for GPUs.
    """

    module: str
    class_name: str
    package: str
    requirement: str
    extra: str
    files_key: str
    gpu: bool = False


MAX_THREADS = 512
"""Of an engine: it starts as many as it is told to, and a machine does not survive a hundred thousand."""

_HERE = "mobileseg.runtime.engines"

# Fastest first, by single-thread CPU latency of the MobileSeg networks (docs/runtime.md): `auto` takes the
# first that is installed and that the folder has a file for.
ENGINES: dict[str, EngineInfo] = {
    "onnxruntime": EngineInfo(
        f"{_HERE}.onnxruntime", "OnnxRuntimeEngine", "onnxruntime", "onnxruntime>=1.17", "onnx", "onnx"
    ),
    "lite": EngineInfo(f"{_HERE}.lite", "LiteEngine", "paddlelite", "paddlelite==2.13rc0", "lite", "lite_x86"),
    "paddle": EngineInfo(f"{_HERE}.paddle", "PaddleEngine", "paddle", "paddlepaddle==2.6.2", "paddle", "paddle"),
    "ncnn": EngineInfo(f"{_HERE}.ncnn", "NcnnEngine", "ncnn", "ncnn", "ncnn", "ncnn"),
}

EXTRA_ENGINES: dict[str, EngineInfo] = {
    "torchscript": EngineInfo(
        f"{_HERE}.torchscript", "TorchScriptEngine", "torch", "torch", "torchscript", "torchscript"
    ),
    "tensorrt": EngineInfo(
        f"{_HERE}.tensorrt", "TensorRTEngine", "paddle", "paddlepaddle-gpu==2.6.2", "", "paddle", gpu=True
    ),
}
"""Engines that `auto` never takes, and that nothing but their own graphs needs."""


def available() -> dict[str, str]:
    """Engine name -> '' when its package is installed, else the reason why it cannot be used.

    Nothing is imported, so asking costs nothing and loads no engine.
    """
    return {name: _missing(info) for name, info in ENGINES.items()}


def unavailable(engine: str) -> str:
    """'' when an engine's package is installed, else the reason why it cannot be used; extra engines too."""
    return _missing((ENGINES | EXTRA_ENGINES)[engine])


def load(folder: str | os.PathLike[str], engine: str, *, threads: int = 1, **options: Any) -> Engine:
    """Load the graphs of an artefact.

    Args:
        folder: artefact.
        engine: 'onnxruntime', 'lite', 'paddle', 'ncnn', 'tensorrt', or 'auto' for the fastest one that is installed
            and that the folder has files for (never 'tensorrt').
        threads: CPU threads of one inference.
        options: of the engine alone, see its class.

    Raises:
        RuntimeEngineError: unknown engine, a folder that cannot be used, nothing fits, or an option that the engine
            does not have.
        DependencyError: the engine's package is not installed; the message says how to install it.
    """
    if not 1 <= threads <= MAX_THREADS:
        raise RuntimeEngineError(f"threads is {threads}, expected 1 to {MAX_THREADS}")
    manifest = Manifest.read(folder, graphs_only=True)
    name = choose(manifest) if engine == "auto" else engine
    known = ENGINES | EXTRA_ENGINES
    if name not in known:
        raise RuntimeEngineError(f"there is no engine '{name}'", remedy=f"choose one of auto, {', '.join(known)}")
    info = known[name]
    for graph in manifest.deployed:
        manifest.graph_files(graph, info.files_key)
    reason = _missing(info)
    if reason:
        others = fitting(manifest) if name in EXTRA_ENGINES else []
        raise DependencyError(
            reason, remedy=f"engines that run this folder here: {', '.join(others)}" if others else None
        )
    engine_class: type[Engine] = getattr(import_module(info.module), info.class_name)
    return engine_class(folder, manifest, threads, **options)


def fitting(manifest: Manifest) -> list[str]:
    """Installed engines that the folder has files for, fastest first."""
    files = manifest.targets()
    return [name for name, info in ENGINES.items() if info.files_key in files and not _missing(info)]


def choose(manifest: Manifest) -> str:
    """The fastest installed engine that the folder has files for.

    Raises:
        RuntimeEngineError: the folder's files need engines that are not installed.
    """
    found = fitting(manifest)
    if found:
        return found[0]
    files = manifest.targets()
    wanted = {name: info for name, info in ENGINES.items() if info.files_key in files}
    if not wanted:
        raise RuntimeEngineError(
            f"artefact '{manifest.name}' has no files for {', '.join(manifest.deployed)} that an engine of this "
            f"program runs (it has {', '.join(sorted(files)) or 'none'})",
            remedy="export it again with one of the targets onnx, lite_x86, ncnn, paddle",
        )
    raise DependencyError(
        f"artefact '{manifest.name}' needs one of the engines {', '.join(wanted)}, none is installed",
        remedy=_install(next(iter(wanted.values()))),
    )


def _missing(info: EngineInfo) -> str:
    if info.gpu:
        return _no_gpu_build()
    if find_spec(info.package) is not None:
        return ""
    note = " (wheels exist up to Python 3.10)" if info.package == "paddlelite" else ""
    return f"the package '{info.package}' is not installed{note}: {_install(info)}"


def _install(info: EngineInfo) -> str:
    return f"pip install '{info.requirement}', or the extra: pip install 'mobileseg[{info.extra}]'"


def _no_gpu_build() -> str:
    """Whether Paddle is a build for GPUs, by the name of its distribution; the engine looks at the rest."""
    if find_spec("paddle") is None:
        return "TensorRT needs a GPU build of Paddle, and Paddle is not installed"
    try:
        version("paddlepaddle-gpu")
    except PackageNotFoundError:
        try:
            found = f"paddlepaddle {version('paddlepaddle')}"
        except PackageNotFoundError:
            found = "another build"
        return f"TensorRT needs a GPU build of Paddle (paddlepaddle-gpu), and {found} is installed"
    return ""
