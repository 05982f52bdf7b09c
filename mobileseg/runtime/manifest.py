"""The manifest of an artefact: what ``deploy.yaml`` says beside PaddleSeg's ``Deploy:`` block.

An artefact (the folder of an exported model) holds the graphs of one network for several engines, ``deploy.yaml`` and
``golden.npz``. This module is the only reader and the only writer of the manifest; export fills a `Manifest` and calls
`Manifest.write`, every runtime calls `Manifest.read`. A graph file is hashed before an engine opens it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mobileseg import tasks
from mobileseg.errors import ConfigError, RuntimeEngineError
from mobileseg.files import sha256_of, write_whole
from mobileseg.runtime.deploy_yaml import DEPLOY_FILE, read_document
from mobileseg.runtime.manifest_format1 import upgraded
from mobileseg.runtime.manifest_json import JSON_FILE, json_problems, write_json
from mobileseg.runtime.specs import STRICT, GraphFiles, GraphSpec, ImageSpec, OutputSpec, VerificationRow

FORMAT = 2
"""Version of the ``mobileseg:`` block that this code writes; it reads format 1 as well."""

COMPONENTS = "components"
"""The pipeline main in graphs per component, which only Paddle has: each can have its own precision."""


@dataclass(frozen=True, config=STRICT)
class Manifest:
    """Everything a runtime must know about an artefact.

    Attributes:
        name: name of the network, for titles and tables.
        task: key of the table of tasks; its module ``runtime`` knows how outputs become a result.
        image: how an image becomes the tensor that graphs take.
        graphs: graph name -> tensors and files.
        pipelines: name -> graphs that run one after the other for one frame; a network that sees one image at a time
            has 'main' alone.
        classes: class names, by index.
        palette: one RGB colour per class, 0..255.
        files: file name -> sha256 (hex) of every file in the folder but deploy.yaml and deploy.json.
        state: pipeline -> {tensor that later frames take: tensor of this frame that it is}, what a stream keeps.
        settings: section of the task, which it checks itself.
        versions: package -> version, of the exporting environment.
        config_sha256: hash of the resolved training configuration, '' when unknown.
        ignore_index: label value that is no class.
        golden: file with reference inputs and outputs, None when there is none.
        verification: result of the comparison made at export.
        least_equal: share of results (labels, detections), 0..1, that a graph must have in common with the reference;
            None for the exact rule. Graphs of lower precision have it: engines round differently.
        notes: free text by topic, for people.
        deploy: PaddleSeg's ``Deploy:`` block as written beside the manifest.
        format: version of this block.
    """

    name: str
    task: str
    image: ImageSpec
    graphs: dict[str, GraphSpec]
    pipelines: dict[str, tuple[str, ...]]
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    files: dict[str, str]
    state: dict[str, dict[str, str]] | None = None
    settings: dict[str, Any] | None = None
    versions: dict[str, str] | None = None
    config_sha256: str = ""
    ignore_index: int = 255
    golden: str | None = None
    verification: tuple[VerificationRow, ...] = ()
    least_equal: float | None = None
    notes: dict[str, str] | None = None
    deploy: dict[str, Any] | None = None
    format: int = FORMAT

    @property
    def num_classes(self) -> int:
        """Number of classes, without the ignored value."""
        return len(self.classes)

    @property
    def deployed(self) -> tuple[str, ...]:
        """Graphs of the pipelines that a stream runs: every engine needs files for all of them."""
        used = [graph for name, graphs in self.pipelines.items() if name != COMPONENTS for graph in graphs]
        return tuple(dict.fromkeys(used))

    def graph(self, name: str) -> GraphSpec:
        """One graph.

        Raises:
            RuntimeEngineError: there is none of that name.
        """
        if name not in self.graphs:
            raise RuntimeEngineError(f"artefact '{self.name}' has no graph '{name}', it has {_names(self.graphs)}")
        return self.graphs[name]

    def graph_files(self, graph: str, engine_key: str) -> GraphFiles:
        """The files of one graph for one engine.

        Raises:
            RuntimeEngineError: there is no such graph, or not for that engine.
        """
        files = self.graph(graph).files
        if engine_key not in files:
            raise RuntimeEngineError(
                f"artefact '{self.name}' has no '{engine_key}' file for graph '{graph}', it has {_names(files)}",
                remedy="choose an engine that it has, or write the missing one with `mobileseg export`",
            )
        return files[engine_key]

    def outputs_of(self, engine_key: str | None = None) -> tuple[OutputSpec, ...]:
        """Outputs of all deployed graphs, in the order in which they run; of one engine's files where it is named."""
        specs: list[OutputSpec] = []
        for name in self.deployed:
            graph = self.graphs[name]
            own = engine_key is not None and engine_key in graph.files
            specs.extend(graph.outputs_of(str(engine_key)) if own else graph.outputs)
        return tuple(specs)

    def targets(self) -> tuple[str, ...]:
        """Engine keys that have files for every deployed graph, in the order in which they are written."""
        found = [dict.fromkeys(self.graphs[name].files) for name in self.deployed]
        return tuple(key for key in found[0] if all(key in files for files in found)) if found else ()

    def identity(self) -> str:
        """What tells this artefact from others: the hashes of its graphs."""
        names = {name for graph in self.graphs.values() for files in graph.files.values() for name in files.names()}
        return " ".join(self.files.get(name, "") for name in sorted(names))

    def to_dict(self) -> dict[str, Any]:
        """The content of deploy.yaml: plain lists, dicts and scalars, nothing that is None or empty."""
        block = _plain({key: value for key, value in asdict(self).items() if key not in ("deploy", "format")})
        document: dict[str, Any] = {"Deploy": _plain(dict(self.deploy))} if self.deploy else {}
        document["mobileseg"] = {"format": self.format, **block}
        return document

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write deploy.json and deploy.yaml, replacing older ones only when the new ones are complete.

        Raises:
            RuntimeEngineError: the manifest contradicts itself, or the file cannot be written.
        """
        path = Path(folder) / DEPLOY_FILE
        _refuse(self.problems(), path)
        document = self.to_dict()
        text = yaml.safe_dump(document, sort_keys=False, width=110)
        try:
            write_json(path.with_name(JSON_FILE), document, text)
            write_whole(path, text)
        except OSError as error:
            raise RuntimeEngineError(f"cannot write {path}: {error.strerror or error}") from error
        return path

    @classmethod
    def read(cls, folder: str | os.PathLike[str], *, graphs_only: bool = False) -> Manifest:
        """Read and check the manifest of an artefact (hashes are checked by `verified_path`).

        Args:
            folder: artefact.
            graphs_only: leave out what only the task knows, for those who run graphs and do not ask what they mean.

        Raises:
            RuntimeEngineError: no folder, no deploy.yaml, a later format, a field
                that is missing, unknown or of another type, or a contradiction.
        """
        path = Path(folder) / DEPLOY_FILE
        document = read_document(folder)
        block = document.get("mobileseg")
        if not isinstance(block, dict):
            if "Deploy" in document:
                return cls._of_paddleseg(path, document["Deploy"])
            raise RuntimeEngineError(f"{path} has no 'mobileseg' block", remedy="export the model again")
        version = block.get("format")
        if version not in (1, FORMAT) or isinstance(version, bool):
            raise RuntimeEngineError(
                f"{path} is written in format {version!r}, this version of mobileseg reads formats 1 and {FORMAT}",
                remedy="export the model again, or install the mobileseg that wrote it (see 'versions' in the file)",
            )
        try:
            content = _in_this_format(block, path)
            manifest = TypeAdapter(cls).validate_python({**content, "deploy": document.get("Deploy")})
        except ValidationError as error:
            raise RuntimeEngineError(f"{path} cannot be used:\n{_validation_lines(error)}") from error
        _refuse(manifest.problems() or ([] if graphs_only else manifest.task_problems()), path)
        return manifest

    @classmethod
    def _of_paddleseg(cls, path: Path, deploy: Any) -> Manifest:
        """The manifest of a folder that PaddleSeg exported, which has its ``Deploy`` block alone."""
        from mobileseg.runtime.paddleseg_folder import described  # imports OpenCV, which our own folders do not need

        try:
            manifest = TypeAdapter(cls).validate_python(described(path.parent, deploy))
        except ValidationError as error:
            raise RuntimeEngineError(f"{path} cannot be used:\n{_validation_lines(error)}") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise RuntimeEngineError(f"{path} cannot be used: {error}") from error
        _refuse(manifest.problems() or manifest.task_problems(), path)
        return manifest

    def problems(self) -> list[str]:
        """Contradictions inside the manifest; empty when it can be used."""
        found = []
        if len(self.palette) != len(self.classes):
            found.append(f"palette has {len(self.palette)} colours for {len(self.classes)} classes")
        if any(not 0 <= value <= 255 for colour in self.palette for value in colour):
            found.append("palette has a value outside 0..255")
        if not 1 <= len(self.classes) <= 255:
            found.append(f"there are {len(self.classes)} classes, expected 1 to 255")
        found.extend(self.image.problems())
        found.extend(self._graph_problems())
        found.extend(self._pipeline_problems())
        if self.golden is not None:
            found.extend(self.file_problems("golden", self.golden))
        return found + self._deploy_problems()

    def task_problems(self) -> list[str]:
        """What the task finds wrong with outputs and settings of a manifest without other problems."""
        try:
            return list(tasks.stage(self.task, "runtime").problems(self))
        except ConfigError as error:
            return [f"task: {error.message}"]

    def _graph_problems(self) -> list[str]:
        found = []
        for graph, spec in self.graphs.items():
            if not spec.outputs:
                found.append(f"graphs.{graph} has no outputs")
            kinds = [(tensor.name, tensor.dtype) for tensor in spec.inputs]
            kinds += [(tensor.name, tensor.dtype) for tensor in spec.outputs]
            for name, dtype in kinds:
                if dtype not in _DTYPES:
                    found.append(f"graphs.{graph}: '{name}' is {dtype!r}, expected {_names(_DTYPES)}")
            for engine, entry in spec.files.items():
                if not entry.names():
                    found.append(f"graphs.{graph}.files.{engine} names no file")
                for name in entry.names():
                    found.extend(self.file_problems(f"graphs.{graph}.files.{engine}", name))
        return found

    def _pipeline_problems(self) -> list[str]:
        """Every input of every graph is the image, a tensor made before, or one that the stream keeps."""
        found = []
        if not set(self.pipelines) - {COMPONENTS}:
            found.append("pipelines is empty")
        kept = {name for tensors in (self.state or {}).values() for name in tensors}
        for pipeline, graphs in self.pipelines.items():
            known = {self.image.name, *kept}
            if not graphs:
                found.append(f"pipelines.{pipeline} names no graph")
            for graph in graphs:
                if graph not in self.graphs:
                    found.append(f"pipelines.{pipeline} names the graph '{graph}', there is {_names(self.graphs)}")
                    continue
                missing = [spec.name for spec in self.graphs[graph].inputs if spec.name not in known]
                if missing:
                    found.append(
                        f"pipelines.{pipeline}: the graph '{graph}' takes {', '.join(missing)}, which nothing before "
                        "it gives"
                    )
                known |= {spec.name for spec in self.graphs[graph].outputs}
            found.extend(
                f"state.{pipeline} keeps '{tensor}', which no graph of that pipeline gives"
                for tensor in (self.state or {}).get(pipeline, {}).values()
                if tensor not in known
            )
        found.extend(f"state names the pipeline '{name}'" for name in self.state or {} if name not in self.pipelines)
        return found

    def file_problems(self, where: str, name: str) -> list[str]:
        """Why a file that a field names cannot be one of this folder."""
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or "\\" in name:
            return [f"{where}: '{name}' lies outside the folder"]
        return [] if name in self.files else [f"{where}: '{name}' has no sha256 in 'files'"]

    def _deploy_problems(self) -> list[str]:
        """PaddleSeg's block repeats the preprocessing; a reader of either must see the same."""
        found = []
        transforms = (self.deploy or {}).get("transforms") or []
        for step in transforms if isinstance(transforms, list) else [transforms]:
            if not isinstance(step, dict):
                found.append(f"Deploy.transforms has {step!r}, expected a mapping with 'type'")
            elif step.get("type") == "Resize" and not self.image.dynamic:
                seen, ours = step.get("target_size"), [self.image.width, self.image.height]
                if seen != ours:
                    found.append(f"Deploy.transforms Resize says {seen} (width, height), mobileseg.image {ours}")
            elif step.get("type") == "Normalize" and not self.image.normalized_in_graph:
                for key, values in (("mean", self.image.mean), ("std", self.image.std)):
                    theirs = step.get(key, [0.5, 0.5, 0.5])  # PaddleSeg's default
                    if theirs != list(values):
                        found.append(f"Deploy.transforms Normalize {key} is {theirs}, mobileseg.image {list(values)}")
        return found


