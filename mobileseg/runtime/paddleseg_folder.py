"""Folders that PaddleSeg's own export wrote: a Paddle graph and the ``Deploy:`` block, without our manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mobileseg.errors import RuntimeEngineError
from mobileseg.names import MAIN
from mobileseg.tasks import SEMANTIC
from mobileseg.viz.palette import palette

_AGAIN = "export it again with `mobileseg export --config FILE --model_path WEIGHTS`, which reads PaddleSeg's files"
_MAX_GRAPH = 256 << 20  # bytes of a .pdmodel, which holds no weights
_KINDS = {"argmax": ("labels", "int32"), "softmax": ("probabilities", "float32"), "none": ("logits", "float32")}
_MAX_CLASSES = 255


def described(folder: Path, deploy: Any) -> dict[str, Any]:
    """What our manifest would say of such a folder, as its fields.

    Input, output and the number of classes are read from the graph, the preprocessing from the block. Names of the
    classes, hashes and reference outputs are nowhere: classes are numbered, and the files are taken as they are.

    Args:
        folder: with deploy.yaml.
        deploy: its ``Deploy`` block.

    Raises:
        RuntimeEngineError: a file is missing or of another form (Paddle 3 writes JSON), or the preprocessing is more
            than a resize and a normalisation.
    """
    from mobileseg.files import sha256_of

    if not isinstance(deploy, dict):
        raise RuntimeEngineError(f"{folder}: the block 'Deploy' is {type(deploy).__name__}, expected a mapping")
    model, params = str(deploy.get("model", "model.pdmodel")), str(deploy.get("params", "model.pdiparams"))
    if model.endswith(".json"):
        raise RuntimeEngineError(
            f"{folder / model} is a graph in the JSON form of Paddle 3, which Paddle 2.6 cannot run",
            remedy="export it in Paddle 3 with FLAGS_enable_pir_api=0, which writes a .pdmodel, or " + _AGAIN,
        )
    for name in (model, params):
        if not re.fullmatch(r"[\w.-]+", name) or not (folder / name).is_file():
            raise RuntimeEngineError(f"{folder} has no file '{name}', which its deploy.yaml names", remedy=_AGAIN)
    source, target, classes = _ends(folder / model)
    operator = deploy.get("output_op") or ("argmax" if deploy.get("output_dtype") == "int32" else "none")
    if operator not in _KINDS:
        raise RuntimeEngineError(f"{folder}: output_op is {operator!r}, expected {', '.join(_KINDS)}", remedy=_AGAIN)
    kind, dtype = _KINDS[operator]
    shape = (1, -1, -1) if kind == "labels" else (1, classes, -1, -1)
    scores = "labels-nearest" if kind == "labels" else "scores-bilinear"
    image = _input(folder, deploy)
    size = (-1, -1) if image.get("dynamic") else (image["height"], image["width"])
    graph = {
        "inputs": ({"name": source, "dtype": "float32", "shape": (1, 3, *size)},),
        "outputs": ({"name": target, "kind": kind, "dtype": dtype, "shape": shape, "resize": scores},),
        "files": {"paddle": {"model": model, "params": params}},
    }
    return {
        "name": folder.resolve().name,
        "task": SEMANTIC,
        "image": {"name": source, **image},
        "classes": tuple(f"class {index}" for index in range(classes)),
        "palette": tuple(tuple(map(int, colour)) for colour in palette(classes)),
        "graphs": {MAIN: graph},
        "pipelines": {MAIN: (MAIN,)},
        "files": {name: sha256_of(folder / name) for name in (model, params)},
        "notes": {"origin": "exported by PaddleSeg: class names and reference outputs are unknown"},
    }


def _input(folder: Path, deploy: Mapping[str, Any]) -> dict[str, Any]:
    """Size, resize and normalisation."""
    sides = [side if isinstance(side, int) and side > 0 else None for side in (deploy.get("input_shape") or [])[2:]]
    height, width = sides if len(sides) == 2 else (None, None)
    found: dict[str, Any] = {}
    target: tuple[int, int] | None = None
    normalised = False
    for step in deploy.get("transforms") or []:
        name = step.get("type") if isinstance(step, dict) else step
        plain = isinstance(step, dict) and not step.get("keep_ratio") and not step.get("size_divisor")
        if name == "Normalize" and not normalised:
            found |= {key: _three(step.get(key, [0.5])) for key in ("mean", "std")}
            normalised = True
        elif name == "Resize" and plain and target is None and not normalised:
            side = step.get("target_size", [512, 512])
            target = (int(side[1]), int(side[0])) if isinstance(side, list) else (int(side), int(side))
        else:
            raise RuntimeEngineError(
                f"{folder}: the step {name} of its deploy.yaml cannot be repeated here", remedy=_AGAIN
            )
    if not normalised:
        found |= {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "scale": 1.0}
    if target is not None:
        if None not in (height, width) and target != (height, width):
            raise RuntimeEngineError(f"{folder}: images are resized to {target}, the graph takes {(height, width)}")
        return found | {"height": target[0], "width": target[1], "resize": {"mode": "stretch"}}
    dynamic = None in (height, width)
    size = {"height": height or 512, "width": width or 512, "dynamic": dynamic}
    return found | size | {"resize": {"mode": "none" if dynamic else "stretch"}}


def _three(values: Any) -> tuple[float, ...]:
    numbers = [float(value) for value in (values if isinstance(values, list) else [values])]
    return tuple(numbers * 3 if len(numbers) == 1 else numbers)


def _ends(path: Path) -> tuple[str, str, int]:
    """Names of the input and the first output of a graph, and the number of classes."""
    if path.stat().st_size > _MAX_GRAPH:
        raise RuntimeEngineError(f"{path} is larger than {_MAX_GRAPH} bytes: no graph without weights is")
    inputs: list[str] = []
    outputs: list[str] = []
    sizes: dict[str, list[int]] = {}
    before_argmax = ""
    try:
        block = next(value for field, value in _fields(path.read_bytes()) if field == 1)
        for field, value in _fields(block):
            if field == 3:  # a variable
                name, shape = _variable(value)
                sizes[name] = shape
            elif field == 4:  # an operator
                kind, taken, given = _operator(value)
                if kind == "feed":
                    inputs += given
                elif kind == "fetch":
                    outputs += taken
                elif kind == "arg_max" and taken:
                    before_argmax = taken[0]
    except (StopIteration, ValueError, IndexError, UnicodeDecodeError) as error:
        raise RuntimeEngineError(f"{path} is no graph of Paddle 2 (.pdmodel)", remedy=_AGAIN) from error
    shape = sizes.get(before_argmax or (outputs[0] if outputs else ""), [])
    if len(inputs) != 1 or not outputs or len(shape) != 4 or not 1 <= shape[1] <= _MAX_CLASSES:
        raise RuntimeEngineError(
            f"{path} has the inputs {inputs} and outputs {outputs}, expected one image and scores of up to "
            f"{_MAX_CLASSES} classes",
            remedy=_AGAIN,
        )
    return inputs[0], outputs[0], shape[1]


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value) of a protobuf message: bytes of a nested one, or a number."""
    position = 0
    while position < len(data):
        key, position = _number(data, position)
        wire = key & 7
        if wire == 0:
            value, position = _number(data, position)
            yield key >> 3, value
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        elif wire == 2:
            length, position = _number(data, position)
            if position + length > len(data):
                raise ValueError("cut short")
            yield key >> 3, data[position : position + length]
            position += length
        else:
            raise ValueError(f"wire type {wire}")


def _number(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("a number of more than 64 bits")


def _variable(data: bytes) -> tuple[str, list[int]]:
    """Name and shape of a VarDesc; -1 where a side is open, an empty shape where it is no tensor."""
    name, shape = "", []
    for field, value in _fields(data):
        if field == 1:
            name = value.decode()
        elif field == 2:
            for tensor in (inner for number, inner in _fields(value) if number == 3):  # DenseTensorDesc
                for description in (inner for number, inner in _fields(tensor) if number == 1):  # TensorDesc
                    numbers = [side for number, side in _fields(description) if number == 2]
                    shape = [side - (1 << 64) if side >> 63 else side for side in numbers if isinstance(side, int)]
    return name, shape


def _operator(data: bytes) -> tuple[str, list[str], list[str]]:
    """Type, and the variables that an OpDesc takes and gives."""
    kind = ""
    taken: list[str] = []
    given: list[str] = []
    for field, value in _fields(data):
        if field == 3:
            kind = value.decode()
        elif field in (1, 2):
            names = [inner.decode() for number, inner in _fields(value) if number == 2]
            (taken if field == 1 else given).extend(names)
    return kind, taken, given
