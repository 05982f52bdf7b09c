"""ONNX operators that take an engine out of its blocks of channels, written as others that do not.

ONNX Runtime knows no HardSwish: it computes a HardSigmoid and a product, and rearranges the channels for both. A
depthwise convolution of one pixel, clipped, is the same HardSigmoid, and stays in blocks.
"""

from __future__ import annotations

from typing import Any


def split_hard_swish(model: Any) -> int:
    """Write every HardSwish of a map [N, C, H, W] as ``x * clip(conv(x), 0, 1)``, in place; returns how many.

    Args:
        model: ``onnx.ModelProto``.
    """
    import numpy as np
    from onnx import helper, numpy_helper, shape_inference

    graph = model.graph
    if not any(node.op_type == "HardSwish" for node in graph.node):
        return 0
    channels = _channels(shape_inference.infer_shapes(model).graph)
    constants: dict[str, Any] = {}
    nodes: list[Any] = []
    changed = 0
    for node in graph.node:
        width = channels.get(node.input[0]) if node.op_type == "HardSwish" else None
        if width is None:
            nodes.append(node)
            continue
        changed += 1
        x, y = node.input[0], node.output[0]
        weight, bias = f"hard_swish.weight{width}", f"hard_swish.bias{width}"
        constants[weight] = np.full((width, 1, 1, 1), 1 / 6)
        constants[bias] = np.full(width, 0.5)
        constants["hard_swish.zero"], constants["hard_swish.one"] = np.array(0.0), np.array(1.0)
        line, gate = f"{y}.line", f"{y}.gate"
        nodes += [
            helper.make_node("Conv", [x, weight, bias], [line], line, group=width, kernel_shape=[1, 1]),
            helper.make_node("Clip", [line, "hard_swish.zero", "hard_swish.one"], [gate], gate),
            helper.make_node("Mul", [x, gate], [y], f"{y}.product"),
        ]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()
    )
    return changed


def _channels(graph: Any) -> dict[str, int]:
    """Channels of the tensors that have four dimensions and a known number of them."""
    found = {}
    for value in [*graph.value_info, *graph.input, *graph.output]:
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 4 and dims[1].dim_value > 0:
            found[value.name] = dims[1].dim_value
    return found
