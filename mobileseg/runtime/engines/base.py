"""What every engine is to the rest of the suite: named arrays in, named arrays out."""

from __future__ import annotations

import abc
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mobileseg.errors import RuntimeEngineError
from mobileseg.runtime.manifest import COMPONENTS, Manifest, verified_path
from mobileseg.runtime.specs import GraphFiles, OutputSpec, TensorSpec


@dataclass(frozen=True)
class Port:
    """One graph as one engine sees it.

    Attributes:
        graph: name of the graph.
        files: of this engine.
        inputs: what the graph takes, in order.
        outputs: what this engine's file gives, in order.
        input_names: name of a tensor in the manifest -> name in the file.
        output_names: as `input_names`.
    """

    graph: str
    files: GraphFiles
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[OutputSpec, ...]
    input_names: Mapping[str, str]
    output_names: Mapping[str, str]

    @classmethod
    def of(cls, manifest: Manifest, graph: str, files_key: str) -> Port:
        """The port of a graph.

        Raises:
            RuntimeEngineError: there is no such graph, or not for that engine.
        """
        files, spec = manifest.graph_files(graph, files_key), manifest.graph(graph)
        outputs = spec.outputs_of(files_key)
        renamed_in, renamed_out = files.inputs or {}, files.outputs or {}
        return cls(
            graph,
            files,
            spec.inputs,
            outputs,
            {tensor.name: renamed_in.get(tensor.name, tensor.name) for tensor in spec.inputs},
            {tensor.name: renamed_out.get(tensor.name, tensor.name) for tensor in outputs},
        )

    def require_names(self, engine: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Compare the names in the graph with those of the manifest.

        Raises:
            RuntimeEngineError: one of the manifest's is not in the graph.
        """
        for what, wanted, found in (
            ("inputs", self.input_names.values(), inputs),
            ("outputs", self.output_names.values(), outputs),
        ):
            missing = [name for name in wanted if name not in found]
            if missing:
                raise RuntimeEngineError(
                    f"{engine}: graph '{self.graph}' has {what} {list(found)}, the manifest says {', '.join(missing)}",
                    remedy="export the folder again",
                )


class Engine(abc.ABC):
    """The graphs of an artefact, loaded.

    Names, element types and shapes of outputs are compared with the manifest on every run, so a graph that is not the
    exported one cannot answer. State between calls belongs to the caller. Calls of one graph from several threads wait
    for each other; different graphs run beside each other.

    Args:
        folder: artefact.
        manifest: its manifest.
        threads: CPU threads of one inference.
        options: those of `option_names`, which an engine has of its own.

    Attributes:
        pipelines: name -> graphs that this engine runs for it.

    Raises:
        RuntimeEngineError: a graph has no files for this engine, a file fails its hash, the engine cannot load it, or
            has no such option.
    """

    name: ClassVar[str]
    files_key: ClassVar[str]
    """Key of the engine's files in ``graphs.<graph>.files`` of the manifest."""
    option_names: ClassVar[tuple[str, ...]] = ()
    """Options of this engine alone."""

    def __init__(self, folder: str | os.PathLike[str], manifest: Manifest, threads: int, **options: Any) -> None:
        unknown = sorted(set(options) - set(self.option_names))
        if unknown:
            raise RuntimeEngineError(
                f"the engine '{self.name}' has no option {', '.join(unknown)}",
                remedy=f"it has {', '.join(self.option_names)}" if self.option_names else "leave it out",
            )
        self.options = options
        self.folder = Path(folder)
        self.manifest = manifest
        self.threads = threads
        self.pipelines: dict[str, tuple[str, ...]] = self._pipelines()
        graphs = dict.fromkeys(graph for names in self.pipelines.values() for graph in names)
        self._ports = {graph: Port.of(manifest, graph, self.files_key) for graph in graphs}
        self._locks = {graph: threading.Lock() for graph in graphs}
        self._sessions = self._open_all(list(self._ports.values()))

    def _pipelines(self) -> dict[str, tuple[str, ...]]:
        return {name: graphs for name, graphs in self.manifest.pipelines.items() if name != COMPONENTS}

    def _open_all(self, ports: Sequence[Port]) -> dict[str, Any]:
        """Open every graph; called once."""
        return {port.graph: self._open(port) for port in ports}

    @abc.abstractmethod
    def _open(self, port: Port) -> Any:
        """Open a graph; what is returned is given to `_run`."""

    @abc.abstractmethod
    def _run(self, session: Any, port: Port, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run a graph on checked inputs; inputs and result are keyed by the names of the manifest."""

    def inputs(self, graph: str) -> tuple[TensorSpec, ...]:
        """What one of the loaded graphs takes."""
        return self._port(graph).inputs

    def outputs(self, graph: str) -> tuple[OutputSpec, ...]:
        """What one of the loaded graphs gives on this engine."""
        return self._port(graph).outputs

    @property
    def results(self) -> tuple[OutputSpec, ...]:
        """What the graphs of all pipelines give on this engine, in the order in which they run."""
        return tuple(spec for port in self._ports.values() for spec in port.outputs)

    def run(self, graph: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run one graph once.

        Args:
            graph: its name.
            inputs: one array per input of the graph, under the manifest's names, with their types and shapes.

        Returns:
            Arrays of the caller's own, keyed and typed as `outputs` says.

        Raises:
            RuntimeEngineError: a wrong graph, input name, type or size (the message names the size to pad to), an
                output that is not as the manifest says, or a failure inside the engine.
        """
        port = self._port(graph)
        checked = self._checked_inputs(port, inputs)
        with self._locks[graph]:
            results = self._run(self._sessions[graph], port, checked)
        for spec in port.outputs:
            self._check_output(spec, results[spec.name])
        return results

    def path_of(self, port: Port, name: str | None) -> Path:
        """Path of one of a graph's files, after its hash has been checked."""
        if name is None:
            raise RuntimeEngineError(
                f"graphs.{port.graph}.files.{self.files_key} of {self.folder} lacks a file for {self.name}"
            )
        return verified_path(self.folder, self.manifest, name)

    def _port(self, graph: str) -> Port:
        if graph not in self._ports:
            raise RuntimeEngineError(
                f"{self.name}: there is no graph '{graph}', '{self.manifest.name}' runs {', '.join(self._ports)}"
            )
        return self._ports[graph]

    def _checked_inputs(self, port: Port, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [spec.name for spec in port.inputs]
        if set(inputs) != set(names):
            raise RuntimeEngineError(
                f"{self.name}: inputs are {sorted(inputs)}, the graph '{port.graph}' takes {sorted(names)}"
            )
        return {spec.name: self._checked(spec, inputs[spec.name]) for spec in port.inputs}

    def _checked(self, spec: TensorSpec, value: np.ndarray) -> np.ndarray:
        if value.dtype != np.dtype(spec.dtype):
            raise RuntimeEngineError(f"{self.name}: input '{spec.name}' is {value.dtype}, expected {spec.dtype}")
        if spec.name == self.manifest.image.name:
            self._check_image(value)
        elif not _fits(value.shape, spec.shape):
            raise RuntimeEngineError(
                f"{self.name}: input '{spec.name}' has shape {list(value.shape)}, expected {list(spec.shape)}"
            )
        return np.ascontiguousarray(value)

    def _check_image(self, image: np.ndarray) -> None:
        spec = self.manifest.image
        channels_at = 1 if spec.layout == "NCHW" else 3
        if image.ndim != 4 or image.shape[0] != 1 or image.shape[channels_at] != spec.channels:
            raise RuntimeEngineError(
                f"{self.name}: input '{spec.name}' has shape {list(image.shape)}, expected "
                f"{list(spec.shape())} ({spec.layout}, batch 1)"
            )
        height, width = image.shape[2:4] if spec.layout == "NCHW" else image.shape[1:3]
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
        if not _fits(result.shape, spec.shape) or result.dtype != np.dtype(spec.dtype):
            raise RuntimeEngineError(
                f"{self.name}: output '{spec.name}' is {result.dtype} {list(result.shape)}, the manifest says "
                f"{spec.dtype} {list(spec.shape)}: the graph is not the one that was exported",
                remedy="export the folder again",
            )


def _fits(shape: Sequence[int], expected: Sequence[int]) -> bool:
    """Whether a shape is as expected; -1 is any length, and no axes at all are an unknown shape."""
    if not expected:
        return True
    return len(shape) == len(expected) and all(
        wanted in (-1, length) for wanted, length in zip(expected, shape, strict=True)
    )
