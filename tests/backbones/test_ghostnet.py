import pytest

from mobileseg.backbones.ghostnet import GhostNet_x0_5
from tests.model_tester import GoldenTester

pytestmark = pytest.mark.both


class TestGhostNet(GoldenTester):
    variants = ("GhostNet_x0_5", "GhostNet_x1_0", "GhostNet_x1_3")
    golden = ("ghostnet", "GhostNet_x1_0")


def test_norms_are_exempt_from_weight_decay() -> None:
    for name, parameter in GhostNet_x0_5().named_parameters():
        if not parameter.stop_gradient:
            exempt = parameter.regularizer is not None and parameter.regularizer._coeff == 0.0
            assert exempt == ("._batch_norm." in name), name
