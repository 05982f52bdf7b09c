"""Lite-HRNet against PaddleSeg's outputs and names, and where it must differ: sizes and freezing."""

import numpy as np
import paddle
import pytest

from mobileseg.backbones.base import FeatureSpec
from mobileseg.backbones.litehrnet import Lite_HRNet_18, Lite_HRNet_naive
from mobileseg.backbones.litehrnet_blocks import NormOptions, WeightingBlock
from mobileseg.registry import BACKBONES
from tests.converting import traces
from tests.model_tester import GoldenTester, assert_close, fill, run, stored_variant
from tests.reference_fill import input_image, sample

pytestmark = pytest.mark.both


class TestLiteHRNet(GoldenTester):
    variants = ("Lite_HRNet_18", "Lite_HRNet_30", "Lite_HRNet_naive", "Lite_HRNet_wider_naive")
    golden = ("litehrnet18", "Lite_HRNet_18")
    parity = {"use_head": True}  # noqa: RUF012
    head = {"backbone_indices": [0, 1, 2]}  # noqa: RUF012

    # Saving a graph of 2200 operators takes Paddle long, so `make test` does it once.
    @traces
    @pytest.mark.parametrize(
        "size", [(96, 160), pytest.param((None, None), marks=pytest.mark.long)], ids=["fixed", "dynamic"]
    )
    def test_traced_graph_equals_eager(self, built, size, tmp_path):
        super().test_traced_graph_equals_eager(built, size, tmp_path)


def test_without_head_and_with_chosen_features():
    backbone = fill(Lite_HRNet_18(return_idx=[0, 2, 3]), "backbone.")
    expected = stored_variant("Lite_HRNet_18/plain")
    features = run(backbone, input_image(64, 96))
    assert backbone.feature_info == (FeatureSpec(40, 4), FeatureSpec(160, 16), FeatureSpec(320, 32))
    for index, feature in enumerate(features):
        assert_close(sample(feature.numpy()), expected[f"f{index}"], f"feature {index}")


def test_the_last_columns_of_an_odd_size_are_those_of_the_padded_image_away_from_the_border():
    """A multiple of 32 and a slightly smaller image agree far from the cut: nothing is shifted by the rounding."""
    backbone = fill(Lite_HRNet_18(use_head=False), "backbone.")
    wide = np.zeros((1, 3, 64, 512), np.float32)
    wide[:] = np.sin(np.arange(512) / 9.0)
    whole = run(backbone, wide)[0].numpy()
    cut = run(backbone, np.ascontiguousarray(wide[:, :, :, :500]))[0].numpy()
    assert cut.shape[3] == 125
    # global pools see the whole map, so the features differ a little everywhere, but not by a shift
    error = np.abs(cut[..., :60] - whole[..., :60]).mean()
    shifted = np.abs(cut[..., :60] - whole[..., 1:61]).mean()
    assert error < 0.1 * shifted


@pytest.mark.parametrize("build", [Lite_HRNet_18, Lite_HRNet_naive])
def test_freeze_norm_fixes_the_norms_of_blocks_and_head(build):
    backbone = build(use_head=True, freeze_norm=True)
    frozen = {
        name
        for name, layer in backbone.named_sublayers()
        if isinstance(layer, paddle.nn.BatchNorm2D) and layer.weight.stop_gradient
    }
    expected = {
        name
        for name, layer in backbone.named_sublayers()
        if isinstance(layer, paddle.nn.BatchNorm2D) and (".layers." in name or name.startswith("head_layer"))
    }
    assert frozen == expected
    before = {name: tensor.numpy().copy() for name, tensor in backbone.state_dict().items()}
    optimizer = paddle.optimizer.SGD(0.5, parameters=backbone.parameters(), weight_decay=0.1)
    backbone.train()
    sum(feature.square().mean() for feature in backbone(paddle.to_tensor(input_image(64, 64)))).backward()
    optimizer.step()
    after = backbone.state_dict()
    for name in before:
        layer, _, entry = name.rpartition(".")
        if layer in frozen:
            np.testing.assert_array_equal(after[name].numpy(), before[name], err_msg=name)
        elif entry in ("_mean", "_variance"):
            assert not np.array_equal(after[name].numpy(), before[name]), name


