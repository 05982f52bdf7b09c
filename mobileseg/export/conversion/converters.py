"""One function for all targets: a traced Paddle program in, the target's files out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mobileseg.errors import DependencyError
from mobileseg.export.conversion import lite, ncnn, onnx, process, torchscript
from mobileseg.export.manifest import file_names
from mobileseg.export.options import ENGINES, PACKAGES
from mobileseg.names import MAIN
from mobileseg.runtime.engines.registry import unavailable

_KINDS = {
    "onnx": ("onnx",),
    "lite_arm": ("lite",),
    "lite_x86": ("lite",),
    "ncnn": ("onnx",),
    "torchscript": ("onnx", "torchscript"),
}
"""Target -> kinds of work in its conversion, see `mobileseg.export.conversion.process`."""

_INSTALL = {
    "paddle2onnx": "pip install paddle2onnx==1.3.1",
    "paddlelite": "pip install paddlelite==2.13rc0 (wheels exist up to Python 3.10)",
    "pnnx": "pip install --no-deps pnnx",
    "torch": "pip install 'mobileseg[torchscript]'",
    "onnx2torch": "pip install 'mobileseg[torchscript]'",
}


@dataclass(frozen=True)
class Graph:
    """A saved Paddle program.

    Attributes:
        model: ``.pdmodel``.
        params: ``.pdiparams``.
        shapes: shapes of its inputs to convert with, in their order: one set, or two for a dynamic shape.
        opset: ONNX operator set.
        name: of the graph, and of the files that are made of it.
    """

    model: Path
    params: Path
    shapes: tuple[tuple[tuple[int, ...], ...], ...]
    opset: int
    name: str = MAIN


def missing(target: str) -> str:
    """'' when the target's converter is installed, else what to install."""
    for package in PACKAGES[target]:
        if find_spec(package) is None:
            return f"'{package}' is not installed: {_INSTALL.get(package, f'pip install {package}')}"
    return ""


def require(target: str) -> None:
    """Raises DependencyError when the target's converter is not installed."""
    reason = missing(target)
    if reason:
        raise DependencyError(f"the export target {target} cannot be written: {reason}")


def prepare(targets: Sequence[str]) -> None:
    """Start the processes that convert and run these targets; they import while the caller does something else."""
    kinds = [kind for target in targets for kind in _KINDS.get(target, ())]
    engines = [ENGINES[target] for target in targets if target in ENGINES]
    process.prepare([*kinds, *(f"run {engine}" for engine in engines if not unavailable(engine))])


def convert(target: str, graph: Graph, folder: Path, work: Path) -> None:
    """Write the files of one target.

    Args:
        target: one of `TARGETS`.
        graph: for ncnn, the graph without the operators that NCNN lacks.
        folder: where the files go.
        work: for intermediate files.

    Raises:
        Failure: a converter refused or died.
    """
    _CONVERTERS[target](graph, [folder / name for name in file_names(target, graph.name)], work)


def _paddle(graph: Graph, out: Sequence[Path], _work: Path) -> None:
    for source, target in zip((graph.model, graph.params), out, strict=True):
        target.write_bytes(source.read_bytes())


def _onnx(graph: Graph, out: Sequence[Path], _work: Path) -> None:
    onnx.convert(graph.model, graph.params, out[0], graph.opset, blocked=True)


def _lite_arm(graph: Graph, out: Sequence[Path], _work: Path) -> None:
    lite.convert(graph.model, graph.params, out[0], "lite_arm")


def _lite_x86(graph: Graph, out: Sequence[Path], _work: Path) -> None:
    lite.convert(graph.model, graph.params, out[0], "lite_x86")


def _ncnn(graph: Graph, out: Sequence[Path], work: Path) -> None:
    between = work / f"{graph.name}.ncnn.onnx"
    onnx.convert(graph.model, graph.params, between, graph.opset)
    ncnn.convert(between, out[0], out[1], graph.shapes)


def _torchscript(graph: Graph, out: Sequence[Path], work: Path) -> None:
    between = work / f"{graph.name}.torchscript.onnx"
    onnx.convert(graph.model, graph.params, between, graph.opset)
    torchscript.convert(between, out[0], graph.shapes[0])


_CONVERTERS: dict[str, Callable[[Graph, Sequence[Path], Path], None]] = {
    "paddle": _paddle,
    "onnx": _onnx,
    "lite_arm": _lite_arm,
    "lite_x86": _lite_x86,
    "ncnn": _ncnn,
    "torchscript": _torchscript,
}
