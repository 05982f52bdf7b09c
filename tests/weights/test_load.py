"""What fits is set, what does not is said, and a refused file changes nothing."""

import numpy as np
import paddle
import pytest

from mobileseg.backbones.mobilenetv2 import MobileNetV2_x0_5, MobileNetV2_x0_25
from mobileseg.backbones.resnet import ResNet18, ResNet34
from mobileseg.errors import WeightsError
from mobileseg.semantic.model import MobileSeg
from mobileseg.weights.load import load_into
from mobileseg.weights.pdparams import save_pdparams

pytestmark = pytest.mark.both


def arrays_of(network):
    return {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}


def other_values(network):
    return {name: array + 1 for name, array in arrays_of(network).items()}


def assert_holds(network, expected):
    for name, array in arrays_of(network).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.fixture
def backbone():
    return MobileNetV2_x0_25()


@pytest.fixture
def network():
    return MobileSeg(5, MobileNetV2_x0_25())


def test_a_file_of_the_same_network(network, tmp_path):
    state = other_values(network)
    save_pdparams(tmp_path / "model.pdparams", state)
    report = load_into(network, tmp_path / "model.pdparams")
    assert report.complete
    assert set(report.loaded) == set(state)
    assert report.rule == "own names"
    assert "model.pdparams" in str(report)
    assert f"{len(state)} fit" in str(report)
    assert_holds(network, state)


def test_a_file_that_paddle_saved(network, tmp_path):
    donor = MobileSeg(5, MobileNetV2_x0_25())
    paddle.save(donor.state_dict(), str(tmp_path / "model.pdparams"))
    load_into(network, str(tmp_path / "model.pdparams"))
    assert_holds(network, arrays_of(donor))


def test_other_number_types_become_the_networks(backbone):
    state = {name: array.astype(np.float64) for name, array in other_values(backbone).items()}
    load_into(backbone, state)
    assert all(tensor.dtype == paddle.float32 for tensor in backbone.state_dict().values())
    assert_holds(backbone, {name: array.astype(np.float32) for name, array in state.items()})


def test_a_backbone_file_into_the_backbone_of_a_network(network, backbone):
    """PaddleSeg's backbone files lack the prefix, and have the ImageNet classifier behind."""
    state = other_values(backbone)
    before = arrays_of(network)
    tail = {"out.weight": np.zeros((320, 10)), "out.bias": np.zeros(10), "conv9._conv.weight": np.zeros((4, 4, 1, 1))}
    report = load_into(network, {**state, **tail}, prefix="backbone.")
    assert report.complete
    assert set(report.ignored) == {f"backbone.{name}" for name in tail}
    assert_holds(network, {**before, **{f"backbone.{name}": array for name, array in state.items()}})


def test_a_whole_network_into_a_backbone(network, backbone):
    state = other_values(network)
    report = load_into(backbone, state)
    assert report.complete
    assert report.rule == "own names, the backbone of it"
    assert all(name.startswith(("ppseg_head.", "seg_heads.")) for name in report.ignored)
    assert "ppseg_head" in str(report)
    assert_holds(backbone, {name.removeprefix("backbone."): array for name, array in state.items()})


def test_a_backbone_alone_is_not_a_whole_network(network, backbone):
    before = arrays_of(network)
    with pytest.raises(WeightsError) as caught:
        load_into(network, other_values(backbone))
    assert "missing in the file" in str(caught.value)
    assert "ppseg_head.arm_list" in str(caught.value)
    assert_holds(network, before)
    report = load_into(network, other_values(backbone), strict=False)
    assert len(report.loaded) == len(arrays_of(backbone))
    assert all(not name.startswith("backbone.") for name in report.missing)


def test_other_classes(network):
    donor = MobileSeg(7, MobileNetV2_x0_25())
    before = arrays_of(network)
    with pytest.raises(WeightsError) as caught:
        load_into(network, other_values(donor))
    assert "seg_heads.0.conv_out.weight: file [7, 32, 1, 1], network [5, 32, 1, 1]" in str(caught.value)
    assert "num_classes" in caught.value.remedy
    assert_holds(network, before)
    report = load_into(network, other_values(donor), strict=False)
    assert {entry.name for entry in report.mismatched} == {f"seg_heads.{index}.conv_out.weight" for index in range(3)}
    after = arrays_of(network)
    np.testing.assert_array_equal(after["seg_heads.0.conv_out.weight"], before["seg_heads.0.conv_out.weight"])
    assert not np.array_equal(after["backbone.conv1._conv.weight"], before["backbone.conv1._conv.weight"])


def test_another_width_of_the_same_family(backbone):
    with pytest.raises(WeightsError, match="no shape fits, for example conv1") as caught:
        load_into(backbone, other_values(MobileNetV2_x0_5()))
    assert len(str(caught.value).splitlines()) < 30


def test_a_network_of_another_family(backbone):
    with pytest.raises(WeightsError, match="is of another network: none of its") as caught:
        load_into(backbone, other_values(ResNet18()))
    assert "conv1.weight" in str(caught.value)
    with pytest.raises(WeightsError, match="none of its"):
        load_into(backbone, other_values(ResNet18()), strict=False)


def test_a_deeper_network_is_not_taken_for_a_part_of_it():
    with pytest.raises(WeightsError, match="larger network"):
        load_into(ResNet18(), other_values(ResNet34()))
    with pytest.raises(WeightsError, match="does not fit"):
        load_into(ResNet34(), other_values(ResNet18()))


def test_one_missing_entry(backbone):
    state = other_values(backbone)
    del state["conv1._conv.weight"]
    with pytest.raises(WeightsError, match=r"missing in the file: conv1\._conv\.weight"):
        load_into(backbone, state)


def test_a_prefix_that_does_not_exist(network):
    with pytest.raises(WeightsError, match=r"no parameters under 'encoder\.'"):
        load_into(network, {}, prefix="encoder.")


def test_frozen_parameters_are_set_too(backbone):
    for parameter in backbone.parameters():
        parameter.stop_gradient = True
    state = other_values(backbone)
    load_into(backbone, state)
    assert_holds(backbone, state)
    assert all(parameter.stop_gradient for parameter in backbone.parameters())
