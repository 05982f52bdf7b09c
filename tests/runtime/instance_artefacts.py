"""Small artefacts of instance segmentation models: ONNX graphs written by hand, no exporter and no Paddle.

The graph looks at cells of 8x8 pixels. A cell that is mostly red, green or blue is an object of that class with the
cell as its box, and its mask is what is coloured.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mobileseg.files import sha256_of
from mobileseg.instance.anchors import make_anchors
from mobileseg.instance.settings import DetectionSpec, InstanceSettings
from mobileseg.runtime.manifest import Manifest
from mobileseg.runtime.specs import GraphFiles, ImageSpec, OutputSpec
from mobileseg.tasks import INSTANCE
from tests.manifests import one_graph
from tests.runtime.artefacts import CLASSES, PALETTE

SIZE = (32, 48)
CELL = 8
ROWS, COLUMNS = SIZE[0] // CELL, SIZE[1] // CELL
COUNT = ROWS * COLUMNS


def blocks(*cells: tuple[int, int, int], scale: int = 1) -> np.ndarray:
    """A dark image with coloured cells: (row, column, class) each; ``scale`` times the size of the input."""
    image = np.full((SIZE[0] * scale, SIZE[1] * scale, 3), 20, np.uint8)
    side = CELL * scale
    for row, column, kind in cells:
        image[row * side : (row + 1) * side, column * side : (column + 1) * side, kind] = 230
    return image


def instance_artefact(
    folder: Path,
    *,
    detections: np.ndarray | None = None,
    category_ids: tuple[int, ...] | None = None,
    options: dict[str, object] | None = None,
) -> Manifest:
    """Write a folder whose graph finds coloured cells.

    Args:
        folder: of the exported model, made here.
        detections: float32 [M, 6]; the graph then returns these whatever it sees, as one does that has the suppression
            inside, each with the coefficients that select the class's colour.
        category_ids: for the manifest.
        options: of `DetectionOptions`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    constants: list[onnx.TensorProto] = []
    nodes = _prototypes(constants)
    if detections is None:
        nodes += _raw(constants)
        outputs = _specs(boxes=(1, COUNT, 4), scores=(1, COUNT, 4), coefficients=(1, COUNT, 4))
        side = CELL / SIZE[1], CELL / SIZE[0]
        anchors = make_anchors([(ROWS, COLUMNS)], SIZE, [[CELL]], [1.0])
        np.testing.assert_allclose(anchors[0], (side[0] / 2, side[1] / 2, *side), rtol=1e-6)
        np.save(folder / "anchors.npy", anchors)
    else:
        nodes += _nms(constants, np.asarray(detections, np.float32))
        outputs = _specs(detections=(-1, 6), coefficients=(-1, 4))
    _write(folder / "model.onnx", nodes, constants, outputs)
    names = sorted(path.name for path in folder.iterdir() if path.name in ("model.onnx", "anchors.npy"))
    detection = DetectionSpec(anchors="anchors.npy" if detections is None else None, **(options or {}))
    manifest = one_graph(
        "blocks",
        ImageSpec(name="x", height=SIZE[0], width=SIZE[1], mean=(0.4,) * 3, std=(0.2,) * 3),
        outputs,
        {"onnx": GraphFiles(model="model.onnx")},
        task=INSTANCE,
        classes=CLASSES,
        palette=PALETTE,
        files={name: sha256_of(folder / name) for name in names},
        settings=InstanceSettings(detection, category_ids).to_dict(),
    )
    manifest.write(folder)
    return manifest


def _specs(**shapes: tuple[int, ...]) -> tuple[OutputSpec, ...]:
    names = {"boxes": "loc", "scores": "conf", "coefficients": "mask", "detections": "found"}
    specs = [OutputSpec(names[kind], kind, "float32", shape) for kind, shape in shapes.items()]
    return (*specs, OutputSpec("proto", "prototypes", "float32", (1, 4, SIZE[0] // 2, SIZE[1] // 2)))


def _prototypes(constants: list[onnx.TensorProto]) -> list[onnx.NodeProto]:
    """What is red, green, blue, and a plane of 1."""
    constants.append(numpy_helper.from_array(np.ones((1, 1, SIZE[0] // 2, SIZE[1] // 2), np.float32), "plane"))
    return [
        helper.make_node("AveragePool", ["x"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Relu", ["half"], ["colours"]),
        helper.make_node("Concat", ["colours", "plane"], ["proto"], axis=1),
    ]


def _raw(constants: list[onnx.TensorProto]) -> list[onnx.NodeProto]:
    weight = np.concatenate([np.zeros((3, 1)), np.eye(3) * 4], axis=1)
    for name, value in {
        "shape": np.array([1, COUNT, 3]),
        "weight": weight.astype(np.float32),
        "zeros": np.zeros((3, 4), np.float32),
        "minus": np.full((1, COUNT, 1), -1, np.float32),
    }.items():
        constants.append(numpy_helper.from_array(value, name))
    return [
        helper.make_node("AveragePool", ["x"], ["means"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Transpose", ["means"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["last", "shape"], ["cells"]),
        helper.make_node("MatMul", ["cells", "zeros"], ["loc"]),
        helper.make_node("MatMul", ["cells", "weight"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["conf"], axis=2),
        helper.make_node("Tanh", ["cells"], ["weights"]),
        helper.make_node("Concat", ["weights", "minus"], ["mask"], axis=2),
    ]


def _nms(constants: list[onnx.TensorProto], detections: np.ndarray) -> list[onnx.NodeProto]:
    coefficients = np.full((len(detections), 4), -1, np.float32)
    for row, kind in enumerate(detections[:, 0].astype(int)):
        coefficients[row, max(kind, 0)] = 1
    constants.append(numpy_helper.from_array(detections, "constant_found"))
    constants.append(numpy_helper.from_array(coefficients, "constant_mask"))
    return [helper.make_node("Identity", [f"constant_{name}"], [name]) for name in ("found", "mask")]


def _write(
    path: Path, nodes: Sequence[onnx.NodeProto], constants: list[onnx.TensorProto], outputs: Sequence[OutputSpec]
) -> None:
    infos = []
    for spec in outputs:
        shape = [f"{spec.name}_{axis}" if length == -1 else length for axis, length in enumerate(spec.shape)]
        infos.append(helper.make_tensor_value_info(spec.name, TensorProto.FLOAT, shape))
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, *SIZE])
    graph = helper.make_graph(nodes, "blocks", [image], infos, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
