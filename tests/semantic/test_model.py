from __future__ import annotations

from typing import Any

import numpy as np
import paddle
import pytest

from mobileseg.backbones.base import FeatureSpec
from mobileseg.backbones.mobilenetv2 import MobileNetV2_x0_25
from mobileseg.backbones.mobilenetv3 import MobileNetV3_small_x0_35, MobileNetV3_small_x1_0_os8
from mobileseg.errors import ConfigError
from mobileseg.registry import BACKBONES
from mobileseg.semantic.model import MobileSeg
from tests.model_tester import PUBLISHED, assert_close, digest, fill, input_image, run, sample, shapes, stored_variant

pytestmark = pytest.mark.both

# The arguments are those of the case of the same name in tools/make_reference.py.
CASES: dict[str, dict[str, Any]] = {
    "defaults": {"num_classes": 3},
    "last_fuse": {"num_classes": 19, **PUBLISHED, "use_last_fuse": True},
    "nearest": {"num_classes": 19, **PUBLISHED, "resize_mode": "nearest"},
    "indices": {"num_classes": 19, **PUBLISHED, "backbone_indices": [0, 1, 2]},
    "two_features": {
        "num_classes": 2,
        "backbone_indices": [1, 3],
        "cm_bin_sizes": [1, 3],
        "arm_out_chs": [24],
        "seg_head_inter_chs": [16],
    },
    "attention": {"num_classes": 19, **PUBLISHED, "arm_type": "UAFMMobile_SpAtten"},
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_equals_the_original(case: str) -> None:
    """Names, shapes, and the logits of all heads."""
    network = fill(MobileSeg(backbone=MobileNetV2_x0_25(), **CASES[case]))
    expected = stored_variant(f"MobileSeg/{case}")
    assert digest(shapes(network)) == str(expected["digest"])
    network.eval()
    network.training = True  # all heads, while the norms below keep their running statistics
    with paddle.no_grad():
        outputs = network(paddle.to_tensor(input_image(*(int(length) for length in expected["size"]))))
    assert set(outputs) == set(expected) - {"digest", "size"}
    for name, logits in outputs.items():
        assert_close(sample(logits.numpy()), expected[name], name)


def test_outputs_per_mode() -> None:
    network = MobileSeg(5, MobileNetV2_x0_25())
    image = paddle.to_tensor(input_image(72, 100))
    network.eval()
    assert {name: logits.shape for name, logits in network(image).items()} == {"logits": [1, 5, 72, 100]}
    network.train()
    sizes = {name: logits.shape for name, logits in network(image).items()}
    assert sizes == {key: [1, 5, 72, 100] for key in ("logits", "logits_aux1", "logits_aux2")}


def test_auxiliary_logits_at_their_own_stride() -> None:
    full = fill(MobileSeg(5, MobileNetV2_x0_25()))
    small = fill(MobileSeg(5, MobileNetV2_x0_25(), aux_upsample=False))
    image = paddle.to_tensor(input_image(64, 96))
    for network in (small, full):
        network.eval()
        network.training = True  # the heads of training, with the running statistics of evaluation
    outputs, resized = small(image), full(image)
    assert outputs["logits_aux1"].shape == [1, 5, 4, 6]
    assert outputs["logits_aux2"].shape == [1, 5, 2, 3]
    for name in ("logits_aux1", "logits_aux2"):
        upsampled = paddle.nn.functional.interpolate(outputs[name], [64, 96], mode="bilinear")
        assert_close(upsampled.numpy(), resized[name].numpy(), name)


def test_the_logits_are_the_coarse_ones_resized() -> None:
    network = fill(MobileSeg(5, MobileNetV2_x0_25()))
    network.eval()
    image = paddle.to_tensor(input_image(70, 100))
    coarse = network.coarse_logits(image)
    assert coarse.shape == [1, 5, 9, 13]
    upsampled = paddle.nn.functional.interpolate(coarse, [70, 100], mode="bilinear")
    assert_close(network(image)["logits"].numpy(), upsampled.numpy(), "logits")


def test_without_auxiliary_heads_the_parameters_stay() -> None:
    network = MobileSeg(5, MobileNetV2_x0_25(), aux_heads=False)
    network.train()
    assert set(network(paddle.to_tensor(input_image(64, 64)))) == {"logits"}
    assert shapes(network) == shapes(MobileSeg(5, MobileNetV2_x0_25()))


def test_every_parameter_is_trained() -> None:
    network = MobileSeg(5, MobileNetV2_x0_25(), **PUBLISHED, use_last_fuse=True, arm_type="UAFMMobile_SpAtten")
    network.train()
    image = np.random.RandomState(2).randn(2, 3, 64, 96).astype(np.float32)
    sum(logits.square().mean() for logits in network(paddle.to_tensor(image)).values()).backward()
    lacking = [name for name, value in network.named_parameters() if not value.stop_gradient and value.grad is None]
    assert not lacking


def test_loss_falls_when_trained() -> None:
    paddle.seed(3)
    network = MobileSeg(2, MobileNetV2_x0_25())
    network.train()
    optimizer = paddle.optimizer.Momentum(0.1, parameters=network.parameters())
    label = np.random.RandomState(3).randint(0, 2, (4, 2, 2)).repeat(32, axis=1).repeat(32, axis=2)
    image = paddle.to_tensor(np.repeat(label[:, None], 3, axis=1).astype(np.float32))
    label = paddle.to_tensor(label.astype(np.int64))
    losses = []
    for _ in range(20):
        loss = paddle.nn.functional.cross_entropy(network(image)["logits"], label, axis=1)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]


