"""The manifest of an artefact folder: what ``deploy.yaml`` says beside PaddleSeg's ``Deploy:`` block.

An artefact folder holds the graphs of one network for several engines, ``deploy.yaml`` and ``golden.npz``.
This module is the only reader and the only writer of the manifest; export fills a `Manifest` and calls
`Manifest.write`, every runtime calls `Manifest.read`. A graph file is hashed before an engine opens it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mobileseg.errors import RuntimeEngineError
from mobileseg.files import sha256_of, write_whole
from mobileseg.runtime.manifest_json import JSON_FILE, json_problems, write_json
from mobileseg.runtime.specs import (
    RAW_KINDS,
    SEMANTIC_KINDS,
    STRICT,
    SUPPRESSED_KINDS,
    ComponentSpec,
    DetectionSpec,
    GraphFiles,
    GraphSet,
    InputSpec,
    OutputSpec,
    ResizeSpec,
    VerificationRow,
)

FORMAT = 1
"""Version of the ``mobileseg:`` block that this code reads and writes."""

DEPLOY_FILE = "deploy.yaml"

__all__ = [
    "DEPLOY_FILE",
    "FORMAT",
    "ComponentSpec",
    "DetectionSpec",
    "GraphFiles",
    "GraphSet",
    "InputSpec",
    "Manifest",
    "OutputSpec",
    "ResizeSpec",
    "VerificationRow",
    "is_artefact",
    "twin_problems",
    "verified_path",
]


@dataclass(frozen=True, config=STRICT)
class Manifest:
    """Everything a runtime must know about an artefact folder.

    Attributes:
        name: name of the network, for titles and tables.
        input: the image input.
        outputs: what every graph returns unless its `GraphFiles.output_specs` says otherwise.
        classes: class names, by index.
        palette: one RGB colour per class, 0..255.
        graphs: graph name ('main') -> engine key -> files.
        files: file name -> sha256 (hex) of every file in the folder but deploy.yaml and deploy.json.
        task: 'semantic': one label per pixel; 'instance': objects with box, score, class and mask.
        detection: of an instance graph, how its outputs become instances.
        category_ids: of an instance graph, the COCO category id of every class, for results in COCO format; None
            when the training data had no such numbers (then 1, 2, ... are written).
        components: the Paddle graph in parts that run one after the other; empty unless it was exported so.
        versions: package -> version, of the exporting environment.
        config_sha256: hash of the resolved training configuration, '' when unknown.
        ignore_index: label value that is no class.
        golden: file with reference inputs and outputs, None when there is none.
        verification: result of the comparison made at export.
        least_equal: share of labels or detections, 0..1, that a graph must have in common with the reference; None
            for the exact rule. Graphs of lower precision have it: engines round differently.
        notes: free text by topic, for people.
        deploy: PaddleSeg's ``Deploy:`` block as written beside the manifest.
        format: version of this block.
    """

    name: str
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    graphs: dict[str, GraphSet]
    files: dict[str, str]
    task: Literal["semantic", "instance"] = "semantic"
    detection: DetectionSpec | None = None
    category_ids: tuple[int, ...] | None = None
    components: tuple[ComponentSpec, ...] = ()
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

    def graph_files(self, graph: str, engine_key: str) -> GraphFiles:
        """The files of one graph for one engine.

        Raises:
            RuntimeEngineError: the folder has no such graph, or not for that engine.
        """
        if graph not in self.graphs:
            raise RuntimeEngineError(f"artefact '{self.name}' has no graph '{graph}', it has {_names(self.graphs)}")
        found = self.graphs[graph].get(engine_key)
        if found is None:
            raise RuntimeEngineError(
                f"artefact '{self.name}' has no '{engine_key}' file for graph '{graph}', "
                f"it has {_names(self.graphs[graph])}",
                remedy="choose an engine that it has, or write the missing one with `mobileseg export`",
            )
        return found

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
    def read(cls, folder: str | os.PathLike[str]) -> Manifest:
        """Read and check the manifest of an artefact folder (hashes are checked by `verified_path`).

        Raises:
            RuntimeEngineError: no folder, no deploy.yaml, a folder of PaddleSeg that cannot be used, another format
                version, a field that is missing, unknown or of another type, or a contradiction.
        """
        path = Path(folder) / DEPLOY_FILE
        document = _load_yaml(path)
        block = document.get("mobileseg")
        if not isinstance(block, dict):
            if "Deploy" in document:
                return cls._of_paddleseg(path, document["Deploy"])
            raise RuntimeEngineError(f"{path} has no 'mobileseg' block", remedy="export the model again")
        version = block.get("format")
        if version != FORMAT:
            raise RuntimeEngineError(
                f"{path} is written in format {version!r}, this version of mobileseg reads format {FORMAT}",
                remedy="export the model again, or install the mobileseg that wrote it (see 'versions' in the file)",
            )
        try:
            manifest = TypeAdapter(cls).validate_python({**block, "deploy": document.get("Deploy")})
        except ValidationError as error:
            raise RuntimeEngineError(f"{path} cannot be used:\n{_validation_lines(error)}") from error
        _refuse(manifest.problems(), path)
        return manifest

    @classmethod
    def _of_paddleseg(cls, path: Path, deploy: Any) -> Manifest:
        """The manifest of a folder that PaddleSeg exported; it has no golden file."""
        from mobileseg.runtime.paddleseg_folder import described

        try:
            manifest = TypeAdapter(cls).validate_python(described(path.parent, deploy))
        except (ValidationError, TypeError, ValueError, AttributeError) as error:
            reason = _validation_lines(error) if isinstance(error, ValidationError) else str(error)
            raise RuntimeEngineError(f"{path} cannot be used: {reason}") from error
        _refuse(manifest.problems(), path)
        return manifest

    def problems(self) -> list[str]:
        """Contradictions inside the manifest; empty when it can be used."""
        found = []
        if not self.classes:
            found.append("classes is empty")
        if len(self.palette) != len(self.classes):
            found.append(f"palette has {len(self.palette)} colours for {len(self.classes)} classes")
        if any(not 0 <= value <= 255 for colour in self.palette for value in colour):
            found.append("palette has a value outside 0..255")
        found.extend(_input_problems(self.input))
        found.extend(self._task_problems())
        for graph, engines in self.graphs.items():
            for engine, entry in engines.items():
                if not entry.names():
                    found.append(f"graphs.{graph}.{engine} names no file")
                for name in entry.names():
                    found.extend(self._file_problems(f"graphs.{graph}.{engine}", name))
        for part in self.components:
            for name in part.names():
                found.extend(self._file_problems(f"components {part.name}", name))
        if self.golden is not None:
            found.extend(self._file_problems("golden", self.golden))
        return found + self._deploy_problems()

    def _task_problems(self) -> list[str]:
        """Outputs that do not make a result of the task, and what an instance graph needs besides."""
        found = []
        if not self.outputs:
            found.append("outputs is empty")
        given = {"outputs": self.outputs}
        for graph, engines in self.graphs.items():
            given |= {f"graphs.{graph}.{key}": file.output_specs for key, file in engines.items() if file.output_specs}
        for where, specs in given.items():
            kinds = {spec.kind for spec in specs}
            if self.task == "semantic" and kinds - set(SEMANTIC_KINDS):
                found.append(f"{where} has {_names(kinds)}, a semantic graph returns {' or '.join(SEMANTIC_KINDS)}")
            elif self.task == "instance" and kinds and kinds not in (set(RAW_KINDS), set(SUPPRESSED_KINDS)):
                found.append(
                    f"{where} has {_names(kinds)}, an instance graph returns {', '.join(RAW_KINDS)} or "
                    f"{', '.join(SUPPRESSED_KINDS)}"
                )
            elif "boxes" in kinds and self.detection is not None and self.detection.anchors is None:
                found.append(f"{where} has boxes relative to anchors, and detection.anchors names no file of anchors")
        if self.task == "semantic":
            extra = {"detection": self.detection, "category_ids": self.category_ids}
            found.extend(f"{key} belongs to an instance graph" for key, value in extra.items() if value is not None)
            return found
        if self.input.dynamic:
            found.append("input is dynamic, and the anchors of an instance graph belong to one size")
        if self.detection is None:
            found.append("task is instance and there is no block 'detection'")
        elif self.detection.anchors is not None:
            found.extend(self._file_problems("detection.anchors", self.detection.anchors))
        if self.category_ids is not None and len(self.category_ids) != len(self.classes):
            found.append(f"category_ids has {len(self.category_ids)} numbers for {len(self.classes)} classes")
        return found

    def _file_problems(self, where: str, name: str) -> list[str]:
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
            elif step.get("type") == "Resize" and not self.input.dynamic:
                seen, ours = step.get("target_size"), [self.input.width, self.input.height]
                if seen != ours:
                    found.append(f"Deploy.transforms Resize says {seen} (width, height), mobileseg.input {ours}")
            elif step.get("type") == "Normalize" and not self.input.normalized_in_graph:
                for key, values in (("mean", self.input.mean), ("std", self.input.std)):
                    theirs = step.get(key, [0.5, 0.5, 0.5])  # PaddleSeg's default
                    if theirs != list(values):
                        found.append(f"Deploy.transforms Normalize {key} is {theirs}, mobileseg.input {list(values)}")
        return found


def twin_problems(folder: str | os.PathLike[str], manifest: Manifest) -> list[str]:
    """Where the folder's deploy.json does not repeat its deploy.yaml; empty when it does."""
    return json_problems(Path(folder), manifest.to_dict(), DEPLOY_FILE)


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
        raise RuntimeEngineError(f"{path} is missing, {DEPLOY_FILE} lists it", remedy="copy the whole artefact folder")
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


