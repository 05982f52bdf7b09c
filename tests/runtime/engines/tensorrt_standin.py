"""A stand-in for `paddle.inference` and `paddle` of a machine with a GPU: it records what it is told.

Its graphs are JSON files: names of inputs and outputs, and what is added to the sum of the inputs.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from mobileseg.files import sha256_of
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.specs import GraphFiles, GraphSpec, OutputSpec, TensorSpec
from tests.runtime.artefacts import artefact

KEYS = ("model", "params", "shapes")
COMPONENTS = {"backbone": ("x", "features"), "head": ("features", "logits")}


class Config:
    """Records the calls made on it."""

    def __init__(self, model: str, params: str) -> None:
        self.model, self.params = model, params
        self.calls: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        def call(*values: Any, **named: Any) -> None:
            self.calls[name] = named or values

        return call

    @property
    def cache(self) -> Path:
        return Path(self.calls["set_optim_cache_dir"][0])

    @property
    def engine(self) -> dict[str, Any]:
        return self.calls["enable_tensorrt_engine"]


class Predictor:
    """Adds; one that calibrates writes its table when it ends, as Paddle's does."""

    def __init__(self, config: Config, runs: list[str]) -> None:
        self.graph = json.loads(Path(config.model).read_text().splitlines()[0])
        self.config, self.runs = config, runs
        self.values: dict[str, np.ndarray] = {}

    def get_input_names(self) -> list[str]:
        return self.graph["inputs"]

    def get_output_names(self) -> list[str]:
        return self.graph["outputs"]

    def get_input_handle(self, name: str) -> Any:
        return SimpleNamespace(
            reshape=lambda shape: None, copy_from_cpu=lambda value: self.values.__setitem__(name, value)
        )

    def get_output_handle(self, name: str) -> Any:
        total = sum(self.values[name] for name in self.graph["inputs"]) + self.graph["add"]
        return SimpleNamespace(copy_to_cpu=lambda: total.astype(np.float32))

    def run(self) -> None:
        self.runs.append(Path(self.config.model).name)

    def calibrates(self) -> bool:
        return self.config.engine["use_calib_mode"] and not list(self.config.cache.glob("trt_calib_*"))

    def __del__(self) -> None:
        if self.values and self.calibrates():
            (self.config.cache / "trt_calib_1").write_text("table")


class Inference:
    """The module: `configs` and `runs` tell what was done."""

    PrecisionType = SimpleNamespace(Float32="Float32", Half="Half", Int8="Int8")

    def __init__(self) -> None:
        self.configs: list[Config] = []
        self.runs: list[str] = []
        self.compiled, self.found = (8, 5, 3), (8, 5, 3)

    def Config(self, model: str, params: str) -> Config:
        return Config(model, params)

    def create_predictor(self, config: Config) -> Predictor:
        self.configs.append(config)
        return Predictor(config, self.runs)

    def get_trt_compile_version(self) -> tuple[int, int, int]:
        return self.compiled

    def get_trt_runtime_version(self) -> tuple[int, int, int]:
        return self.found


def paddle(*, cuda: bool = True, gpus: int = 1, name: str = "Tesla T4") -> Any:
    """The package `paddle`, as far as the engine asks it."""
    device = SimpleNamespace(
        device_count=lambda: gpus,
        get_device_name=lambda device: name,
        get_device_capability=lambda device: (7, 5),
    )
    version = SimpleNamespace(commit="8ce0de58", cuda=lambda: "11.8")
    return SimpleNamespace(
        __spec__=object(),
        __version__="2.6.2",
        is_compiled_with_cuda=lambda: cuda,
        device=SimpleNamespace(cuda=device),
        version=version,
    )


def graph(folder: Path, stem: str, inputs: str, outputs: str, add: float, more: str = "") -> list[str]:
    """Write a graph that the stand-in runs; the names of its three files."""
    content = json.dumps({"inputs": [inputs], "outputs": [outputs], "add": add})
    (folder / f"{stem}.pdmodel").write_text(f"{content}\n{more}")
    (folder / f"{stem}.pdiparams").write_text(f"weights of {stem}")
    (folder / f"{stem}.shapes.pbtxt").write_text(f"shapes of {stem}")
    return [f"{stem}.pdmodel", f"{stem}.pdiparams", f"{stem}.shapes.pbtxt"]


def folder_with(folder: Path, *, dynamic: bool = False, shapes: bool = True, more: str = "") -> Manifest:
    """An exported model whose Paddle graph adds 3, as its components do (1, then 2)."""
    manifest = artefact(folder, dynamic=dynamic)
    model, params, collected = graph(folder, "model", "x", "logits", 3, more)
    files = GraphFiles(model=model, params=params, shapes=collected if shapes else None)
    outputs = {spec.name: spec for spec in manifest.outputs_of()}
    parts = {}
    for add, (name, ends) in enumerate(COMPONENTS.items(), 1):
        given = outputs.get(ends[1], OutputSpec(ends[1], "features", "float32", ()))
        component = GraphFiles(**dict(zip(KEYS, graph(folder, f"component.{name}", *ends, add), strict=True)))
        parts[name] = GraphSpec((TensorSpec(ends[0], "float32", ()),), (given,), {"paddle": component})
    if not shapes:
        (folder / collected).unlink()
    names = sorted(path.name for path in folder.iterdir() if path.name not in ("deploy.yaml", "deploy.json"))
    main = replace(manifest.graphs["main"], files={**manifest.graphs["main"].files, "paddle": files})
    hashes = {name: sha256_of(folder / name) for name in names}
    pipelines = {**manifest.pipelines, "components": tuple(parts)}
    made = replace(manifest, graphs={"main": main, **parts}, pipelines=pipelines, files=hashes)
    made.write(folder)
    return made
