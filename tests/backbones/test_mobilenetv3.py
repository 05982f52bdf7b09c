import pytest

from mobileseg.backbones.mobilenetv3 import LARGE, MobileNetV3_small_x0_35, dilated
from mobileseg.registry import BACKBONES
from tests.model_tester import GoldenTester

pytestmark = pytest.mark.both

WIDTHS = ("x0_35", "x0_5", "x0_75", "x1_0", "x1_25", "x1_0_os8")


class TestMobileNetV3(GoldenTester):
    variants = tuple(f"MobileNetV3_{size}_{width}" for size in ("small", "large") for width in WIDTHS)
    golden = ("mobilenetv3", "MobileNetV3_large_x1_0")


def test_norms_are_exempt_from_weight_decay() -> None:
    for name, parameter in MobileNetV3_small_x0_35().named_parameters():
        if not parameter.stop_gradient:
            exempt = parameter.regularizer is not None and parameter.regularizer._coeff == 0.0
            assert exempt == (".bn." in name), name


@pytest.mark.parametrize("size", ["small", "large"])
def test_os8_stays_at_stride_8(size: str) -> None:
    info = BACKBONES.get(f"MobileNetV3_{size}_x1_0_os8")().feature_info
    assert [spec.stride for spec in info] == [4, 8, 8, 8]


def test_dilation_replaces_stride() -> None:
    assert [unit.stride for unit in dilated(LARGE)[6:]] == [1] * 9
    assert [unit.dilation for unit in dilated(LARGE)] == [1] * 7 + [2] * 6 + [4] * 2