def _load_yaml(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise RuntimeEngineError(f"there is no artefact folder {path.parent}")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RuntimeEngineError(
            f"{path.parent} is no artefact folder: it has no {DEPLOY_FILE}",
            remedy="write one with `mobileseg export`, or name the folder that export printed",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RuntimeEngineError(f"cannot read {path}: {error}") from error
    except yaml.YAMLError as error:
        raise RuntimeEngineError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise RuntimeEngineError(f"{path} is {type(document).__name__}, expected a mapping at the top")
    return document


def _input_problems(spec: InputSpec) -> list[str]:
    found = []
    if spec.height < 1 or spec.width < 1 or spec.multiple < 1:
        found.append("input height, width and multiple must be positive")
    elif spec.padded(spec.height, spec.width) != (spec.height, spec.width):
        found.append(f"input {spec.height}x{spec.width} is no multiple of {spec.multiple}")
    if any(value <= 0 for value in spec.std):
        found.append("input std has a value that is not positive")
    if spec.dtype == "uint8" and not spec.normalized_in_graph:
        found.append("input is uint8 but the graph does not normalise")
    return found


def _refuse(problems: list[str], path: Path) -> None:
    if problems:
        raise RuntimeEngineError("\n".join([f"{path} cannot be used:", *(f"  {problem}" for problem in problems)]))


def _validation_lines(error: ValidationError) -> str:
    return "\n".join(f"  mobileseg.{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())


def _names(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys)) or "none"


def _plain(value: Any) -> Any:
    """YAML-safe form: tuples become lists, keys without a value are dropped."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None and item not in ((), {}, [])}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
