"""StrideFormer against PaddleSeg's names and outputs."""

import pytest

from mobileseg.backbones.base import FeatureSpec
from mobileseg.backbones.strideformer import MobileSeg_Base, MobileSeg_Tiny
from tests.model_tester import BackboneTester, assert_close, assert_info_true, fill, run, shapes, stored_variant
from tests.reference_fill import digest, input_image, sample

pytestmark = pytest.mark.both


class TestStrideFormer(BackboneTester):
    variants = ("MobileSeg_Base", "MobileSeg_Tiny")
    lead = "MobileSeg_Tiny"

    def test_variant(self, variant):
        """PaddleSeg returns the feature that AAM makes and nothing else."""
        backbone = fill(self.build(variant), "backbone.")
        expected = stored_variant(variant)
        assert digest(shapes(backbone, "backbone.")) == str(expected["digest"])
        height, width = (int(length) for length in expected["size"])
        features = run(backbone, input_image(height, width))
        assert_info_true(backbone, features, height, width)
        assert_close(sample(features[2].numpy()), expected["f0"], "fused feature")


@pytest.mark.parametrize(("kind", "strides", "place"), [("AAM", [8, 16, 16, 32], 2), ("AAMSx8", [8, 8, 16, 32], 1)])
def test_the_fused_feature_is_the_last_of_its_stride(kind, strides, place):
    backbone = MobileSeg_Tiny(inj_type=kind, out_channels=24)
    assert [spec.stride for spec in backbone.feature_info] == strides
    assert backbone.feature_info[place] == FeatureSpec(24, backbone.fused_stride)
    features = run(backbone, input_image(75, 101))
    assert_info_true(backbone, features, 75, 101)
    others = [feature for index, feature in enumerate(features) if index != place]
    assert float((backbone.inj_module(*others) - features[place]).abs().max()) == 0.0


def test_arguments_that_do_not_fit():
    with pytest.raises(ValueError, match=r"unknown inj_type 'origin', expected one of .*AAM.*AAMSx8"):
        MobileSeg_Base(inj_type="origin")
    with pytest.raises(ValueError, match=r"out_feat_chs is \[32, 64, 128\], the features have \[64, 128, 192\]"):
        MobileSeg_Base(out_feat_chs=[32, 64, 128])


def test_blocks_start_as_the_identity_of_their_attention():
    """The norms of all projections have scale 0: the gate is one half everywhere, whatever the positions say."""
    attention = MobileSeg_Tiny().trans2.transformer_blocks[0].attn
    for part in (attention.proj, attention.proj_encode_row, attention.proj_encode_column):
        assert float(part[1].norm_layer.weight.abs().max()) == 0.0
