"""Mixed precision: refused on a CPU; the handling of gradients, which needs no GPU."""

from contextlib import nullcontext

import numpy as np
import paddle
import pytest

from mobileseg.errors import TrainingError
from mobileseg.training.amp import Precision
from mobileseg.training.scaler import LossScaler

pytestmark = pytest.mark.both

SECTION = {"dtype": "float16", "level": "O1", "init_loss_scaling": 512.0}


def test_float32_does_nothing():
    precision = Precision(None)
    network, optimizer = object(), object()
    assert precision.decorate(network, optimizer) == (network, optimizer)
    assert isinstance(precision.autocast(), nullcontext)
    assert not precision.scaler.enabled
    parameter = paddle.to_tensor([1.0], stop_gradient=False)
    (parameter * float("inf")).backward()
    assert precision.unscale([parameter])
    assert precision.scaler.scale == 1.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("level", ["O1", "O2"])
def test_cpu_is_refused(dtype, level):
    with pytest.raises(TrainingError, match="runs on the CPU") as caught:
        Precision(SECTION | {"dtype": dtype, "level": level})
    assert "--device gpu" in caught.value.remedy


@pytest.mark.parametrize(("dtype", "scaled"), [("float16", True), ("bfloat16", False)])
def test_only_float16_is_scaled(monkeypatch, dtype, scaled):
    monkeypatch.setattr(paddle, "get_device", lambda: "gpu:0")
    scaler = Precision(SECTION | {"dtype": dtype}).scaler
    assert (scaler.enabled, scaler.scale) == (scaled, 512.0 if scaled else 1.0)


@pytest.mark.parametrize("poison", [None, "nan", "inf"])
def test_gradients_are_divided_and_judged(poison):
    precision = Precision(None)
    precision.scaler = LossScaler(scale=64.0)
    good = paddle.to_tensor([1.0, 2.0], stop_gradient=False)
    unused = paddle.to_tensor([1.0], stop_gradient=False)
    other = paddle.to_tensor([3.0], stop_gradient=False)
    factor = 1.0 if poison is None else float(poison)
    ((good * paddle.to_tensor([3.0, 5.0])).sum() + (other * factor).sum()).multiply(
        paddle.to_tensor(precision.scaler.scale)
    ).backward()
    finite = precision.unscale([good, unused, other])
    assert finite is (poison is None)
    np.testing.assert_array_equal(good.grad.numpy(), [3.0, 5.0])
