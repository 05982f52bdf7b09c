"""ONNX to NCNN, through the executable inside the pnnx wheel (which needs no PyTorch)."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from mobileseg.errors import DependencyError
from mobileseg.export.conversion.process import Failure, run_program
from mobileseg.folders import scratch_folder


def executable() -> Path:
    """Path of pnnx.

    Raises:
        DependencyError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("pnnx")  # finds the package without importing it (its import needs PyTorch)
    path = Path(spec.origin).parent / "pnnx" if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise DependencyError("pnnx is not installed", remedy="pip install --no-deps pnnx")
    return path


def convert(
    model: str | os.PathLike[str],
    param: str | os.PathLike[str],
    binary: str | os.PathLike[str],
    shapes: Sequence[Sequence[Sequence[int]]],
) -> None:
    """Convert an ONNX graph.

    Args:
        model: ``.onnx`` file.
        param: path of the ``.ncnn.param`` file to write.
        binary: path of the ``.ncnn.bin`` file to write.
        shapes: shapes of the inputs; a second set for a graph of dynamic shape.

    Raises:
        Failure: pnnx died, or left an operator that NCNN does not have.
    """
    with scratch_folder() as folder:
        source = folder / "graph.onnx"
        shutil.copyfile(model, source)
        keys = ("inputshape", "inputshape2")
        arguments = [f"{key}={_written(inputs)}" for key, inputs in zip(keys, shapes, strict=False)]
        # fp16=0: weights stay float32, so that the graph can be compared with the network.
        log = run_program([str(executable()), str(source), *arguments, "fp16=0", "optlevel=2"], "pnnx")
        made = source.with_name("graph.ncnn.param"), source.with_name("graph.ncnn.bin")
        if not all(path.is_file() for path in made):
            raise Failure("pnnx", "ended without writing an NCNN graph", "\n".join(log.splitlines()[-8:]), died=True)
        unknown = foreign_layers(made[0].read_text(encoding="utf-8"))
        if unknown:
            raise Failure("pnnx", f"left operators that NCNN does not have: {', '.join(unknown)}")
        shutil.move(made[0], param)
        shutil.move(made[1], binary)


def _written(shapes: Sequence[Sequence[int]]) -> str:
    """Shapes as pnnx takes them: ``[1,3,64,96]f32,[1,8]f32``."""
    return ",".join(f"[{','.join(map(str, shape))}]f32" for shape in shapes)


def foreign_layers(param: str) -> list[str]:
    """Layer types of an NCNN param file that are PyTorch's or ONNX's and not NCNN's."""
    found = []
    for line in param.splitlines()[2:]:
        kind = line.split(maxsplit=1)[0] if line.strip() else ""
        if kind in _NOT_IN_NCNN or "." in kind or "::" in kind:
            found.append(kind)
    return sorted(set(found))


_NOT_IN_NCNN = {"ArgMax", "TopK", "Gather", "ScatterND", "GatherND", "NonZero", "Where", "Range"}


def blob_names(param: str | os.PathLike[str]) -> tuple[list[str], list[str]]:
    """Names of the input and output blobs of a param file, in the order of the graph that was converted."""
    lines = [line.split() for line in Path(param).read_text(encoding="utf-8").splitlines()[2:] if line.strip()]
    inputs = [line[4] for line in lines if line[0] == "Input"]
    written, read = [], set()
    for line in lines:
        bottoms, tops = int(line[2]), int(line[3])
        read.update(line[4 : 4 + bottoms])
        written.extend(line[4 + bottoms : 4 + bottoms + tops])
    loose = [name for name in written if name not in read and name not in inputs]
    # pnnx numbers the outputs, and sorts layers by depth: out3 may stand before out0. What is loose besides them is a
    # part of a split that nothing reads.
    numbered = [name for name in loose if re.fullmatch(r"out\d+", name)]
    return inputs, sorted(numbered, key=lambda name: int(name[3:])) or loose
