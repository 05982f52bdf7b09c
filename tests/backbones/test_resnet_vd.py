"""ResNet-D against PaddleSeg's outputs and names."""

import pytest

from mobileseg.registry import BACKBONES
from tests.model_tester import VariantTester, assert_close, assert_info_true, fill, run, stored_variant
from tests.reference_fill import input_image, sample

pytestmark = pytest.mark.both


class TestResNetVd(VariantTester):
    variants = ("ResNet18_vd", "ResNet34_vd", "ResNet50_vd", "ResNet101_vd")
    parity = {"output_stride": 32}  # noqa: RUF012


@pytest.mark.parametrize(
    ("variant", "case", "arguments", "strides"),
    [
        ("ResNet18_vd", "defaults", {}, [4, 8, 8, 8]),
        ("ResNet50_vd", "stride16", {"output_stride": 16}, [4, 8, 16, 16]),
        ("ResNet50_vd", "multi_grid", {"output_stride": 32, "multi_grid": [1, 2, 4]}, [4, 8, 16, 32]),
    ],
)
def test_dilated_forms_and_sizes_that_do_not_divide(variant, case, arguments, strides):
    expected = stored_variant(f"{variant}/{case}")
    backbone = fill(BACKBONES.get(variant)(**arguments), "backbone.")
    height, width = (int(length) for length in expected["size"])
    features = run(backbone, input_image(height, width))
    assert [spec.stride for spec in backbone.feature_info] == strides
    assert_info_true(backbone, features, height, width)
    for index, feature in enumerate(features):
        assert_close(sample(feature.numpy()), expected[f"f{index}"], f"{case}: feature {index}")


def test_arguments_that_cannot_be_met():
    with pytest.raises(ValueError, match="output_stride"):
        BACKBONES.get("ResNet18_vd")(output_stride=4)
    with pytest.raises(ValueError, match="multi_grid needs 3"):
        BACKBONES.get("ResNet50_vd")(multi_grid=[1, 2])
