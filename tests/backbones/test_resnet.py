"""ResNet in torchvision's form: names of a published checkpoint list, outputs of a plain function over those names."""

import numpy as np
import paddle
import pytest

from mobileseg.backbones.base import FeatureSpec
from mobileseg.backbones.resnet import ResNet50
from mobileseg.registry import BACKBONES
from mobileseg.weights.load import load_into
from tests.model_tester import BackboneTester, assert_close, assert_info_true, run, shapes, stored_keys
from tests.reference_fill import input_image
from tests.weights import torchvision_forms

pytestmark = pytest.mark.both


class TestResNet(BackboneTester):
    variants = ("ResNet18", "ResNet34", "ResNet50", "ResNet101")

    def test_variant(self, variant):
        backbone = self.build(variant)
        state = torchvision_forms.TorchState()
        image = input_image(64, 96)
        expected = torchvision_forms.resnet(state, paddle.to_tensor(image), int(variant.removeprefix("ResNet")))
        load_into(backbone, state)
        features = run(backbone, image)
        assert_info_true(backbone, features, 64, 96)
        for index, (ours, theirs) in enumerate(zip(features, expected, strict=True)):
            assert_close(ours.numpy(), theirs.numpy(), f"feature {index}")


def test_names_and_shapes_are_those_of_published_checkpoints():
    """YOLACT's ResNet-50 is torchvision's with the stages counted from 0."""
    entries = {"running_mean": "_mean", "running_var": "_variance"}
    expected = {}
    for name, shape in stored_keys("yolact_resnet50").items():
        if name.startswith("backbone.") and not name.endswith("num_batches_tracked"):
            parts = name.removeprefix("backbone.").split(".")
            if parts[0] == "layers":
                parts[:2] = [f"layer{int(parts[1]) + 1}"]
            expected[".".join([*parts[:-1], entries.get(parts[-1], parts[-1])])] = shape
    assert len(expected) == 265
    assert shapes(ResNet50()) == expected


def test_the_stride_is_in_the_3x3():
    unit = ResNet50().layer2[0]
    assert [unit.conv1._stride, unit.conv2._stride, unit.conv3._stride] == [[1, 1], [2, 2], [1, 1]]


def test_widths():
    assert ResNet50().feature_info == tuple(FeatureSpec(256 << index, 4 << index) for index in range(4))


@pytest.mark.parametrize("depth", [18, 50])
def test_it_is_not_the_network_that_paddleseg_calls_vd(depth):
    plain, other = BACKBONES.get(f"ResNet{depth}")(), BACKBONES.get(f"ResNet{depth}_vd")()
    assert type(plain) is not type(other)
    assert not set(shapes(plain)) & set(shapes(other))
    weights = sum(int(np.prod(shape)) for shape in shapes(plain).values())
    assert weights != sum(int(np.prod(shape)) for shape in shapes(other).values())
