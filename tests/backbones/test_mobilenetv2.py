import paddle
import pytest

from mobileseg.backbones.mobilenetv2 import MobileNetV2, MobileNetV2_x1_0
from mobileseg.nn.blocks import ConvNormAct
from tests.model_tester import GoldenTester, fill, input_image, run

pytestmark = pytest.mark.both


class TestMobileNetV2(GoldenTester):
    variants = tuple(f"MobileNetV2_{width}" for width in ("x0_25", "x0_5", "x0_75", "x1_0", "x1_5", "x2_0"))
    golden = ("mobilenetv2", "MobileNetV2_x1_0")


def test_hidden_widths_are_read_from_the_weights() -> None:
    """A unit narrowed between its own layers runs, and drops exactly the channels that were taken out."""
    backbone = fill(MobileNetV2(0.25))
    unit = backbone.conv4.conv4_2
    image = input_image(64, 64)
    kept = unit._expand_conv.out_channels - 5
    weight = unit._linear_conv._conv.weight
    weight.set_value(paddle.concat([weight[:, :kept], paddle.zeros_like(weight[:, kept:])], axis=1))
    expected = run(backbone, image)
    wide = {name: getattr(unit, name) for name in ("_expand_conv", "_bottleneck_conv", "_linear_conv")}
    width, out = unit._expand_conv.in_channels, unit._linear_conv.out_channels
    unit._expand_conv = ConvNormAct(width, kept, 1, act="relu6")
    unit._bottleneck_conv = ConvNormAct(kept, kept, 3, groups=kept, act="relu6")
    unit._linear_conv = ConvNormAct(kept, out, 1)
    for name, layer in wide.items():
        narrow = getattr(unit, name)
        state = {
            key: value[tuple(slice(0, length) for length in narrow.state_dict()[key].shape)]
            for key, value in layer.state_dict().items()
        }
        narrow.set_state_dict(state)
    for ours, theirs in zip(run(backbone, image), expected, strict=True):
        assert float((ours - theirs).abs().max()) < 1e-5


def test_taps_of_yolact_edge() -> None:
    """Other stages of the same network; what stands behind the last of them is not built."""
    usual, edge = fill(MobileNetV2_x1_0()), fill(MobileNetV2_x1_0(taps="yolact_edge"))
    assert [tuple(spec) for spec in edge.feature_info] == [(24, 4), (32, 8), (64, 16), (160, 32)]
    behind = set(usual.state_dict()) - set(edge.state_dict())
    assert {name.split(".")[0] for name in behind} == {"conv8"}
    image = input_image(64, 96)
    features, others = run(edge, image), run(usual, image)
    assert [feature.shape[1:] for feature in features] == [[24, 16, 24], [32, 8, 12], [64, 4, 6], [160, 2, 3]]
    for index in (0, 1):
        assert float((features[index] - others[index]).abs().max()) == 0
    assert float((usual.conv6(features[2]) - others[2]).abs().max()) == 0
    assert float((usual.conv8(features[3]) - others[3]).abs().max()) == 0
    with pytest.raises(ValueError, match="unknown taps 'first'"):
        MobileNetV2_x1_0(taps="first")
