"""Reading and editing a saved Paddle program (``.pdmodel``) as the protobuf that it is.

Paddle's own loader would rewrite what it reads; the export passes need the file operator by operator:
which operators it holds, which shapes are open, what an operator's output is called, and prefixes of it.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mobileseg.errors import ExportError

FLOAT = 1  # AttrType.FLOAT of Paddle's framework.proto
_TENSOR = 7  # VarType.LOD_TENSOR; scopes of control flow are variables too
_FIELDS = {0: "i", 1: "f", 2: "s", 3: "ints", 4: "floats", 5: "strings", 6: "b", 7: "bools", 9: "l", 11: "longs"}
_COUNTING = {"multiclass_nms3"}  # as many results as are found
_UNUSED_OUTPUTS = {"XShape", "MeanOut", "VarianceOut", "SavedMean", "SavedVariance", "ReserveSpace", "Mask"}


@dataclass(frozen=True)
class OperatorOrigin:
    """Where an operator comes from.

    Attributes:
        layer: dotted path of the innermost layer, '' for the network's own forward.
        line: 'file:line' of the Python statement.
    """

    layer: str = ""
    line: str = ""


@dataclass(frozen=True)
class Operator:
    """One operator of a program.

    Attributes:
        index: position in the program, feed and fetch included.
        type: Paddle's operator name, for example 'conv2d'.
        inputs: parameter of the operator -> variable names.
        outputs: as `inputs`.
        attrs: attribute values, without the call stack.
        origin: layer and Python line that made it, empty when unknown.
    """

    index: int
    type: str
    inputs: dict[str, tuple[str, ...]]
    outputs: dict[str, tuple[str, ...]]
    attrs: dict[str, Any] = field(default_factory=dict)
    origin: OperatorOrigin = OperatorOrigin()

    def results(self) -> list[str]:
        """Names of the outputs that carry data."""
        return [name for key, names in self.outputs.items() if key not in _UNUSED_OUTPUTS for name in names]

    def __str__(self) -> str:
        layer = f" of layer '{self.origin.layer}'" if self.origin.layer else ""
        line = f" ({self.origin.line})" if self.origin.line else ""
        return f"operator '{self.type}'{layer}{line}"


class Program:
    """A ``.pdmodel`` file in memory.

    Args:
        desc: Paddle's ProgramDesc message.
        origins: output variable -> origin of the operator that writes it.
    """

    def __init__(self, desc: Any, origins: Mapping[str, OperatorOrigin] | None = None) -> None:
        self.desc = desc
        self.origins = dict(origins or {})

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Program:
        """Read a program, and the origins beside it when export left them (``<name>.origins.json``).

        Raises:
            ExportError: the file is not a program of Paddle 2 (Paddle 3 writes JSON by default).
        """
        from google.protobuf.message import DecodeError
        from paddle.base.proto import framework_pb2

        desc = framework_pb2.ProgramDesc()
        try:
            desc.ParseFromString(Path(path).read_bytes())
        except DecodeError as error:
            raise ExportError(
                f"{path} is not a Paddle program: {error}",
                remedy="export with paddlepaddle 2.6.2; Paddle 3 needs FLAGS_enable_pir_api=0 to write .pdmodel",
            ) from error
        origins_file = origins_path(path)
        origins = {}
        if origins_file.is_file():
            origins = {name: OperatorOrigin(**item) for name, item in json.loads(origins_file.read_text()).items()}
        return cls(desc, origins)

    def write(self, path: str | os.PathLike[str], with_origins: bool = False) -> None:
        """Write the program, and on request the origins beside it."""
        Path(path).write_bytes(self.desc.SerializeToString())
        if with_origins:
            content = {name: asdict(origin) for name, origin in self.origins.items()}
            origins_path(path).write_text(json.dumps(content))

    def copy(self) -> Program:
        """An independent copy."""
        return Program(copy.deepcopy(self.desc), self.origins)

    @property
    def block(self) -> Any:
        """The main block's message."""
        return self.desc.blocks[0]

    def operators(self) -> list[Operator]:
        """All operators of the main block, in order."""
        return [self._operator(index, op) for index, op in enumerate(self.block.ops)]

    def shapes(self) -> dict[str, list[int]]:
        """Variable -> dimensions, -1 where open."""
        return {var.name: list(var.type.lod_tensor.tensor.dims) for var in self.block.vars}

    def parameters(self) -> set[str]:
        """Names of the variables that come from the weights file."""
        return {var.name for var in self.block.vars if var.persistable and var.name not in ("feed", "fetch")}

    def outputs(self) -> list[str]:
        """Names of the fetched variables, in order."""
        fetches = [op for op in self.operators() if op.type == "fetch"]
        return [op.inputs["X"][0] for op in sorted(fetches, key=lambda op: op.attrs.get("col", 0))]

    def name_outputs(self, names: Iterable[str]) -> None:
        """Give the outputs their names in the artefact, dropping the identity that `jit.save` appends."""
        for old, new in zip(self.outputs(), names, strict=True):
            self._rename(self._bypass_identity(old), new)

    def prefix(self, count: int) -> Program:
        """The first ``count`` operators (feed included, fetch not), ending at all results nobody has read yet."""
        kept = [op for op in self.operators()[:count] if op.type != "fetch"]
        read = {name for op in kept for names in op.inputs.values() for name in names}
        tensors = {var.name for var in self.block.vars if var.type.type == _TENSOR}
        loose = [
            name for op in kept if op.type != "feed" for name in op.results() if name not in read and name in tensors
        ]
        return self._ending_at(kept, loose)

    def fetching(self, names: Iterable[str]) -> Program:
        """The whole program, but with other variables as its outputs."""
        return self._ending_at([op for op in self.operators() if op.type != "fetch"], list(names))

    def _ending_at(self, kept: Iterable[Operator], names: Iterable[str]) -> Program:
        part = self.copy()
        template = next(op for op in self.block.ops if op.type == "fetch")
        del part.block.ops[:]
        for op in kept:
            part.block.ops.append(self.block.ops[op.index])
        for column, name in enumerate(names):
            fetch = part.block.ops.add()
            fetch.CopyFrom(template)
            next(slot for slot in fetch.inputs if slot.parameter == "X").arguments[:] = [name]
            next(attr for attr in fetch.attrs if attr.name == "col").i = column
        return part

    def _operator(self, index: int, op: Any) -> Operator:
        outputs = {slot.parameter: tuple(slot.arguments) for slot in op.outputs}
        names = [name for slot in outputs.values() for name in slot]
        origin = next((self.origins[name] for name in names if name in self.origins), OperatorOrigin())
        inputs = {slot.parameter: tuple(slot.arguments) for slot in op.inputs}
        return Operator(index, op.type, inputs, outputs, _attributes(op), origin)

    def _bypass_identity(self, name: str) -> str:
        producers = [op for op in self.operators() if name in op.results()]
        op = producers[-1] if producers else None
        if op is None or op.type != "scale" or op.attrs.get("scale") != 1.0 or op.attrs.get("bias", 0.0) != 0.0:
            return name
        source = op.inputs["X"][0]
        if source in self.parameters() or any(
            source in fed.results() for fed in self.operators() if fed.type == "feed"
        ):
            return name
        del self.block.ops[op.index]
        self._rename(name, source)
        return source

    def _rename(self, old: str, new: str) -> None:
        if old == new:
            return
        for op in self.block.ops:
            for slot in [*op.inputs, *op.outputs]:
                slot.arguments[:] = [new if name == old else name for name in slot.arguments]
        present = {var.name for var in self.block.vars}
        for index in reversed(range(len(self.block.vars))):
            if self.block.vars[index].name == old:
                if new in present:
                    del self.block.vars[index]
                else:
                    self.block.vars[index].name = new
        if old in self.origins:
            self.origins.setdefault(new, self.origins[old])


