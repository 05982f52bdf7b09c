from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import paddle
import pytest

from mobileseg.backbones.mobilenetv2 import MobileNetV2_x0_25
from mobileseg.backbones.resnet import ResNet18
from mobileseg.errors import ConfigError
from mobileseg.instance.layers import Separable, SeparableOutput
from mobileseg.instance.model import MobileYolact, Yolact
from tests.instance_tester import Golden, GoldenInstanceTester, InstanceTester, original_state
from tests.model_tester import fill, input_image, run, stored_keys

pytestmark = pytest.mark.both

EDGE = Golden("yolact_edge_mobilenetv2", {"type": "MobileNetV2_x1_0", "taps": "yolact_edge"})
RESNET50 = Golden("yolact_resnet50", {"type": "ResNet50"})


def coarse_backbone() -> SimpleNamespace:
    """What a network reads of a backbone that has no feature of stride 4."""
    return SimpleNamespace(feature_info=tuple(spec for spec in MobileNetV2_x0_25().feature_info if spec.stride > 4))


class TestYolact(GoldenInstanceTester):
    network = "Yolact"
    parity: ClassVar[dict[str, Any]] = {"square_anchors": True}
    goldens = (RESNET50, EDGE)
    known = (Golden("yolact_base", {"type": "ResNet101"}), Golden("yolact_edge_resnet50", {"type": "ResNet50"}))

    def test_names_of_the_published_weights(self) -> None:
        """Outside the backbone the names are the original's, so that its files need no table there."""
        network, _ = self.original(RESNET50)
        ours = {name: list(value.shape) for name, value in network.state_dict().items()}
        theirs = stored_keys(RESNET50.file)
        assert {name: shape for name, shape in ours.items() if not name.startswith("backbone.")} == {
            name: shape for name, shape in theirs.items() if not name.startswith("backbone.")
        }
        trainable = sum(int(p.size) for p in network.parameters() if not p.stop_gradient)
        assert trainable == 31_164_943


class TestMobileYolact(InstanceTester):
    network = "MobileYolact"

    def test_no_dense_convolution_wider_than_one_pixel(self) -> None:
        network = self.build()
        backbone = {id(layer) for layer in network.backbone.sublayers()}
        for name, layer in network.named_sublayers():
            if isinstance(layer, paddle.nn.Conv2D) and id(layer) not in backbone:
                assert layer.weight.shape[1] == 1 or layer.weight.shape[2:] == [1, 1], name

    def test_norms_fold_away(self) -> None:
        """Outside the backbone a convolution with a norm has no bias, and the last ones have a bias and no norm."""
        network = self.build()
        for name, layer in network.named_sublayers():
            if isinstance(layer, Separable):
                assert layer.depthwise.convolution.bias is None, name
                assert layer.pointwise.convolution.bias is None, name
            elif isinstance(layer, SeparableOutput):
                assert layer.pointwise.bias is not None, name


class TestMobileYolactWithDetail(InstanceTester):
    network = "MobileYolact"
    arguments: ClassVar[dict[str, Any]] = {"proto_detail": True}

    @pytest.mark.parametrize("name", ["ShuffleNetV2_x0_25", "ResNet18"])
    def test_any_backbone(self, name: str) -> None:
        """Where the feature of stride 4 is a pooled stem, and where it is a stage."""
        super().test_any_backbone(name)

    def test_prototypes_see_the_finer_feature(self) -> None:
        """Detail of stride 4 moves the prototypes and nothing else."""
        network = fill(self.build())
        network.eval()
        with paddle.no_grad():
            features = network.backbone(paddle.to_tensor(input_image(64, 96)))
            levels = network.fpn([features[index] for index in network.indices])
            finer = features[network.detail_index]
            before = network.predict(levels, [64, 96], finer)
            after = network.predict(levels, [64, 96], finer + 1.0)
        assert finer.shape[2:] == before["proto"].shape[2:] == [16, 24]
        changed = {name for name in before if float((after[name] - before[name]).abs().max()) > 0}
        assert changed == {"proto"}


@pytest.mark.parametrize(
    ("network", "size", "expected"),
    [
        (Yolact, 550, (24, 48, 96, 192, 384)),
        (Yolact, 400, (17, 34, 69, 139, 279)),
        (Yolact, 700, (30, 61, 122, 244, 488)),
        (MobileYolact, 550, (24, 48, 96, 192, 384)),
        (MobileYolact, 416, (18, 36, 72, 144, 288)),
        (MobileYolact, 320, (14, 28, 56, 112, 224)),
    ],
)
def test_anchor_sides_follow_the_input_size(network: type, size: int, expected: tuple[int, ...]) -> None:
    built = network(1, MobileNetV2_x0_25(), input_size=size, fpn_channels=8)
    assert built.anchor_scales == expected
    first = built.anchors(size, size)[0] * size
    np.testing.assert_allclose(first[2:], expected[0], rtol=1e-6)


