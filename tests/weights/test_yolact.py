"""Weights files of YOLACT and yolact_edge become our networks.

The files of tests/reference/torch were written by PyTorch, see tools/make_torch_files.py; the outputs of the full
networks are compared in tests/instance.
"""

import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mobileseg.backbones import resnet
from mobileseg.backbones.mobilenetv2 import MobileNetV2_x1_0
from mobileseg.errors import WeightsError
from mobileseg.instance.model import Yolact
from mobileseg.weights.load import load_into
from mobileseg.weights.read import read_weights
from mobileseg.weights.yolact import is_yolact, usual_names
from tests.instance_tester import original_state
from tests.model_tester import stored_keys
from tests.reference_fill import INSTANCE_GAIN, fill_value

pytestmark = pytest.mark.both

FILES = Path(__file__).parents[1] / "reference" / "torch"
LEGACY, ZIP = FILES / "yolact_legacy.pth", FILES / "yolact_edge_zip.pth"


@pytest.fixture
def small(monkeypatch):
    """The network whose weights the files hold."""
    monkeypatch.setattr(resnet, "WIDTHS", (2, 2, 2, 2))
    return Yolact(2, resnet.ResNet((1, 1, 1, 1), False), fpn_channels=4, num_prototypes=2)


def original_name(name, edge):
    """Our name of an entry in the words of the file."""
    entries = {"_mean": "running_mean", "_variance": "running_var"}
    module, entry = name.rsplit(".", 1)
    name = f"{module}.{entries.get(entry, entry)}"
    for stage in range(4):
        name = name.replace(f"backbone.layer{stage + 1}.", f"backbone.layers.{stage}.")
    if edge:
        name = name.replace("fpn.lat", "fpn_phase_1.lat")
        name = name.replace("fpn.pred", "fpn_phase_2.pred").replace("fpn.down", "fpn_phase_2.down")
    return name


@pytest.mark.parametrize(("file", "edge"), [(LEGACY, False), (ZIP, True)], ids=["legacy", "zip"])
def test_files_of_both_layouts(small, file, edge):
    assert zipfile.is_zipfile(file) == edge
    report = load_into(small, file)
    assert report.complete
    assert report.rule == "YOLACT with torchvision ResNet"
    for name, tensor in small.state_dict().items():
        expected = fill_value(original_name(name, edge), tensor.shape, INSTANCE_GAIN)
        np.testing.assert_array_equal(tensor.numpy(), expected, err_msg=name)


def test_the_backbone_of_a_file(small):
    before = {name: tensor.numpy().copy() for name, tensor in small.state_dict().items()}
    report = load_into(small, LEGACY, prefix="backbone.")
    assert report.complete
    assert all(name.startswith("backbone.") for name in report.loaded)
    for name, tensor in small.state_dict().items():
        assert np.array_equal(tensor.numpy(), before[name]) == (not name.startswith("backbone.")), name
    alone = load_into(small.backbone, ZIP)
    assert alone.complete
    assert {name.split(".")[0] for name in alone.ignored} == {
        "fpn",
        "proto_net",
        "prediction_layers",
        "semantic_seg_conv",
    }


def test_reading_needs_neither_framework():
    """In a process in which importing either one fails."""
    script = (
        "import sys; sys.modules['torch'] = sys.modules['paddle'] = None\n"
        "from mobileseg.weights.read import read_weights\n"
        "print(*(len(read_weights(path)) for path in sys.argv[1:]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(LEGACY), str(ZIP)], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["130", "108"]


def test_duplicates_and_unused_levels_are_left_out():
    state = read_weights(LEGACY)
    extra = {
        name
        for name in state
        if name.startswith(("backbone.layer4.", "fpn.downsample_layers.2", "fpn.downsample_layers.3"))
    }
    assert len(extra) == 22
    assert set(usual_names(state)) == set(state) - extra


def test_stages_without_duplicates_stay():
    """The prefix of the duplicates alone does not make them superfluous."""
    state = {"backbone.layer4.0.conv1.weight": np.zeros(1), "fpn.downsample_layers.1.bias": np.zeros(1)}
    assert usual_names(state) == state


@pytest.mark.parametrize("name", ["yolact_resnet50", "yolact_base", "yolact_edge_resnet50", "yolact_edge_mobilenetv2"])
def test_files_are_recognised(name):
    assert is_yolact(stored_keys(name))
    assert not is_yolact(stored_keys("mobilenetv2"))


def test_units_of_mobilenetv2_are_counted_through():
    """The same order of entries under torchvision's names, of which the standard file has one for every module."""
    state = original_state("yolact_edge_mobilenetv2")
    renamed = [name for name in usual_names(state) if name.startswith("backbone.")]
    assert list(dict.fromkeys(int(name.split(".")[2]) for name in renamed)) == list(range(19))
    assert "backbone.features.2.conv.1.0.weight" in renamed
    assert "backbone.features.17.conv.3.running_mean" in renamed
    assert renamed[-6:][0] == "backbone.features.18.0.weight"


def test_mobilenetv2_of_both_taps():
    """Groups 7 and 8 of a file belong to the backbone with the usual taps, and are not needed with yolact_edge's."""
    state = original_state("yolact_edge_mobilenetv2")
    edge, usual = MobileNetV2_x1_0(taps="yolact_edge"), MobileNetV2_x1_0()
    report = load_into(edge, state)
    assert report.complete
    assert {name.split(".")[0] for name in report.ignored} >= {"conv8", "features"}
    report = load_into(usual, state)
    assert report.complete
    assert any(name.startswith("conv8.") for name in report.loaded)


def test_a_file_for_another_network_is_refused(small):
    before = {name: tensor.numpy().copy() for name, tensor in small.state_dict().items()}
    with pytest.raises(WeightsError, match="nothing was changed"):
        load_into(small, {**read_weights(ZIP), "spa.refine_convs.0.0.weight": np.zeros((4, 8, 3, 3), np.float32)})
    for name, tensor in small.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


class Touch:
    """Would create a file when unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_more_than_tensors_is_refused_and_nothing_runs(small, tmp_path, layout):
    """The real file with one entry more: an object that would act when it is unpickled."""
    target, trap = tmp_path / "trap.pth", tmp_path / "made"
    call = pickle.dumps(Touch(trap), protocol=2)[2:-1]  # without PROTO and STOP
    entry = pickle.dumps("extra", protocol=2)[2:-1] + call + b"s"
    if layout == "zip":
        with zipfile.ZipFile(ZIP) as source, zipfile.ZipFile(target, "w") as bundle:
            for info in source.infolist():
                body = source.read(info)
                bundle.writestr(info, body[:-1] + entry + b"." if info.filename.endswith("data.pkl") else body)
    else:
        shutil.copy(LEGACY, target)
        raw = target.read_bytes()
        end = _end_of_fourth_pickle(target)
        target.write_bytes(raw[: end - 1] + entry + raw[end - 1 :])
    before = {name: tensor.numpy().copy() for name, tensor in small.state_dict().items()}
    with pytest.raises(WeightsError, match=r"mkdir.*refused, nothing was run"):
        load_into(small, target)
    assert not trap.exists()
    for name, tensor in small.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


def _end_of_fourth_pickle(path):
    import pickletools

    with path.open("rb") as stream:
        for _ in range(4):
            for _ in pickletools.genops(stream):
                pass
        return stream.tell()
