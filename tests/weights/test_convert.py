"""Converted weights give the outputs of the network they come from (tests/weights/torchvision_forms.py)."""

import numpy as np
import paddle
import pytest
from scipy import integrate, stats

from mobileseg.backbones.mobilenetv2 import MobileNetV2_x1_0
from mobileseg.backbones.resnet import ResNet18, ResNet34, ResNet50
from mobileseg.backbones.shufflenetv2 import ShuffleNetV2_x1_0
from mobileseg.weights.convert import clipped_normal_moments, convert, from_torch, is_torch, strip_wrappers
from mobileseg.weights.load import load_into
from tests.weights import torchvision_forms as forms

pytestmark = pytest.mark.both

IMAGE = np.random.RandomState(0).uniform(-1, 1, (2, 3, 64, 96)).astype(np.float32)


def assert_same_features(network, reference):
    network.eval()
    for ours, theirs in zip(network(paddle.to_tensor(IMAGE)), reference, strict=True):
        assert float((ours - theirs).abs().max()) <= 1e-4 * float(theirs.std())


@pytest.mark.parametrize(
    ("form", "build", "family", "left"),
    [
        (forms.mobilenetv2, MobileNetV2_x1_0, "torchvision MobileNetV2", ("features.18", "classifier")),
        (forms.shufflenetv2, ShuffleNetV2_x1_0, "torchvision ShuffleNetV2", ("conv5", "fc")),
        (lambda state, x: forms.resnet(state, x, 18), ResNet18, "torchvision ResNet", ("fc",)),
        (lambda state, x: forms.resnet(state, x, 34), ResNet34, "torchvision ResNet", ("fc",)),
        (lambda state, x: forms.resnet(state, x, 50), ResNet50, "torchvision ResNet", ("fc",)),
    ],
    ids=["mobilenetv2", "shufflenetv2", "resnet18", "resnet34", "resnet50"],
)
@pytest.mark.parametrize("wrapper", ["", "module."])
def test_torchvision_weights_give_torchvision_features(form, build, family, left, wrapper):
    state = forms.TorchState()
    reference = form(state, paddle.to_tensor(IMAGE))
    network = build()
    report = load_into(network, {wrapper + name: array for name, array in state.items()})
    assert report.rule == family
    assert report.complete
    assert all(name.startswith(left) for name in report.ignored)
    assert_same_features(network, reference)


def test_timm_names_of_mobilenetv2():
    state = forms.TorchState()
    reference = forms.mobilenetv2(state, paddle.to_tensor(IMAGE))
    network = MobileNetV2_x1_0()
    assert load_into(network, forms.mobilenetv2_timm_names(state)).rule == "timm MobileNetV2"
    assert_same_features(network, reference)


def test_yolact_counts_the_stages_of_a_resnet_from_zero():
    state = forms.TorchState()
    reference = forms.resnet(state, paddle.to_tensor(IMAGE), 18)
    renamed = {
        "backbone." + ("layers." + str(int(name[5]) - 1) + name[6:] if name.startswith("layer") else name): array
        for name, array in state.items()
    }
    network = ResNet18()
    assert load_into(network, renamed).complete
    assert_same_features(network, reference)


def test_the_added_identity_hardly_changes_training_either():
    """In training the added batch norm uses the batch's statistics; with the statistics of its input as scale and
    shift the unit stays near the identity, where scale 1 and shift 0 would replace the stem's activations."""
    state = forms.TorchState()
    forms.mobilenetv2(state, paddle.to_tensor(IMAGE))
    # a stem as training leaves it: its normalised output is shifted, so that many channels are mostly positive
    state["features.0.1.bias"] = np.linspace(-1, 2, 32).astype(np.float32)
    network = MobileNetV2_x1_0()
    load_into(network, state)
    image = paddle.to_tensor(np.random.RandomState(3).randn(4, 3, 64, 64).astype(np.float32))
    network.eval()
    stem = network.conv1(image)
    assert float((network.conv2._first_block._expand_conv(stem) - stem).abs().max()) < 1e-5
    network.train()
    stem = network.conv1(image)
    change = network.conv2._first_block._expand_conv(stem) - stem
    assert float(change.square().mean().sqrt()) < 0.15 * float(stem.std())


@pytest.mark.parametrize("mean", [-3.0, -0.5, 0.0, 1.0, 5.5, 9.0])
@pytest.mark.parametrize("deviation", [0.01, 1.0, 4.0])
def test_moments_of_a_clipped_normal(mean, deviation):
    density = stats.norm(mean, deviation).pdf
    points = sorted({0.0, 6.0, float(np.clip(mean, 0, 6))})
    inside = [
        integrate.quad(lambda x, p=power: x**p * density(x), 0, 6, points=points, limit=200)[0] for power in (1, 2)
    ]
    above = stats.norm(mean, deviation).sf(6.0)
    first, second = inside[0] + 6 * above, inside[1] + 36 * above
    ours = clipped_normal_moments(np.array([mean]), np.array([deviation]), 6.0)
    np.testing.assert_allclose(ours[0], first, atol=1e-7)
    np.testing.assert_allclose(ours[1], second - first**2, atol=1e-6)


def test_entries_of_pytorch():
    state = {
        "fc.weight": np.arange(6).reshape(2, 3),
        "bn.running_mean": np.zeros(2),
        "bn.running_var": np.ones(2),
        "bn.num_batches_tracked": np.array(5),
        "weight": np.zeros(3),
    }
    assert is_torch(state)
    result = from_torch(state)
    assert set(result) == {"fc.weight", "bn._mean", "bn._variance", "weight"}
    np.testing.assert_array_equal(result["fc.weight"], [[0, 3], [1, 4], [2, 5]])
    assert not is_torch({"bn._mean": np.zeros(2)})


def test_wrappers_are_removed_only_where_all_entries_have_them():
    assert set(strip_wrappers({"module.model.a.weight": np.zeros(1), "module.model.b": np.zeros(1)})) == {
        "a.weight",
        "b",
    }
    kept = {"module.a": np.zeros(1), "b": np.zeros(1)}
    assert strip_wrappers(kept) == kept


def test_unknown_networks_keep_their_names():
    state, rule = convert({"a.running_mean": np.zeros(1)}, {"a._mean"})
    assert (set(state), rule) == ({"a._mean"}, "PyTorch names")
