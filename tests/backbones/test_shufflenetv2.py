import numpy as np
import paddle
import pytest

from mobileseg.backbones.shufflenetv2 import BasicUnit
from mobileseg.nn.blocks import ConvNormAct
from tests.model_tester import GoldenTester, run

pytestmark = pytest.mark.both


class TestShuffleNetV2(GoldenTester):
    variants = tuple(f"ShuffleNetV2_{width}" for width in ("x0_25", "x0_33", "x0_5", "x1_0", "x1_5", "x2_0", "swish"))
    golden = ("shufflenetv2", "ShuffleNetV2_x1_0")


def test_split_follows_the_weights() -> None:
    """A unit that convolves 5 of 12 channels passes the first 7 through, and interleaves the halves of the result."""
    unit = BasicUnit(12, "relu")
    unit._conv_pw = ConvNormAct(5, 4, 1, act="relu")
    unit._conv_dw = ConvNormAct(4, 4, 3, groups=4)
    unit._conv_linear = ConvNormAct(4, 5, 1, act="relu")
    x = np.random.RandomState(0).rand(1, 12, 4, 6).astype(np.float32)
    y = run(unit, x).numpy()
    assert y.shape == x.shape
    joined = np.empty_like(y)  # undo the shuffle: even channels are the first half
    joined[:, :6], joined[:, 6:] = y[:, 0::2], y[:, 1::2]
    np.testing.assert_array_equal(joined[:, :7], x[:, :7])
    convolved = unit._conv_linear(unit._conv_dw(unit._conv_pw(paddle.to_tensor(x[:, 7:]))))
    np.testing.assert_allclose(joined[:, 7:], convolved.numpy(), atol=1e-6)
