"""HardSwish in other operators, against the formula."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from mobileseg.export.conversion.onnx_blocks import split_hard_swish


def model(shapes):
    """One HardSwish per input shape."""
    nodes = [helper.make_node("HardSwish", [f"x{index}"], [f"y{index}"]) for index in range(len(shapes))]
    inputs, outputs = (
        [
            helper.make_tensor_value_info(f"{name}{index}", TensorProto.FLOAT, shape)
            for index, shape in enumerate(shapes)
        ]
        for name in "xy"
    )
    graph = helper.make_graph(nodes, "graph", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


@pytest.mark.parametrize(
    ("shapes", "changed"),
    [
        ([(1, 3, 4, 5)], 1),
        ([(1, 20, 4, 5), (1, 20, 2, 2), (1, 7, 1, 1)], 3),  # two that share their constants
        ([(1, 20, "height", "width")], 1),
        ([(1, "channels", 4, 5)], 0),
        ([(1, 12)], 0),
    ],
    ids=["one", "several", "open size", "open channels", "vector"],
)
def test_values(shapes, changed):
    rewritten = model(shapes)
    assert split_hard_swish(rewritten) == changed
    onnx.checker.check_model(rewritten, full_check=True)
    assert [node.op_type for node in rewritten.graph.node].count("HardSwish") == len(shapes) - changed
    session = onnxruntime.InferenceSession(rewritten.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    sizes = [[length if isinstance(length, int) else 6 for length in shape] for shape in shapes]
    fed = {f"x{index}": rng.normal(0, 4, size).astype(np.float32) for index, size in enumerate(sizes)}
    for x, y in zip(fed.values(), session.run(None, fed), strict=True):
        np.testing.assert_allclose(y, x * np.clip(x / 6 + 0.5, 0, 1), atol=1e-5)


def test_a_graph_without_any_is_left_alone():
    plain = model([(1, 3, 4, 5)])
    plain.graph.node[0].op_type = "Relu"
    before = plain.SerializeToString()
    assert split_hard_swish(plain) == 0
    assert plain.SerializeToString() == before
