"""A pruned network on its way: saved, built again, loaded, trained, exported."""

import copy

import numpy as np
import paddle
import pytest
import yaml

from mobileseg.compress.channels.groups import find_groups
from mobileseg.compress.pruning.score import norm_scores
from mobileseg.compress.pruning.select import select_by_macs
from mobileseg.compress.pruning.surgery import prune
from mobileseg.config.build import build_network
from mobileseg.errors import WeightsError
from mobileseg.export.exporter import export_network
from mobileseg.export.from_config import synthetic_images
from mobileseg.export.options import ExportOptions
from mobileseg.nn.width import apply_plan
from mobileseg.training.weights import load_checkpoint_weights
from mobileseg.weights.load import load_into
from mobileseg.weights.pdparams import save_pdparams
from tests.compress.networks import SECTIONS, build, image, outputs
from tests.export import detectors, families


def pruned_by_norms(network, share=0.3):
    groups = find_groups(network)
    return prune(network, groups, select_by_macs(groups, norm_scores(network, groups), share))


@pytest.fixture(scope="module")
def pruned():
    network = build("MobileNetV2_x0_5")
    return network, pruned_by_norms(network).plan


@pytest.fixture
def folder(pruned, tmp_path):
    """Weights and configuration as a run leaves them."""
    network, plan = pruned
    save_pdparams(tmp_path / "model.pdparams", {name: t.numpy() for name, t in network.state_dict().items()})
    section = SECTIONS["MobileNetV2_x0_5"] | {"plan": plan}
    (tmp_path / "config.yml").write_text(yaml.safe_dump({"model": section}))
    return tmp_path


def test_the_plan_builds_the_narrow_network(pruned, folder):
    network, plan = pruned
    for other in (
        build_network(SECTIONS["MobileNetV2_x0_5"], plan),
        build_network(SECTIONS["MobileNetV2_x0_5"] | {"plan": plan}),
        build_network(yaml.safe_load((folder / "config.yml").read_text())),
    ):
        load_into(other, folder / "model.pdparams")
        ours, theirs = outputs(other, image()), outputs(network, image())
        assert ours.keys() == theirs.keys()
        for name in theirs:
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_its_weights_make_a_plain_network_narrow(pruned, folder):
    other = build_network(SECTIONS["MobileNetV2_x0_5"])
    load_checkpoint_weights(folder, other)
    np.testing.assert_array_equal(outputs(other, image())["logits"], outputs(pruned[0], image())["logits"])


def test_the_wrong_network_is_an_error(pruned, folder):
    other = build_network(SECTIONS["ShuffleNetV2_x0_5"])
    before = {name: tensor.numpy() for name, tensor in other.state_dict().items()}
    with pytest.raises(WeightsError, match="the channel plan is of another network"):
        load_checkpoint_weights(folder, other)
    narrower = copy.deepcopy(SECTIONS["MobileNetV2_x0_5"])
    narrower["backbone"]["type"] = "MobileNetV2_x0_25"
    with pytest.raises(WeightsError, match="is of another network"):
        build_network(narrower, pruned[1])
    (folder / "config.yml").unlink()
    with pytest.raises(WeightsError, match="nothing was changed"):
        load_checkpoint_weights(folder, build_network(SECTIONS["MobileNetV2_x0_5"]))
    assert all(np.array_equal(before[name], tensor.numpy()) for name, tensor in other.state_dict().items())


def test_a_narrow_network_trains(pruned):
    network = build_network(SECTIONS["MobileNetV2_x0_5"], pruned[1])
    network.train()
    optimizer = paddle.optimizer.Momentum(0.01, parameters=network.parameters())
    losses = []
    for _ in range(4):
        loss = sum(value.square().mean() for value in network(image()).values())
        loss.backward()
        assert all(p.grad is None or p.grad.shape == p.shape for p in network.parameters())
        optimizer.step()
        optimizer.clear_grad()
        losses.append(float(loss))
    assert losses[-1] < losses[0]


@pytest.mark.timeout(1800)  # Lite-HRNet has two thousand operators
@pytest.mark.parametrize(
    "family",
    [
        pytest.param(f, marks=[] if f == "mobilenetv2" else pytest.mark.long)
        for f in (*families.FAMILIES, *families.OTHERS)
    ],
)
def test_pruned_networks_export(family, tmp_path):
    """The semantic segmentation models without 30 % of their multiply-adds: built from the plan, loaded, exported."""
    network = families.build(family)
    plan = pruned_by_norms(network).plan
    save_pdparams(tmp_path / "a.pdparams", {name: t.numpy() for name, t in network.state_dict().items()})
    other = families.build(family)
    apply_plan(other, plan)
    load_into(other, tmp_path / "a.pdparams")
    families._balance(other)
    result = export_network(
        other,
        tmp_path / family,
        ExportOptions(96, 160, output_op="none"),
        families.subject(family, other),
        synthetic_images((96, 160), 4),
        targets=["paddle", "onnx"],
    )
    assert [row.status for row in result.rows] == ["ok", "ok"]
    assert all(row.max_diff < 1e-3 for row in result.rows)


DETECTORS = [
    ("MobileYolact", "MobileNetV2_x0_25"),
    *(("MobileYolact", backbone) for backbone, *_ in families.FAMILIES.values()),
    ("Yolact", "ResNet50"),
    ("Yolact", "ResNet50_vd"),
    ("Yolact", "MobileNetV2_x1_0"),
]


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("network", "backbone"), DETECTORS)
def test_pruned_detectors_export(network, backbone, tmp_path):
    """Instance segmentation models, with pyramids wide enough to lose something."""
    size, wide = (100, 140), {"fpn_channels": 64, "num_prototypes": 16}
    made = detectors.detector(backbone, network, size, **wide)
    plan = pruned_by_norms(made).plan
    save_pdparams(tmp_path / "a.pdparams", {name: t.numpy() for name, t in made.state_dict().items()})
    other = detectors.detector(backbone, network, size, **wide)
    apply_plan(other, plan)
    load_into(other, tmp_path / "a.pdparams")
    detectors.settle(other, size)
    options, images = ExportOptions(*size), synthetic_images((90, 120), 5)
    result = export_network(
        other, tmp_path / "b", options, detectors.subject(), images, targets=["paddle", "onnx"], accept_weak=True
    )
    assert [row.status for row in result.rows] == ["ok", "ok"]
    assert all(row.max_diff < 1e-3 for row in result.rows)
