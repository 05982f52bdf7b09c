from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle.nn import functional as F

from mobileseg.instance.layers import Separable
from mobileseg.instance.protonet import Protonet, double
from tests.model_tester import fill

pytestmark = pytest.mark.both


@pytest.fixture
def x() -> paddle.Tensor:
    return paddle.to_tensor(np.random.RandomState(0).randn(2, 4, 5, 7).astype(np.float32))


def doubled(x: paddle.Tensor) -> paddle.Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def test_published_sequence(x):
    """Written as the original's sequence, the activation behind the upsampling included."""
    net = fill(Protonet(4, 6, 3))
    names = [name for name, _ in net.named_children()]
    assert names == ["0", "2", "4", "8", "10"]
    layers = dict(net.named_children())
    y = x
    for name in ("0", "2", "4"):
        y = F.relu(layers[name](y))
    y = F.relu(doubled(y))
    y = F.relu(layers["8"](y))
    expected = F.relu(layers["10"](y))
    np.testing.assert_allclose(net(x).numpy(), expected.numpy(), atol=1e-6)
    assert (net.prototypes, net(x).shape) == (3, [2, 3, 10, 14])


def test_without_convolutions_behind_the_upsampling(x):
    """The last 1x1 convolution comes before the upsampling; the order makes no difference."""
    net = fill(Protonet(4, 6, 3, before=1, after=0, conv=Separable, act="relu6"))
    net.eval()
    layers = dict(net.named_children())
    assert list(layers) == ["0", "4"]
    expected = F.relu(layers["4"](doubled(F.relu6(layers["0"](x)))))
    np.testing.assert_allclose(net(x).numpy(), expected.numpy(), atol=1e-6)


def test_no_convolutions_at_all(x):
    net = fill(Protonet(4, 6, 3, before=0, after=0))
    np.testing.assert_allclose(net(x).numpy(), F.relu(doubled(dict(net.named_children())["2"](x))).numpy(), atol=1e-6)


def test_double(x):
    np.testing.assert_allclose(double(x).numpy(), doubled(x).numpy(), atol=1e-6)


def test_detail_of_a_finer_feature(x):
    """At the size of the finer feature, which need not be twice the map's."""
    net = fill(Protonet(4, 6, 3, before=1, after=0, conv=Separable, act="relu6", detail=5))
    net.eval()
    finer = paddle.to_tensor(np.random.RandomState(1).randn(2, 5, 9, 14).astype(np.float32))
    layers, detail = dict(net.named_children()), dict(net.named_children())["detail"]
    coarse = F.interpolate(F.relu6(layers["0"](x)), size=[9, 14], mode="bilinear", align_corners=False)
    weight, bias = detail.coarse.weight, detail.coarse.bias
    summed = F.relu6(F.conv2d(coarse, weight, bias) + detail.fine(finer))
    expected = F.relu(layers["4"](F.relu6(detail.merge(summed))))
    np.testing.assert_allclose(net(x, finer).numpy(), expected.numpy(), atol=1e-5)
    assert net.prototypes == 3
