"""The manifest of an export: from options, network and files to :class:`mobileseg.runtime.manifest.Manifest`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from mobileseg import __version__
from mobileseg.export.conversion.ncnn import blob_names
from mobileseg.export.options import INPUT_NAME, ExportOptions
from mobileseg.files import sha256_of
from mobileseg.instance.options import DetectionOptions
from mobileseg.runtime.manifest import DEPLOY_FILE, Manifest
from mobileseg.runtime.manifest_json import JSON_FILE
from mobileseg.runtime.specs import GraphFiles, InputSpec, OutputSpec, ResizeSpec, VerificationRow

if TYPE_CHECKING:
    from mobileseg.export.golden import Reference
    from mobileseg.export.task import Task

GOLDEN_FILE = "golden.npz"

_PACKAGES = ("paddlepaddle", "paddlepaddle-gpu", "paddle2onnx", "onnx", "onnxslim", "paddlelite", "pnnx", "numpy")


@dataclass(frozen=True)
class Subject:
    """What the exported network is, beyond its weights.

    Attributes:
        name: for titles and tables.
        classes: class names, by index.
        palette: one RGB colour per class.
        ignore_index: label value that is no class.
        config_sha256: hash of the training configuration, '' when unknown.
        multiple: what sides must be multiples of in a graph of dynamic size.
        detection: of a network that detects, how; None means the defaults.
        category_ids: of a network that detects, the COCO category id of every class; None when there are none.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    ignore_index: int = 255
    config_sha256: str = ""
    multiple: int = 1
    detection: DetectionOptions | None = None
    category_ids: tuple[int, ...] | None = None


def file_names(target: str) -> list[str]:
    """Files of one target in the folder, relative to it."""
    return {
        "paddle": ["model.pdmodel", "model.pdiparams"],
        "onnx": ["model.onnx"],
        "lite_arm": ["model.arm.nb"],
        "lite_x86": ["model.x86.nb"],
        "ncnn": ["model.ncnn.param", "model.ncnn.bin"],
        "torchscript": ["model.pt"],
    }[target]


def build_manifest(
    folder: str | os.PathLike[str],
    task: Task,
    subject: Subject,
    options: ExportOptions,
    targets: Sequence[str],
    reference: Reference,
    verification: Sequence[VerificationRow] = (),
    notes: Mapping[str, str] | None = None,
) -> Manifest:
    """The manifest of a folder in which the graphs of ``targets`` and golden.npz already are."""
    folder = Path(folder)
    shared = task.outputs(options, reference, len(subject.classes))
    own = {target: task.outputs(options, reference, len(subject.classes), target) for target in targets}
    graphs = {target: _graph_files(folder, target, own[target], own[target] == shared) for target in targets}
    written_last = (DEPLOY_FILE, JSON_FILE)
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name not in written_last)
    return Manifest(
        name=subject.name,
        input=input_spec(options, subject.multiple),
        outputs=shared,
        classes=subject.classes,
        palette=subject.palette,
        graphs={"main": graphs},
        files={name: sha256_of(folder / name) for name in names},
        versions=_versions(),
        config_sha256=subject.config_sha256,
        ignore_index=subject.ignore_index,
        golden=GOLDEN_FILE if GOLDEN_FILE in names else None,
        verification=tuple(verification),
        notes=dict(notes) if notes else None,
        category_ids=subject.category_ids,
        **task.manifest_fields(options),
    )


def input_spec(options: ExportOptions, multiple: int = 1) -> InputSpec:
    """The manifest's input."""
    return InputSpec(
        name=INPUT_NAME,
        height=options.height,
        width=options.width,
        dynamic=options.dynamic,
        multiple=multiple if options.dynamic else 1,
        layout=options.layout,
        dtype=options.input_dtype,
        resize=ResizeSpec(mode="none" if options.dynamic else "stretch"),
        mean=options.mean,
        std=options.std,
        normalized_in_graph=options.normalize_in_graph,
    )


def _graph_files(folder: Path, target: str, outputs: Sequence[OutputSpec], shared: bool) -> GraphFiles:
    names = file_names(target)
    if target == "paddle":
        return GraphFiles(model=names[0], params=names[1])
    if target != "ncnn":
        return GraphFiles(model=names[0])
    blobs_in, blobs_out = blob_names(folder / names[0])
    return GraphFiles(
        param=names[0],
        bin=names[1],
        inputs={INPUT_NAME: blobs_in[0]},
        outputs=dict(zip((spec.name for spec in outputs), blobs_out, strict=True)),
        output_specs=None if shared else tuple(outputs),
    )


def _versions() -> dict[str, str]:
    found = {"mobileseg": __version__}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