def test_the_counts_of_frozen_norms_are_the_published_ones():
    backbone = Lite_HRNet_18(use_head=True, freeze_norm=True)
    norms = [layer for layer in backbone.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)]
    assert (len(norms), sum(bool(layer.weight.stop_gradient) for layer in norms)) == (204, 88)


@pytest.mark.parametrize(("freeze_at", "reaches"), [(-1, True), (0, False)])
def test_freeze_at_stops_the_gradient_of_one_feature(freeze_at, reaches):
    backbone = Lite_HRNet_18(use_head=True, freeze_at=freeze_at)
    backbone.train()
    finest, second, *_ = backbone(paddle.to_tensor(input_image(64, 64)))
    assert finest.stop_gradient is not reaches
    second.sum().backward(retain_graph=True)
    assert backbone.stem.conv1.conv.weight.grad is not None
    if reaches:
        backbone.clear_gradients()
        finest.sum().backward()
        assert float(backbone.head_layer.projects[-1].pointwise_conv.norm.bias.grad.abs().sum()) > 0


def test_the_options_change_nothing_in_evaluation():
    plain, frozen = (
        fill(Lite_HRNet_18(use_head=True, **options)) for options in ({}, {"freeze_norm": True, "freeze_at": 0})
    )
    for ours, theirs in zip(run(plain, input_image(64, 64)), run(frozen, input_image(64, 64)), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((64, 96), {"use_head": True}),
        ((75, 90), {"use_head": False, "return_idx": (0, 2, 3)}),  # windows that the border cuts off
    ],
    ids=["multiples", "odd"],
)
def test_the_blocked_form_gives_the_same_features(size, options):
    backbone = fill(Lite_HRNet_18(**options), "backbone.")
    expected = run(backbone, input_image(*size))
    weights = {name: tensor.numpy() for name, tensor in backbone.state_dict().items()}
    form = backbone.blocked_form()
    found = run(form, input_image(*size))
    assert len(found) == len(expected) == len(backbone.feature_info)
    for index, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert_close(ours.numpy(), theirs.numpy(), f"feature {index}")
    for name, tensor in backbone.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), weights[name], err_msg=name)


def test_the_blocked_form_of_blocks_of_unequal_parts():
    """As pruning leaves them: the part that a block changes is not half of the channels."""
    backbone = fill(Lite_HRNet_18(), "backbone.")
    module = backbone.stage0[0]
    block = fill(WeightingBlock([40, 80], NormOptions()), "block.")
    narrow = WeightingBlock([24, 80], NormOptions())  # changes 12 of the 40 channels of the finest branch
    fill(narrow, "narrow.")
    module.layers = paddle.nn.Sequential(narrow, block)
    expected = run(backbone, input_image(64, 64))
    for index, (ours, theirs) in enumerate(
        zip(run(backbone.blocked_form(), input_image(64, 64)), expected, strict=True)
    ):
        assert_close(ours.numpy(), theirs.numpy(), f"feature {index}")


def test_naive_blocks_have_no_blocked_form():
    backbone = Lite_HRNet_naive()
    assert backbone.blocked_form() is backbone


@pytest.mark.parametrize("wrong", [[], [4], [-1, 0]])
def test_features_that_do_not_exist(wrong):
    with pytest.raises(ValueError, match="return_idx"):
        BACKBONES.get("Lite_HRNet_18")(return_idx=wrong)


def test_weight_decay_of_the_norms():
    block = Lite_HRNet_18(norm_decay=0.25).stage1[0].layers[0]
    assert block.depthwise_convs[0].norm.weight.regularizer._coeff == 0.25
    assert Lite_HRNet_18().stage1[0].layers[0].depthwise_convs[0].norm.bias.regularizer._coeff == 0.0
