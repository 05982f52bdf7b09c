"""Small exported models for tests: ONNX graphs written by hand, no exporter and no Paddle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mobileseg.files import sha256_of
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.specs import GraphFiles, ImageSpec, OutputSpec, ResizeSpec
from tests.manifests import one_graph, rewritten

CLASSES = ("red", "green", "blue")
PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def colour_graph(path: Path, *, output: str = "logits", size: tuple[int, int] | None = (16, 24)) -> None:
    """A 1x1 convolution whose largest logit is the largest normalised channel; argmax on request."""
    height, width = size or ("height", "width")
    weight = numpy_helper.from_array(np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1) * 2.0, "weight")
    nodes = [helper.make_node("Conv", ["x", "weight"], ["logits"], name="head", kernel_shape=[1, 1])]
    shape: list[int | str] = [1, 3, height, width]
    kind = TensorProto.FLOAT
    if output == "labels":
        nodes.append(helper.make_node("ArgMax", ["logits"], ["wide"], axis=1, keepdims=0))
        nodes.append(helper.make_node("Cast", ["wide"], ["labels"], to=TensorProto.INT32))
        shape, kind = [1, height, width], TensorProto.INT32
    elif output == "probabilities":
        nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    graph = helper.make_graph(
        nodes,
        "colour",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info(output, kind, shape)],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def artefact(
    folder: Path,
    *,
    output: str = "logits",
    size: tuple[int, int] = (16, 24),
    dynamic: bool = False,
    multiple: int = 1,
    color: str = "RGB",
) -> Manifest:
    """Write an exported model with one ONNX graph that names the strongest colour of a pixel."""
    folder.mkdir(parents=True, exist_ok=True)
    colour_graph(folder / "model.onnx", output=output, size=None if dynamic else size)
    height, width = (-1, -1) if dynamic else size
    shape = (1, height, width) if output == "labels" else (1, 3, height, width)
    manifest = one_graph(
        "colours",
        ImageSpec(
            name="x",
            height=size[0],
            width=size[1],
            dynamic=dynamic,
            multiple=multiple,
            color=color,
            resize=ResizeSpec(mode="none" if dynamic else "stretch"),
            mean=MEAN,
            std=STD,
        ),
        (
            OutputSpec(
                name=output,
                kind=output,
                dtype="int32" if output == "labels" else "float32",
                shape=shape,
                resize="labels-nearest" if output == "labels" else "scores-bilinear",
            ),
        ),
        {"onnx": GraphFiles(model="model.onnx")},
        classes=CLASSES,
        palette=PALETTE,
        files={"model.onnx": sha256_of(folder / "model.onnx")},
    )
    manifest.write(folder)
    return manifest


def enlarged_artefact(folder: Path, *, output: str, factor: int, size: tuple[int, int] = (16, 24)) -> Manifest:
    """The same folder with a graph that enlarges its answer by a whole factor before the end."""
    manifest = artefact(folder, output=output, size=size)
    model = onnx.load(str(folder / "model.onnx"))
    graph = model.graph
    next(node for node in graph.node if node.op_type == "Conv").output[0] = "small"
    scales = numpy_helper.from_array(np.array([1, 1, factor, factor], np.float32), "scales")
    graph.initializer.append(scales)
    graph.node.insert(1, helper.make_node("Resize", ["small", "", "scales"], ["logits"], mode="nearest"))
    for axis, length in zip((-2, -1), size, strict=True):
        dims = graph.output[0].type.tensor_type.shape.dim
        dims[len(dims) + axis].dim_value = length * factor
    onnx.checker.check_model(model)
    onnx.save(model, str(folder / "model.onnx"))
    (spec,) = manifest.outputs_of()
    shape = (*spec.shape[:-2], size[0] * factor, size[1] * factor)
    return rewritten(
        folder,
        manifest,
        outputs=(replace(spec, shape=shape, resize="in-graph"),),
        files={"model.onnx": sha256_of(folder / "model.onnx")},
    )
