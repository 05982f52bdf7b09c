import pytest

from mobileseg.backbones.ghostnet import GhostNet_x0_5, GhostNet_x1_0
from tests.model_tester import GoldenTester, assert_close, fill, run
from tests.reference_fill import input_image

pytestmark = pytest.mark.both


class TestGhostNet(GoldenTester):
    variants = ("GhostNet_x0_5", "GhostNet_x1_0", "GhostNet_x1_3")
    golden = ("ghostnet", "GhostNet_x1_0")


def test_norms_are_exempt_from_weight_decay() -> None:
    for name, parameter in GhostNet_x0_5().named_parameters():
        if not parameter.stop_gradient:
            exempt = parameter.regularizer is not None and parameter.regularizer._coeff == 0.0
            assert exempt == ("._batch_norm." in name), name


@pytest.mark.parametrize("build", [GhostNet_x0_5, GhostNet_x1_0])
def test_the_blocked_form_gives_the_same_features(build) -> None:
    backbone = fill(build(), "backbone.")
    expected = run(backbone, input_image(64, 96))
    found = run(backbone.blocked_form(), input_image(64, 96))
    assert len(found) == len(expected) == len(backbone.feature_info)
    for index, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert_close(ours.numpy(), theirs.numpy(), f"feature {index}")