class Shallow(paddle.nn.Layer):
    """A user's backbone whose strides are not those of the zoo."""

    feature_info = (FeatureSpec(4, 2), FeatureSpec(6, 4))

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = paddle.nn.Conv2D(3, 4, 3, 2, 1), paddle.nn.Conv2D(4, 6, 3, 2, 1)

    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        x = self.first(x)
        return [x, self.second(x)]


def test_features_are_chosen_by_stride() -> None:
    assert MobileSeg(2, MobileNetV2_x0_25()).strides == (8, 16, 32)
    narrow = {"arm_out_chs": (8,), "seg_head_inter_chs": (8,)}
    by_stride = MobileSeg(2, MobileNetV2_x0_25(), strides=(4, 8), **narrow)
    by_index = MobileSeg(2, MobileNetV2_x0_25(), backbone_indices=(0, 1), **narrow)
    assert by_stride.indices == by_index.indices == [0, 1]
    assert MobileSeg(2, MobileNetV3_small_x1_0_os8()).strides == (8, 8, 8)


def test_a_backbone_of_other_strides() -> None:
    network = MobileSeg(2, Shallow(), arm_out_chs=(8,), seg_head_inter_chs=(8,))
    assert network.strides == (2, 4)
    assert run(network, input_image(30, 42))["logits"].shape == [1, 2, 30, 42]


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_registered_backbone_fits(name: str) -> None:
    network = MobileSeg(3, BACKBONES.get(name)())
    coarsest = network.backbone.feature_info[-1].stride
    assert network.strides[-1] == min(coarsest, 32), "global tokens of stride 64 are no feature to decode"
    assert network.num_classes == 3


@pytest.mark.parametrize(
    ("arguments", "multiple"),
    [({}, 64), (PUBLISHED, 128), ({"cm_bin_sizes": (1, 3)}, 96), ({**PUBLISHED, "strides": (4, 8, 16)}, 64)],
)
def test_size_multiple(arguments: dict[str, Any], multiple: int) -> None:
    assert MobileSeg(3, MobileNetV2_x0_25(), **arguments).size_multiple == multiple


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"strides": (8, 64)}, r"strides \[64\] were asked for"),
        ({"strides": ()}, "strides is empty"),
        ({"strides": (32, 16, 8)}, "finest first"),
        ({"strides": (8, 16, 32), "backbone_indices": (1, 2, 3)}, "only one"),
        ({"backbone_indices": (2, 3, 4)}, "4 features"),
        ({"backbone_indices": (-1,)}, "4 features"),
        ({"arm_out_chs": (32, 64)}, "arm_out_chs has 2 values, but 3"),
        ({"seg_head_inter_chs": (32, 32, 32, 32)}, "seg_head_inter_chs has 4 values"),
        ({"arm_type": "UAFM"}, "arm_type 'UAFM'"),
        ({"resize_mode": "cubic"}, "resize_mode 'cubic'"),
        ({"cm_bin_sizes": ()}, "cm_bin_sizes"),
        ({"cm_bin_sizes": (0, 1)}, "cm_bin_sizes"),
        ({"backbone": paddle.nn.ReLU()}, "feature_info"),
    ],
)
def test_contradictions_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MobileSeg(**{"num_classes": 3, "backbone": MobileNetV3_small_x0_35(), **arguments})
