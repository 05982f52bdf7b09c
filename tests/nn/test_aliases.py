"""Who shares memory with whom, and that nothing in the suite writes into memory that is not its own.

Paddle 3 returns the tensor itself from ``astype`` to the dtype that it has; ``reshape``, ``detach`` and slices share
with their source in every version. So a result of these must not be changed in place.
"""

import ast
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
import pytest

from mobileseg.nn.compat import own_copy
from mobileseg.nn.nested import cast
from mobileseg.training.ema import WeightAverage

pytestmark = pytest.mark.both

PACKAGE = Path(__file__).parents[2] / "mobileseg"
OWN = {
    "compress/pruning/sparsity.py": {"add_": "the gradients"},
    "semantic/loss_kernels.py": {
        "exp_": "a difference made in the line before",
        "divide_": "the same",
        "put_along_axis_": "a product made in the line before",
    },
    "training/amp.py": {"scale_": "the gradients"},
    "training/ema.py": {"scale_": "the average, made by own_copy", "add_": "the same"},
    "training/optim.py": {
        "clip_": "the gradients, through detach",
        "multiply_": "the same",
        "clip_grad_norm_": "the same",
    },
}
"""File -> methods that change a tensor in place -> whose memory that is."""


def in_place(path: Path) -> set[str]:
    """Names of the methods called in a file that end in one underscore, as Paddle's in-place operators do."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    numpy = {"ix_"}
    return {name for name in names if name.endswith("_") and not name.endswith("__")} - numpy


def test_every_change_in_place_is_one_of_memory_of_its_own() -> None:
    """A new one must be judged and named here: on Paddle 3 a result of astype may be somebody else's."""
    found = {str(path.relative_to(PACKAGE)): in_place(path) for path in sorted(PACKAGE.rglob("*.py"))}
    assert {name: methods for name, methods in found.items() if methods} == {
        name: set(methods) for name, methods in OWN.items()
    }


def source() -> paddle.Tensor:
    return paddle.arange(4, dtype="float32").reshape([2, 2])


@pytest.mark.parametrize(
    "copy",
    [lambda x: own_copy(x, "float32"), lambda x: paddle.cast(x, "float32"), lambda x: x.clone(), paddle.assign],
    ids=["own_copy", "cast", "clone", "assign"],
)
def test_copies_on_every_paddle(copy: Callable[[paddle.Tensor], paddle.Tensor]) -> None:
    tensor = source()
    copy(tensor).scale_(3.0)
    assert tensor.numpy().ravel().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "share", [lambda x: x.detach(), lambda x: x.reshape([4]), lambda x: x[0]], ids=["detach", "reshape", "slice"]
)
def test_shares_on_every_paddle(share: Callable[[paddle.Tensor], paddle.Tensor]) -> None:
    tensor = source()
    share(tensor).scale_(3.0)
    assert tensor.numpy().ravel()[1] == 3


def test_outputs_in_another_precision_are_left_alone() -> None:
    """`nested.cast` may share: who calls it only reads."""
    outputs = {"logits": source(), "index": paddle.arange(3)}
    assert cast(outputs, "float32")["logits"].numpy().tolist() == outputs["logits"].numpy().tolist()
    assert cast(outputs, "float32")["index"] is outputs["index"]


def test_an_average_changes_no_weight_and_a_weight_no_average() -> None:
    network = paddle.nn.Sequential(paddle.nn.Conv2D(2, 2, 1), paddle.nn.BatchNorm2D(2))
    before = {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}
    average = WeightAverage(network, 0.5)
    for _ in range(3):
        average.update()
    for name, tensor in network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name], err_msg=name)
    kept = {name: array.copy() for name, array in average.arrays().items()}
    for tensor in network.state_dict().values():
        tensor.set_value(tensor.numpy() + 1)
    for name, array in average.arrays().items():
        np.testing.assert_array_equal(array, kept[name], err_msg=name)
