from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle.nn import functional as F

from mobileseg.instance.fpn import FPN
from mobileseg.instance.layers import Separable
from tests.model_tester import fill

pytestmark = pytest.mark.both

SIZES = [(9, 13), (5, 7), (3, 4)]


@pytest.fixture
def features() -> list[paddle.Tensor]:
    rng = np.random.RandomState(0)
    return [
        paddle.to_tensor(rng.randn(1, width, *size).astype(np.float32))
        for width, size in zip((4, 6, 8), SIZES, strict=True)
    ]


def test_dense_against_the_formula(features):
    """The published weights count from the coarsest feature: index 0 serves C5."""
    fpn = fill(FPN((4, 6, 8), 5))
    c3, c4, c5 = features
    lateral, predict, down = fpn.lat_layers, fpn.pred_layers, fpn.downsample_layers
    x5 = lateral[0](c5)
    x4 = F.interpolate(x5, size=[5, 7], mode="bilinear", align_corners=False) + lateral[1](c4)
    x3 = F.interpolate(x4, size=[9, 13], mode="bilinear", align_corners=False) + lateral[2](c3)
    p3, p4, p5 = F.relu(predict[2](x3)), F.relu(predict[1](x4)), F.relu(predict[0](x5))
    p6 = down[0](p5)
    expected = [p3, p4, p5, p6, down[1](p6)]
    for ours, theirs in zip(fpn(features), expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-6)
    assert [p.shape[2:] for p in expected] == [[9, 13], [5, 7], [3, 4], [2, 2], [1, 1]]
    assert float(p6.min()) < 0, "the levels above the features have no activation"


def test_two_phases(features):
    fpn = fill(FPN((4, 6, 8), 5))
    merged = fpn.merge(features)
    assert [x.shape for x in merged] == [[1, 5, *size] for size in SIZES]
    for ours, theirs in zip(fpn.predict(merged), fpn(features), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_separable_is_bounded(features):
    fpn = fill(FPN((4, 6, 8), 5, Separable, "relu6"))
    fpn.eval()
    levels = fpn([100 * feature for feature in features])
    assert [level.shape for level in levels] == [[1, 5, *size] for size in (*SIZES, (2, 2), (1, 1))]
    for level in levels[:3]:
        assert (float(level.min()), float(level.max())) == (0, 6)
    assert fpn.channels == 5


def test_equal_sizes_and_one_feature():
    """Dilated backbones give several features of one size; nothing in the pyramid needs three."""
    fpn = fill(FPN((4, 4), 5))
    x = paddle.ones([1, 4, 6, 6])
    assert [level.shape[2] for level in fpn([x, x])] == [6, 6, 3, 2]
    assert [level.shape[2] for level in FPN((4,), 5)([x])] == [6, 3, 2]