def test_anchors_keep_their_pixels_at_another_size() -> None:
    network = MobileYolact(1, MobileNetV2_x0_25(), fpn_channels=8)
    small, large = network.anchors(160, 320), network.anchors(320, 640)
    np.testing.assert_allclose(small[0, 2:] * (320, 160), large[0, 2:] * (640, 320), rtol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        small[0, 0] = 1  # one array serves all callers


def test_explicit_anchors() -> None:
    network = Yolact(1, MobileNetV2_x0_25(), fpn_channels=8, anchor_scales=[8, 20, 40, 80, 160], anchor_ratios=[1])
    assert network.anchors(64, 64).shape == (8 * 8 + 4 * 4 + 2 * 2 + 1 + 1, 4)
    np.testing.assert_allclose(network.anchors(64, 64)[-1], [0.5, 0.5, 2.5, 2.5])


def test_outputs_belong_to_the_anchors() -> None:
    """One pixel of the coarsest map, moved by hand through the head, shows up at the rows of its anchors."""
    network = fill(Yolact(2, ResNet18(), fpn_channels=8, num_prototypes=4))
    network.eval()
    with paddle.no_grad():
        levels = network.fpn([network.backbone(paddle.to_tensor(input_image(96, 160)))[i] for i in network.indices])
        before = network.predict(levels, [96, 160])
        levels[1][0, :, 2, 7] += 5.0
        after = network.predict(levels, [96, 160])
    changed = np.abs((after["loc"] - before["loc"]).numpy()[0]).sum(axis=1) > 1e-4
    anchors = network.anchors(96, 160)
    first, count = 12 * 20 * 3, 6 * 10 * 3
    assert not changed[:first].any()
    assert not changed[first + count :].any()
    centers = anchors[changed][:, :2] * (10, 6) - 0.5
    # two 3x3 convolutions: at most two cells away
    np.testing.assert_allclose(np.abs(centers - (7, 2)).max(axis=0), 2, atol=1e-5)
    nearest = np.abs(anchors[first : first + count, :2] * (10, 6) - 0.5 - (7, 2)).max(axis=1) < 0.5
    assert changed[first : first + count][nearest].all()


def test_the_branch_of_training_changes_nothing_else() -> None:
    network = fill(Yolact(2, MobileNetV2_x0_25(), fpn_channels=8))
    evaluation = run(network, input_image(64, 64))
    network.training = True  # the outputs of training with the statistics of evaluation
    with paddle.no_grad():
        training = network(paddle.to_tensor(input_image(64, 64)))
    for name in ("loc", "mask", "proto"):
        np.testing.assert_array_equal(training[name].numpy(), evaluation[name].numpy())
    softmax = paddle.nn.functional.softmax(training["logits"], axis=-1)
    np.testing.assert_allclose(softmax.numpy(), evaluation["conf"].numpy(), atol=1e-7)


def test_initial_values() -> None:
    paddle.seed(0)
    network = Yolact(80, MobileNetV2_x0_25())
    for name, value in network.state_dict().items():
        if name.startswith("backbone."):
            continue
        if name.endswith("bias"):
            assert float(value.abs().max()) == 0, name
        else:
            out, fan, height, width = value.shape
            bound = np.sqrt(6 / ((fan + out) * height * width))
            assert 0.95 * bound < float(value.abs().max()) <= bound * (1 + 1e-6), name


@pytest.mark.parametrize("network", [Yolact, MobileYolact])
def test_foreground_prior(network: type) -> None:
    built = network(4, MobileNetV2_x0_25(), fpn_channels=8, foreground_prior=0.01)
    levels = [paddle.zeros([1, 8, size, size]) for size in (4, 2, 1)]
    built.eval()
    conf = paddle.nn.functional.softmax(built.prediction_layers[0](levels)[1], axis=-1)
    np.testing.assert_allclose(conf.numpy()[..., 0], 0.99, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"num_prototypes": 0}, "num_prototypes must be at least 1"),
        ({"proto_convs": [3]}, "proto_convs is \\[3\\]"),
        ({"anchor_scales": [24, 48]}, "5 positive numbers of pixels"),
        ({"input_size": 10}, "5 positive numbers of pixels"),
        ({"anchor_ratios": [1, -1]}, "anchor_ratios"),
        ({"foreground_prior": 1.0}, "foreground_prior"),
        ({"backbone": SimpleNamespace()}, "does not say what its features are"),
        ({"proto_detail": True, "proto_convs": [1, 1]}, "a convolution of its own after the upsampling"),
        ({"proto_detail": True, "proto_convs": [1, 0], "backbone": coarse_backbone()}, "needs a feature of stride 4"),
    ],
)
@pytest.mark.parametrize("network", [Yolact, MobileYolact])
def test_bad_arguments(network: type, arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        network(**{"num_classes": 2, "backbone": MobileNetV2_x0_25(), **arguments})


def test_other_class_counts_keep_the_rest_of_published_weights() -> None:
    from mobileseg.weights.load import load_into

    network = Yolact(5, ResNet18())
    state = {name: value for name, value in original_state(RESNET50.file).items() if not name.startswith("backbone.")}
    report = load_into(network, state, strict=False)
    assert {entry.name for entry in report.mismatched} == {
        *(f"prediction_layers.0.conf_layer.{entry}" for entry in ("weight", "bias")),
        *(f"semantic_seg_conv.{entry}" for entry in ("weight", "bias")),
        *(f"fpn.lat_layers.{index}.weight" for index in range(3)),
    }
