"""The configurations of YolactEdge: stages that fit each other, and the published values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mobileseg.config.build import build_network
from mobileseg.config.load import load_config
from mobileseg.training.schedule import build_schedule
from mobileseg.weights.load import load_into
from tests.instance_tester import original_state

CONFIGS = Path(__file__).parents[2] / "configs" / "yolact_edge"
FAMILIES = sorted(file.stem.removesuffix("_base") for file in CONFIGS.glob("*_base.yml"))
STAGES = ("base", "flow", "joint")
LOSSES = {"flow": "FlowLoss", "transform": "TransformLoss"}


def values(family: str, stage: str) -> dict[str, Any]:
    return load_config(CONFIGS / f"{family}_{stage}.yml").to_dict()


@pytest.mark.parametrize("family", FAMILIES)
def test_stages_follow_each_other(family: str) -> None:
    """Each begins with what the one before wrote; network, classes and normalisation are the same."""
    second = next(stage for stage in LOSSES if (CONFIGS / f"{family}_{stage}.yml").is_file())
    base, motion, joint = (values(family, stage) for stage in ("base", second, "joint"))
    assert [data["video"]["stage"] for data in (base, motion, joint)] == ["base", second, "joint"]
    for before, data in (("base", motion), (second, joint)):
        assert data["model"]["pretrained"].startswith(f"output/{family}_{before}/last/")
    fixed = [
        {k: v for k, v in data["model"].items() if k not in ("pretrained", "backbone")}
        for data in (base, motion, joint)
    ]
    assert fixed[0] == fixed[1] == fixed[2]
    (loss,) = motion["loss"]["types"]
    assert loss in ({"type": LOSSES[second]}, {"type": LOSSES[second], "weight": 1.0})
    assert base["loss"] == joint["loss"]
    assert len(motion["train_dataset"]["classes"]) == base["model"]["num_classes"]
    size = base["model"]["input_size"]
    assert f"_{size}_" in f"{family}_"
    steps = {step["type"]: step for step in base["train_dataset"]["transforms"]}
    for data in (motion, joint):
        assert steps["Normalize"] in data["train_dataset"]["transforms"]


@pytest.mark.parametrize("family", [name for name in FAMILIES if "ytvis" in name])
def test_published_stages(family: str) -> None:
    base, flow, joint = (values(family, stage) for stage in STAGES)
    for data, rate, iters in ((base, 5e-4, 500_000), (flow, 2e-4, 400_000), (joint, 2e-4, 200_000)):
        assert data["optimizer"] == {"type": "SGD", "momentum": 0.9, "use_nesterov": False, "weight_decay": 5e-4}
        assert (data["batch_size"], data["iters"]) == (8, iters)
        schedule = build_schedule(data["lr_scheduler"], iters)
        for iteration in (0, 250, 500, 501, iters // 2, iters - 1):
            warm = rate * iteration / 500
            cosine = rate * (math.cos(math.pi * iteration / iters) + 1) / 2
            assert schedule.at(iteration) == pytest.approx(warm if iteration <= 500 else cosine)
    names = [[step["type"] for step in data["train_dataset"]["transforms"]] for data in (base, joint)]
    assert [name for name in names[0] if name != "RandomExpand"] == names[1]  # expansion is off in the joint stage
    assert joint["train_dataset"]["reference"] == [2, 5]
    assert joint["video"] == {
        "stage": "joint",
        "freeze": "published",
        "matching": {"places": "L+P", "measure": "cosine", "weight": 1.0, "published_conv_quirk": False},
    }
    assert flow["stills_dataset"] is None
    assert [data["stills_dataset"]["type"] for data in (base, joint)] == ["CocoYouTubeVIS"] * 2


@pytest.mark.parametrize(
    ("family", "weights"),
    [
        ("yolact_edge_resnet50_ytvis_550", "yolact_edge_vid_resnet50"),
        ("yolact_edge_resnet101_ytvis_550", "yolact_edge_vid"),
    ],
)
def test_networks_take_the_published_weights(family: str, weights: str) -> None:
    network = build_network(load_config(CONFIGS / f"{family}_joint.yml"), load_pretrained=False)
    assert load_into(network, original_state(weights)).complete
