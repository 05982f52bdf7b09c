"""TopFormer against PaddleSeg's names and outputs, and the rule for sides that are not multiples of 64."""

import numpy as np
import paddle
import pytest

from mobileseg.backbones.base import FeatureSpec
from mobileseg.backbones.topformer import TopTransformer_Tiny
from mobileseg.instance.model import MobileYolact
from mobileseg.registry import BACKBONES
from tests.model_tester import (
    REFERENCE,
    BackboneTester,
    assert_close,
    assert_info_true,
    fill,
    run,
    shapes,
    stored_keys,
    stored_variant,
)
from tests.reference_fill import digest, input_image, sample

pytestmark = pytest.mark.both

SIZES = {"Base": (32, 256, 384), "Small": (24, 192, 296), "Tiny": (16, 128, 208)}


class TestTopTransformer(BackboneTester):
    variants = tuple(f"TopTransformer_{name}" for name in SIZES)
    lead = "TopTransformer_Tiny"

    def test_variant(self, variant):
        """PaddleSeg returns the features with tokens injected: not the one of stride 4, and not the tokens."""
        backbone = fill(self.build(variant), "backbone.")
        expected = stored_variant(variant)
        assert digest(shapes(backbone, "backbone.")) == str(expected["digest"])
        height, width = (int(length) for length in expected["size"])
        features = run(backbone, input_image(height, width))
        assert_info_true(backbone, features, height, width)
        for index, feature in enumerate(features[1:4]):
            assert_close(sample(feature.numpy()), expected[f"f{index}"], f"{variant} feature {index}")


@pytest.mark.parametrize("name", ["Base", "Tiny"])
def test_golden_outputs_with_the_global_tokens(name):
    backbone = fill(BACKBONES.get(f"TopTransformer_{name}")())
    assert shapes(backbone) == stored_keys(f"toptransformer_{name.lower()}")
    _, *features, tokens = run(backbone, input_image(128, 192))
    with np.load(REFERENCE / "golden" / f"toptransformer_{name.lower()}.npz") as expected:
        for feature, key in zip(features, ("x3", "x4", "x5"), strict=True):
            assert_close(feature.numpy()[:, ::2, ::2, ::2], expected[key], key)
        assert_close(tokens.numpy(), expected["x6"], "tokens")


@pytest.mark.parametrize(("name", "widths"), SIZES.items())
def test_features_and_names(name, widths):
    local, injected, tokens = widths
    backbone = BACKBONES.get(f"TopTransformer_{name}")()
    assert shapes(backbone) == stored_keys(f"toptransformer_{name.lower()}")
    middle = (FeatureSpec(injected, stride) for stride in (8, 16, 32))
    assert backbone.feature_info == (FeatureSpec(local, 4), *middle, FeatureSpec(tokens, 64))


@pytest.mark.parametrize("size", [(75, 101), (64, 130), (1, 1)])
def test_other_sides_are_those_of_the_padded_image(size):
    """Zeros behind, inside; cut outside."""
    backbone = fill(TopTransformer_Tiny())
    image = input_image(*size)
    height, width = (-(-length // 64) * 64 for length in size)
    padded = np.zeros((1, 3, height, width), np.float32)
    padded[:, :, : size[0], : size[1]] = image
    ours, whole = run(backbone, image), run(backbone, padded)
    assert_info_true(backbone, ours, *size)
    for feature, expected in zip(ours, whole, strict=True):
        rows, columns = feature.shape[2:]
        np.testing.assert_allclose(feature.numpy(), expected.numpy()[:, :, :rows, :columns], atol=1e-5)


def test_attention_starts_silent_and_rates_are_scaled():
    backbone = TopTransformer_Tiny(lr_mult=0.1)
    for block in backbone.trans.transformer_blocks:
        assert float(block.attn.proj[1].norm_layer.weight.abs().max()) == 0.0
    assert {parameter.optimize_attr["learning_rate"] for parameter in backbone.parameters()} == {0.1}
    assert {parameter.optimize_attr["learning_rate"] for parameter in TopTransformer_Tiny().parameters()} == {1.0}


def test_under_a_network_that_finds_objects():
    network = MobileYolact(3, TopTransformer_Tiny())
    assert run(network, input_image(100, 140))["loc"].shape[0] == 1
    network.train()
    sum(value.square().mean() for value in network(paddle.to_tensor(input_image(128, 128))).values()).backward()
    assert float(network.backbone.SIM[3].local_embedding.convolution.weight.grad.abs().max()) > 0
