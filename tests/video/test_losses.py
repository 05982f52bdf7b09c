"""Losses of video networks against those of the original code: values and gradients."""

from __future__ import annotations

import json

import numpy as np
import paddle
import pytest

from mobileseg.errors import ConfigError
from mobileseg.instance.fpn import FPN
from mobileseg.instance.layers import Separable
from mobileseg.video.flow_net import FlowNet, PreConvs
from mobileseg.video.losses import FeatureMatching, FlowLoss, TransformLoss, held_still
from tests.model_tester import REFERENCE
from tests.reference_fill import INSTANCE_GAIN, fill_value, input_image

pytestmark = pytest.mark.both

LOADED = np.load(REFERENCE / "golden" / "video" / "yolact_edge_losses.npz")
MEASURES = {"cosine": "cosine", "smooth_l1": "SmoothL1"}


def tensor(name: str, learned: bool = False) -> paddle.Tensor:
    return paddle.to_tensor(LOADED[name], stop_gradient=not learned)


def assert_near(found: paddle.Tensor | np.ndarray, name: str) -> None:
    """Within 1e-4 of the standard deviation of what the original gave, of the value where it is one."""
    expected = LOADED[name]
    scale = float(expected.std() if expected.ndim else abs(expected)) or 1.0
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=1e-4 * scale, err_msg=name)


def test_flow_loss() -> None:
    flows = [tensor(f"flow_loss.pred{level}", learned=True) for level in range(3)]
    truth = tensor("flow_loss.gt")
    loss = FlowLoss()({"flows": flows}, {"flow": truth})["flow"]
    loss.backward()
    assert_near(loss, "flow_loss.F")
    for level, flow in enumerate(flows):
        assert_near(FlowLoss()({"flows": [flow]}, {"flow": truth})["flow"], f"flow_loss.F{level}")
        assert_near(flow.grad, f"flow_loss.grad{level}")


def test_a_flow_that_is_right_has_no_error_and_no_gradient() -> None:
    flow = paddle.zeros([1, 2, 3, 3])
    flow.stop_gradient = False
    loss = FlowLoss(2.0)({"flows": [flow]}, {"flow": paddle.zeros([1, 2, 3, 3])})["flow"]
    loss.backward()
    assert float(loss) == 0
    assert not flow.grad.numpy().any()


@pytest.mark.parametrize("loss", [FlowLoss, TransformLoss])
def test_weights_are_not_negative(loss: type) -> None:
    with pytest.raises(ConfigError, match="weight must not be below 0"):
        loss(-1.0)


def test_the_transform_loss_sees_direction_and_length() -> None:
    rng = np.random.default_rng(0)
    computed = [rng.normal(size=(2, 5, 3, side)).astype("float32") for side in (4, 2)]

    def loss(moved: list[np.ndarray], weight: float = 1.0) -> tuple[float, float]:
        outputs = {"moved": [paddle.to_tensor(x) for x in moved], "computed": [paddle.to_tensor(x) for x in computed]}
        found = TransformLoss(weight)(outputs, {})
        return float(found["direction"]), float(found["distance"])

    assert loss(computed) == pytest.approx((0, 0), abs=1e-6)
    assert loss([3 * x for x in computed]) == pytest.approx((0, 4), abs=1e-5)
    assert loss([-x for x in computed], 0.5) == pytest.approx((1, 2), abs=1e-5)
    assert loss([np.zeros_like(x) for x in computed]) == pytest.approx((1, 1), abs=1e-5)
    one_level_turned = loss([computed[0], -computed[1]])
    assert one_level_turned == pytest.approx((1, 2), abs=1e-5), "the mean over the levels"


def pyramid() -> FPN:
    """The pyramid of the golden file: 16 channels."""
    fpn = FPN([16, 16, 16], 16)
    for name, parameter in fpn.pred_layers.named_parameters():
        key = f"fpn_phase_2.pred_layers.{name}"
        parameter.set_value(fill_value(key, parameter.shape, INSTANCE_GAIN))
    return fpn