def twin_problems(folder: str | os.PathLike[str]) -> list[str]:
    """Where the folder's deploy.json does not repeat its deploy.yaml; empty when it does."""
    return json_problems(Path(folder), read_document(folder), DEPLOY_FILE)


def verified_path(folder: str | os.PathLike[str], manifest: Manifest, name: str) -> Path:
    """Path of a file of the folder, after comparing its content with the hash in the manifest.

    Raises:
        RuntimeEngineError: the file is missing, not listed, or not the one that was exported.
    """
    path = Path(folder) / name
    expected = manifest.files.get(name)
    if expected is None:
        raise RuntimeEngineError(f"{path} is not listed in {DEPLOY_FILE}, so its content cannot be trusted")
    if not path.is_file():
        raise RuntimeEngineError(f"{path} is missing, {DEPLOY_FILE} lists it", remedy="copy the whole folder")
    actual = sha256_of(path)
    if actual != expected:
        raise RuntimeEngineError(
            f"{path} has sha256 {actual[:12]}..., {DEPLOY_FILE} says {expected[:12]}...: the file was changed or "
            "copied incompletely",
            remedy="copy the folder again, or export it again",
        )
    return path


def is_artefact(folder: str | os.PathLike[str]) -> bool:
    """Whether the folder has a deploy.yaml (which may still be refused by `Manifest.read`)."""
    return (Path(folder) / DEPLOY_FILE).is_file()


def _in_this_format(block: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    if block["format"] == FORMAT:
        return block
    try:
        return upgraded(block)
    except (TypeError, KeyError, AttributeError) as error:
        raise RuntimeEngineError(f"{path} cannot be used: its block of format 1 is damaged ({error})") from error


def _refuse(problems: list[str], path: Path) -> None:
    if problems:
        raise RuntimeEngineError("\n".join([f"{path} cannot be used:", *(f"  {problem}" for problem in problems)]))


def _validation_lines(error: ValidationError) -> str:
    return "\n".join(f"  mobileseg.{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())


_DTYPES = ("float32", "int32", "int64", "uint8")


def _names(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys)) or "none"


def _plain(value: Any) -> Any:
    """YAML-safe form: tuples become lists, keys without a value are dropped."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None and item not in ((), {}, [])}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
