from __future__ import annotations

import paddle
import pytest

from mobileseg.nn.blocks import resize
from mobileseg.semantic.decoder import ARM_TYPES, ContextModule, Decoder, SegHead, UAFMMobile
from tests.model_tester import fill

pytestmark = pytest.mark.both


def features(*sides: int) -> list[paddle.Tensor]:
    paddle.seed(0)
    return [paddle.randn([1, 8 * (index + 1), side, side + 1]) for index, side in enumerate(sides)]


def test_context_is_the_sum_of_its_grids() -> None:
    """Two grids together give, before the last convolution, the sum of what each gives alone."""
    module = fill(ContextModule(8, 6, (1, 2)))
    module.eval()
    (x,) = features(5)
    total = sum(resize(stage(x), [5, 6]) for stage in module.stages)
    assert float((module(x) - module.conv_out(total)).abs().max()) < 1e-6
    assert module(x).shape == [1, 6, 5, 6]


def test_fusion_adds_the_resized_coarse_input() -> None:
    fine, coarse = features(8, 4)
    arm = fill(UAFMMobile(8, 16, 12, "bilinear"))
    arm.eval()
    expected = arm.conv_out(arm.conv_x(fine) + paddle.nn.functional.interpolate(coarse, [8, 9], mode="bilinear"))
    assert float((arm(fine, coarse) - expected).abs().max()) < 1e-6


@pytest.mark.parametrize("arm_type", sorted(ARM_TYPES))
@pytest.mark.parametrize("use_last_fuse", [False, True])
def test_decoder_keeps_the_sizes(arm_type: str, use_last_fuse: bool) -> None:
    inputs = features(16, 8, 4)
    decoder = Decoder([8, 16, 24], [4, 6, 10], (1, 2, 4), 12, arm_type, "bilinear", use_last_fuse)
    assert [list(x.shape) for x in decoder(inputs)] == [[1, 4, 16, 17], [1, 6, 8, 9], [1, 10, 4, 5]]


def test_head_has_no_bias_at_the_end() -> None:
    head = SegHead(4, 6, 3)
    assert "conv_out.bias" not in head.state_dict()
    assert head(paddle.zeros([1, 4, 5, 5])).shape == [1, 3, 5, 5]