def origins_path(model: str | os.PathLike[str]) -> Path:
    """The file with the origins of a program's operators; it belongs to the work folder, not to the artefact."""
    return Path(model).with_suffix(".origins.json")


def refuse_open_shapes(program: Program) -> None:
    """Check that a static export has no open dimension anywhere, but behind operators whose result has no fixed size.

    Raises:
        ExportError: some variable has a dimension of -1; names the first operator and its layer.
    """
    shapes = program.shapes()
    counted: set[str] = set()
    for op in program.operators():
        if op.type in ("feed", "fetch"):
            continue
        if op.type in _COUNTING or counted & {name for names in op.inputs.values() for name in names}:
            counted.update(op.results())
            continue
        for name in op.results():
            if -1 in shapes.get(name, []):
                raise ExportError(
                    f"the graph was exported for a fixed size, but {op} gives shape {shapes[name]}",
                    remedy="use Python ints (x.shape) there instead of paddle.shape(x), or export with --dynamic",
                )


def _attributes(op: Any) -> dict[str, Any]:
    found = {}
    for attr in op.attrs:
        key = _FIELDS.get(attr.type)
        if key is not None and attr.name != "op_callstack":
            value = getattr(attr, key)
            found[attr.name] = list(value) if key in ("ints", "floats", "strings", "bools", "longs") else value
    return found
