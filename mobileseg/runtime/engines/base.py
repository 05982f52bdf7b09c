"""What every engine is to the rest of the suite: named arrays in, named arrays out."""

from __future__ import annotations

import abc
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.manifest import Manifest, OutputSpec, verified_path


class Engine(abc.ABC):
    """One graph of an artefact folder, loaded.

    Names, element types and shapes of outputs are compared with the manifest on every run, so a graph that
    is not the exported one cannot answer. State between calls belongs to the caller. Threads that call one engine
    take turns, because none of the engines below can run twice at once.

    Args:
        folder: artefact folder.
        manifest: its manifest.
        graph: name of the graph in the manifest.
        threads: CPU threads of one inference.
        options: those of `option_names`, which an engine has of its own.

    Raises:
        RuntimeEngineError: the folder has no such graph for this engine, a file fails its hash, the engine
            cannot load it, or has no such option.
    """

    name: ClassVar[str]
    files_key: ClassVar[str]
    """Key of the engine's files in ``graphs.<graph>`` of the manifest."""
    option_names: ClassVar[tuple[str, ...]] = ()
    """Options of this engine alone."""

    def __init__(
        self, folder: str | os.PathLike[str], manifest: Manifest, graph: str, threads: int, **options: Any
    ) -> None:
        unknown = sorted(set(options) - set(self.option_names))
        if unknown:
            raise RuntimeEngineError(
                f"the engine '{self.name}' has no option {', '.join(unknown)}",
                remedy=f"it has {', '.join(self.option_names)}" if self.option_names else "leave it out",
            )
        self.options = options
        self.folder = Path(folder)
        self.manifest = manifest
        self.graph = graph
        self.threads = threads
        self.files = manifest.graph_files(graph, self.files_key)
        self.outputs: tuple[OutputSpec, ...] = self.files.output_specs or manifest.outputs
        self._input_name = (self.files.inputs or {}).get(manifest.input.name, manifest.input.name)
        renamed = self.files.outputs or {}
        self._output_names = {spec.name: renamed.get(spec.name, spec.name) for spec in self.outputs}
        self._turn = threading.Lock()
        self._load()

    @abc.abstractmethod
    def _load(self) -> None:
        """Open the graph; called once."""

    @abc.abstractmethod
    def _run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Run the graph on a checked input; the result is keyed by the names of the manifest."""

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the graph once.

        Args:
            inputs: one array under the manifest's input name, with its element type and shape.

        Returns:
            Arrays of the caller's own, keyed and typed as `outputs` says.

        Raises:
            RuntimeEngineError: a wrong input name, type or size (the message names the size to pad to), an
                output that is not as the manifest says, or a failure inside the engine.
        """
        image = self._checked_input(inputs)
        with self._turn:
            results = self._run(image)
        for spec in self.outputs:
            self._check_output(spec, results[spec.name])
        return results

    def path_of(self, name: str | None) -> Path:
        """Path of one of this graph's files, after its hash has been checked."""
        if name is None:
            raise RuntimeEngineError(
                f"graphs.{self.graph}.{self.files_key} of {self.folder} lacks a file for {self.name}"
            )
        return verified_path(self.folder, self.manifest, name)

    def _checked_input(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        spec = self.manifest.input
        if set(inputs) != {spec.name}:
            raise RuntimeEngineError(f"{self.name}: inputs are {sorted(inputs)}, the graph takes ['{spec.name}']")
        image = inputs[spec.name]
        if image.dtype != np.dtype(spec.dtype):
            raise RuntimeEngineError(f"{self.name}: input '{spec.name}' is {image.dtype}, expected {spec.dtype}")
        channels_at = 1 if spec.layout == "NCHW" else 3
        if image.ndim != 4 or image.shape[0] != 1 or image.shape[channels_at] != 3:
            raise RuntimeEngineError(
                f"{self.name}: input '{spec.name}' has shape {list(image.shape)}, expected "
                f"{list(spec.shape())} ({spec.layout}, batch 1)"
            )
        height, width = image.shape[2:4] if spec.layout == "NCHW" else image.shape[1:3]
        self._check_size(height, width)
        return np.ascontiguousarray(image)

    def _check_size(self, height: int, width: int) -> None:
        spec = self.manifest.input
        if not spec.dynamic and (height, width) != (spec.height, spec.width):
            raise RuntimeEngineError(
                f"{self.name}: input is {height}x{width} (height x width), this graph takes "
                f"{spec.height}x{spec.width} only",
                remedy="let Segmenter resize the image, or export with a dynamic shape",
            )
        padded = spec.padded(height, width)
        if padded != (height, width):
            raise RuntimeEngineError(
                f"{self.name}: input is {height}x{width} (height x width), sides must be multiples of {spec.multiple}",
                remedy=f"pad the image to {padded[0]}x{padded[1]}, or let Segmenter do it",
            )

    def _check_output(self, spec: OutputSpec, result: np.ndarray) -> None:
        fits = result.ndim == len(spec.shape) and all(
            expected in (-1, actual) for expected, actual in zip(spec.shape, result.shape, strict=True)
        )
        if not fits or result.dtype != np.dtype(spec.dtype):
            raise RuntimeEngineError(
                f"{self.name}: output '{spec.name}' is {result.dtype} {list(result.shape)}, the manifest says "
                f"{spec.dtype} {list(spec.shape)}: the graph is not the one that was exported",
                remedy="export the folder again",
            )

        if spec.kind == "labels" and result.size:
            low, high = int(result.min()), int(result.max())
            if low < 0 or high >= self.manifest.num_classes:
                raise RuntimeEngineError(
                    f"{self.name}: output '{spec.name}' holds class indices from {low} to {high}, the manifest names "
                    f"{self.manifest.num_classes} classes (0 to {self.manifest.num_classes - 1})",
                    remedy="export the folder again",
                )

    def _require_names(self, inputs: list[str], outputs: list[str]) -> None:
        """Compare the names in the graph with those of the manifest."""
        missing = [name for name in self._output_names.values() if name not in outputs]
        if self._input_name not in inputs:
            raise RuntimeEngineError(
                f"{self.name}: graph '{self.graph}' has inputs {inputs}, the manifest says '{self._input_name}'"
            )
        if missing:
            raise RuntimeEngineError(
                f"{self.name}: graph '{self.graph}' has outputs {outputs}, the manifest says {', '.join(missing)}",
                remedy="export the folder again",
            )
