"""The manifest of an export: from options, network and files to :class:`mobileseg.runtime.artefact.Manifest`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from mobileseg import __version__
from mobileseg.export.ncnn import blob_names
from mobileseg.export.options import INPUT_NAME, ExportOptions
from mobileseg.files import sha256_of
from mobileseg.runtime.artefact import DEPLOY_FILE, Manifest
from mobileseg.runtime.manifest_json import JSON_FILE
from mobileseg.runtime.specs import GraphFiles, InputSpec, OutputSpec, ResizeSpec, VerificationRow

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
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    ignore_index: int = 255
    config_sha256: str = ""
    multiple: int = 1


def file_names(target: str) -> list[str]:
    """Files of one target in the folder, relative to it."""
    return {
        "paddle": ["model.pdmodel", "model.pdiparams"],
        "onnx": ["model.onnx"],
        "lite_arm": ["model.arm.nb"],
        "lite_x86": ["model.x86.nb"],
        "ncnn": ["model.ncnn.param", "model.ncnn.bin"],
    }[target]


def build_manifest(
    folder: str | os.PathLike[str],
    subject: Subject,
    options: ExportOptions,
    targets: Sequence[str],
    verification: Sequence[VerificationRow] = (),
    notes: Mapping[str, str] | None = None,
) -> Manifest:
    """The manifest of a folder in which the graphs of ``targets`` and golden.npz already are."""
    folder = Path(folder)
    graphs = {target: _graph_files(folder, target, subject, options) for target in targets}
    written_last = (DEPLOY_FILE, JSON_FILE)
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name not in written_last)
    return Manifest(
        name=subject.name,
        input=input_spec(options, subject.multiple),
        outputs=(output_spec(options, len(subject.classes)),),
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
        deploy=deploy_block(options),
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


def output_spec(options: ExportOptions, num_classes: int) -> OutputSpec:
    """The manifest's output."""
    height, width = (-1, -1) if options.dynamic else options.output_size or (options.height, options.width)
    if options.output_op == "argmax":
        return OutputSpec("labels", "labels", "int32", (1, height, width), "labels-nearest")
    kind = "probabilities" if options.output_op == "softmax" else "logits"
    return OutputSpec(kind, kind, "float32", (1, num_classes, height, width), "scores-bilinear")  # type: ignore[arg-type]


def deploy_block(options: ExportOptions) -> dict[str, Any]:
    """PaddleSeg's ``Deploy:`` block.

    PaddleSeg's script feeds float32 [1,3,H,W] and normalises by itself, so the block leaves Normalize out
    when the graph normalises; a uint8 or NHWC graph is beyond what that script can feed.
    """
    transforms: list[dict[str, Any]] = []
    if not options.dynamic:
        transforms.append({"type": "Resize", "target_size": [options.width, options.height]})
    if not options.normalize_in_graph:
        transforms.append({"type": "Normalize", "mean": list(options.mean), "std": list(options.std)})
    model, params = file_names("paddle")
    return {
        "model": model,
        "params": params,
        "transforms": transforms,
        "input_shape": options.input_shape(open_size=options.dynamic),
        "output_op": options.output_op,
        "output_dtype": "int32" if options.output_op == "argmax" else "float32",
    }


def _graph_files(folder: Path, target: str, subject: Subject, options: ExportOptions) -> GraphFiles:
    names = file_names(target)
    if target == "paddle":
        return GraphFiles(model=names[0], params=names[1])
    if target != "ncnn":
        return GraphFiles(model=names[0])
    inputs, outputs = blob_names(folder / names[0])
    spec = output_spec(ncnn_options(options), len(subject.classes))
    if options.output_op == "argmax":
        spec = replace(spec, resize="labels-nearest")  # the same answer as that of the graphs that end in labels
    return GraphFiles(
        param=names[0],
        bin=names[1],
        inputs={INPUT_NAME: inputs[0]},
        outputs={spec.name: outputs[0]},
        output_specs=(spec,) if options.output_op == "argmax" else None,
    )


def ncnn_options(options: ExportOptions) -> ExportOptions:
    """The form that NCNN gets: no argmax over channels exists there, and its tensors are float32."""
    op = "none" if options.output_op == "argmax" else options.output_op
    return replace(options, output_op=op, input_dtype="float32")


def _versions() -> dict[str, str]:
    found = {"mobileseg": __version__}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
