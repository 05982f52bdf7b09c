"""Finding the operator at which a conversion fails, or from which on a graph differs.

Converters die without a word and a wrong number says nothing about its origin. Both are found by bisection
over prefixes of the program: the shortest prefix that still fails ends with the culprit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mobileseg.errors import MobileSegError
from mobileseg.export.conversion import converters
from mobileseg.export.conversion.pdmodel import Operator, Program
from mobileseg.export.conversion.process import Failure, run_task
from mobileseg.export.golden import Frame, Reference
from mobileseg.export.manifest import file_names
from mobileseg.export.options import ENGINES
from mobileseg.export.tolerance import LIMIT
from mobileseg.export.verify import run_engine
from mobileseg.files import sha256_of
from mobileseg.folders import scratch_folder
from mobileseg.names import IMAGE, MAIN
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.specs import GraphFiles, GraphSpec, ImageSpec, OutputSpec

_DTYPES = {2: "int32", 3: "int64", 5: "float32", 20: "uint8", 21: "int8", 0: "bool"}
_CONVERSION_TIMEOUT = 120.0


def locate_failure(target: str, graph: converters.Graph) -> Operator | None:
    """The operator with which the conversion of a program starts to fail; None when no prefix fails."""

    def fails(prefix: Program, work: Path) -> bool:
        try:
            converters.convert(target, _saved(prefix, graph, work), work, work)
        except Failure:
            return True
        return False

    return _bisect(Program.read(graph.model), fails)


def locate_difference(target: str, graph: converters.Graph, reference: Reference, work: Path) -> Operator | None:
    """The first operator whose result an engine computes otherwise than plain Paddle; None when none is found.

    Args:
        target: key of the graph.
        graph: the program that was converted.
        reference: gives the input.
        work: for intermediate files.
    """
    image = reference.items[0].input
    if target == "ncnn":
        image = image.astype(np.float32)

    def differs(prefix: Program, folder: Path) -> bool:
        saved = _saved(prefix, graph, folder)
        expected = run_natively(saved, image, folder)
        try:
            converters.convert(target, saved, folder, folder)
            answers = _run_prefix(target, prefix, folder, image)
        except (Failure, MobileSegError):
            return True
        return any(not _close(answers[name], expected[name]) for name in answers)

    return _bisect(Program.read(graph.model), differs)


def run_natively(graph: converters.Graph, image: np.ndarray, work: Path) -> dict[str, np.ndarray]:
    """All outputs of a program, by Paddle's plain kernels without any optimisation.

    Raises:
        Failure: Paddle refused the program or died.
    """
    fed, answered = work / "native-input.npz", work / "native-output.npz"
    np.savez(fed, **{IMAGE: image})
    run_task(
        "native", {"model": str(graph.model), "params": str(graph.params), "inputs": str(fed), "outputs": str(answered)}
    )
    with np.load(answered, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _bisect(program: Program, bad: Callable[[Program, Path], bool]) -> Operator | None:
    operators = [op for op in program.operators() if op.type != "fetch"]

    def is_bad(count: int) -> bool:
        with scratch_folder() as folder:
            return bad(program.prefix(count), folder)

    low, high = 1, len(operators)  # the feed alone is fine; everything together must fail
    if high < 2 or not is_bad(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if is_bad(middle):
            high = middle
        else:
            low = middle
    return operators[high - 1]


def _saved(prefix: Program, graph: converters.Graph, folder: Path) -> converters.Graph:
    model = folder / "prefix.pdmodel"
    prefix.write(model)
    return converters.Graph(model, graph.params, graph.shapes, graph.opset)


def _run_prefix(target: str, prefix: Program, folder: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    """Run a converted prefix through the runtime's own engine, with a manifest that names its loose ends."""
    from mobileseg.export.conversion.ncnn import blob_names

    names = file_names(target)
    variables = {var.name: var.type.lod_tensor.tensor for var in prefix.block.vars}
    specs = tuple(
        OutputSpec(name, "logits", _DTYPES[variables[name].data_type], tuple(variables[name].dims), "scores-bilinear")
        for name in prefix.outputs()
    )
    inputs: dict[str, str] | None = None
    outputs: dict[str, str] | None = None
    if target == "ncnn":
        blobs_in, blobs_out = blob_names(folder / names[0])
        if len(blobs_out) != len(specs):
            return {}  # pnnx merged loose ends: this prefix tells nothing
        inputs = {IMAGE: blobs_in[0]}
        outputs = {spec.name: blob for spec, blob in zip(specs, blobs_out, strict=True)}
    keys = ("param", "bin") if target == "ncnn" else ("model", "params")
    named: dict[str, Any] = dict(zip(keys, names, strict=False))
    files = GraphFiles(**named, inputs=inputs, outputs=outputs, output_specs=specs)
    spec = _image_spec(image)
    Manifest(
        name="prefix",
        task="none",  # an engine runs graphs, whatever they are for
        image=spec,
        graphs={MAIN: GraphSpec((spec.tensor(),), specs, {target: files})},
        pipelines={MAIN: (MAIN,)},
        classes=("class",),
        palette=((0, 0, 0),),
        files={name: sha256_of(folder / name) for name in names},
    ).write(folder)
    return run_engine(folder, ENGINES[target], [Frame(MAIN, 0, image)])[0][0]


def _image_spec(image: np.ndarray) -> ImageSpec:
    nhwc = image.shape[3] == 3 and image.shape[1] != 3
    height, width = image.shape[1:3] if nhwc else image.shape[2:]
    return ImageSpec(
        IMAGE,
        height,
        width,
        layout="NHWC" if nhwc else "NCHW",
        dtype="uint8" if image.dtype == np.uint8 else "float32",
        normalized_in_graph=True,
    )


def _close(value: np.ndarray, expected: np.ndarray) -> bool:
    if value.shape != expected.shape:
        return False
    if not np.issubdtype(expected.dtype, np.floating):
        return bool(np.array_equal(value, expected))
    scale = float(expected.std()) or 1.0
    return bool(np.abs(value.astype(np.float64) - expected).max(initial=0) <= LIMIT * scale)