@pytest.mark.parametrize("places", ["L", "P", "L+P"])
@pytest.mark.parametrize("measure", list(MEASURES))
@pytest.mark.parametrize("quirk", [False, True])
def test_feature_matching(places: str, measure: str, quirk: bool) -> None:
    maps, targets = ([tensor(f"fm.{side}{level}") for level in (4, 5)] for side in ("pred", "target"))
    loss = FeatureMatching(pyramid(), places, measure, 1.0, quirk)(maps, targets)
    assert_near(loss, f"fm.W.{places}.{MEASURES[measure]}.{'original' if quirk else 'right_conv'}")


@pytest.mark.parametrize("quirk", [False, True])
def test_feature_matching_teaches_the_maps_alone(quirk: bool) -> None:
    fpn = pyramid()
    maps = [tensor(f"fm.pred{level}", learned=True) for level in (4, 5)]
    loss = FeatureMatching(fpn, published_conv_quirk=quirk)(maps, [tensor(f"fm.target{level}") for level in (4, 5)])
    loss.backward()
    for level, one in zip((4, 5), maps, strict=True):
        assert_near(one.grad, f"fm.grad{level}.{'original' if quirk else 'right_conv'}")
    assert all(parameter.grad is None for parameter in fpn.parameters())
    assert not any(parameter.stop_gradient for parameter in fpn.parameters())


def test_equal_maps_match_wherever_they_are_zero() -> None:
    """The cosine of nothing with nothing is 0, and its gradient a number."""
    still = paddle.zeros([1, 16, 2, 3])
    still.stop_gradient = False
    loss = FeatureMatching(pyramid(), places="L")([still, still], [paddle.zeros([1, 16, 2, 3])] * 2)
    loss.backward()
    assert float(loss) == 1.0
    assert np.isfinite(still.grad.numpy()).all()
    again = paddle.to_tensor(input_image(4, 5))
    assert float(FeatureMatching(pyramid(), places="L")([again, again], [again, again])) == pytest.approx(0, abs=1e-6)


def test_a_layer_held_still_keeps_its_statistics_and_its_mode() -> None:
    layer = Separable(3, 4)
    layer.train()
    layer.depthwise.bn.eval()  # one that is frozen stays so
    before = {name: value.numpy() for name, value in layer.state_dict().items()}
    x = paddle.to_tensor(input_image(6, 6), stop_gradient=False)
    held_still(layer, x).sum().backward()
    assert x.grad is not None
    assert all(parameter.grad is None for parameter in layer.parameters())
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert layer.pointwise.training
    assert not layer.depthwise.bn.training


def test_flow_stage_of_the_original() -> None:
    """From two laterals to the loss: flows, gradients, and which parameters have none."""
    meta = json.loads(str(LOADED["meta"]))
    seed = meta["seed"]
    pre, net = PreConvs(256, 64), FlowNet(64, 256)
    named = {f"flow_net.{name}": one for name, one in net.named_parameters()}
    named |= {f"flow_net_pre_convs.{name}": one for name, one in pre.named_parameters()}
    for name, parameter in named.items():
        parameter.set_value(fill_value(name, parameter.shape, INSTANCE_GAIN))
    laterals = [np.random.RandomState(seed + n).uniform(-1, 1, (1, 256, 15, 21)).astype(np.float32) for n in (40, 41)]
    truth = np.random.RandomState(seed + 42).uniform(-3, 3, (1, 2, 60, 84)).astype(np.float32)
    current, key = (pre(paddle.to_tensor(lateral)) for lateral in laterals)
    flows = net.flows(current, key)
    for level, flow in enumerate(flows):
        assert_near(flow, f"stage2.flow{level + 3}")
    loss = FlowLoss()({"flows": flows}, {"flow": paddle.to_tensor(truth)})["flow"]
    loss.backward()
    assert_near(loss, "stage2.F")
    for name, parameter in named.items():
        if f"stage2.nograd.{name}" in LOADED.files:
            assert parameter.grad is None, name
            continue
        gradient = parameter.grad.numpy()
        kept = gradient.reshape(-1)[:: max(1, gradient.size // 150)]
        assert_near(kept, f"stage2.grad.{name}")
        assert_near(np.linalg.norm(gradient), f"stage2.gradnorm.{name}")
