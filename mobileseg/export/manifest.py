"""The manifest of an export: from options, network and files to :class:`mobileseg.runtime.manifest.Manifest`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobileseg import __version__
from mobileseg.export.conversion.ncnn import blob_names
from mobileseg.export.options import ExportOptions
from mobileseg.files import sha256_of
from mobileseg.names import IMAGE, MAIN
from mobileseg.runtime.deploy_yaml import DEPLOY_FILE
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.manifest_json import JSON_FILE
from mobileseg.runtime.specs import (
    GraphFiles,
    GraphSpec,
    ImageSpec,
    OutputSpec,
    ResizeSpec,
    TensorSpec,
    VerificationRow,
)

if TYPE_CHECKING:
    from mobileseg.export.golden import Reference
    from mobileseg.export.task import ExportTask
    from mobileseg.nn.graphs import Deployment, NetworkGraph

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
        settings: of the task (`mobileseg.export.task.ExportStage.settings_from`); None means the defaults.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    ignore_index: int = 255
    config_sha256: str = ""
    multiple: int = 1
    settings: Mapping[str, Any] | None = None


_SUFFIXES = {
    "paddle": ("pdmodel", "pdiparams"),
    "onnx": ("onnx",),
    "lite_arm": ("arm.nb",),
    "lite_x86": ("x86.nb",),
    "ncnn": ("ncnn.param", "ncnn.bin"),
    "torchscript": ("pt",),
}


def file_names(target: str, graph: str = MAIN) -> list[str]:
    """Files of one graph for one target in the folder, relative to it."""
    stem = "model" if graph == MAIN else graph
    return [f"{stem}.{suffix}" for suffix in _SUFFIXES[target]]


def build_manifest(
    folder: str | os.PathLike[str],
    task: ExportTask,
    deployed: Deployment,
    subject: Subject,
    options: ExportOptions,
    targets: Sequence[str],
    reference: Reference,
    verification: Sequence[VerificationRow] = (),
    notes: Mapping[str, str] | None = None,
) -> Manifest:
    """The manifest of a folder in which the graphs of ``targets`` and golden.npz already are."""
    folder = Path(folder)
    image = image_spec(options, subject.multiple)
    written_last = (DEPLOY_FILE, JSON_FILE)
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name not in written_last)
    return Manifest(
        name=subject.name,
        task=task.name,
        image=image,
        graphs={
            graph.name: _graph_spec(folder, task, graph, image, options, targets, reference, len(subject.classes))
            for graph in deployed.graphs
        },
        pipelines=dict(deployed.pipelines),
        state={name: dict(kept) for name, kept in deployed.state.items()} or None,
        classes=subject.classes,
        palette=subject.palette,
        settings=task.settings(),
        files={name: sha256_of(folder / name) for name in names},
        versions=_versions(),
        config_sha256=subject.config_sha256,
        ignore_index=subject.ignore_index,
        golden=GOLDEN_FILE if GOLDEN_FILE in names else None,
        verification=tuple(verification),
        notes=dict(notes) if notes else None,
        deploy=task.deploy_block(options),
    )


def _graph_spec(
    folder: Path,
    task: ExportTask,
    graph: NetworkGraph,
    image: ImageSpec,
    options: ExportOptions,
    targets: Sequence[str],
    reference: Reference,
    classes: int,
) -> GraphSpec:
    outputs = task.outputs(graph.name, options, reference, classes)
    inputs = tuple(
        image.tensor() if spec.name == image.name else TensorSpec(spec.name, spec.dtype, spec.shape)
        for spec in graph.inputs
    )
    files = {}
    for target in targets:
        own = task.outputs(graph.name, options, reference, classes, target)
        files[target] = _graph_files(folder, target, graph, own, own == outputs)
    return GraphSpec(inputs, outputs, files)


def image_spec(options: ExportOptions, multiple: int = 1) -> ImageSpec:
    """The image of the manifest."""
    return ImageSpec(
        name=IMAGE,
        height=options.height,
        width=options.width,
        dynamic=options.dynamic,
        multiple=multiple if options.dynamic else 1,
        channels=options.channels,
        range=options.pixel_range,
        layout=options.layout,
        dtype=options.input_dtype,
        resize=ResizeSpec(mode="none" if options.dynamic else "stretch"),
        scale=options.scale,
        mean=options.mean,
        std=options.std,
        normalized_in_graph=options.normalize_in_graph,
    )


def _graph_files(
    folder: Path, target: str, graph: NetworkGraph, outputs: Sequence[OutputSpec], shared: bool
) -> GraphFiles:
    names = file_names(target, graph.name)
    if target == "paddle":
        return GraphFiles(model=names[0], params=names[1])
    if target != "ncnn":
        return GraphFiles(model=names[0], output_specs=None if shared else tuple(outputs))
    blobs_in, blobs_out = blob_names(folder / names[0])
    return GraphFiles(
        param=names[0],
        bin=names[1],
        inputs=dict(zip((spec.name for spec in graph.inputs), blobs_in, strict=True)),
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
