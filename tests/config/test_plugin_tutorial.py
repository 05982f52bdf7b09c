"""docs/plugins.md: its files, its code, its commands' configurations."""

import re
from pathlib import Path

import numpy as np
import paddle
import pytest

from mobileseg.config.build import build_losses, build_network
from mobileseg.config.components import check_components
from mobileseg.config.load import load_config
from mobileseg.registry import BACKBONES, NETWORKS

DOCS = Path(__file__).parents[2] / "docs"
pytestmark = pytest.mark.usefixtures("forget_plugins")

CONFIG = DOCS / "examples" / "tiny_backbone.yml"


@pytest.mark.parametrize("name", ["tiny_backbone.py", "tiny_backbone.yml"])
def test_the_page_shows_the_files_as_they_are(name):
    page = (DOCS / "plugins.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- docs/examples/{re.escape(name)} -->\n```\w+\n(.*?)```\n", page, re.DOTALL)
    assert found is not None
    assert found.group(1) == (DOCS / "examples" / name).read_text(encoding="utf-8")


def test_the_configuration_loads_and_its_components_fit():
    config = load_config(CONFIG)
    check_components(config)
    assert config.model is not None
    assert config.model["backbone"] == {"type": "TinyBackbone", "width": 24}


def test_the_backbone_keeps_its_promises():
    load_config(CONFIG)
    backbone = BACKBONES.get("TinyBackbone")(width=8)
    features = backbone(paddle.zeros([1, 3, 64, 96]))
    assert [tuple(f.shape) for f in features] == [
        (1, info.channels, 64 // info.stride, 96 // info.stride) for info in backbone.feature_info
    ]


NETWORK_SECTIONS = {
    "semantic": {"num_classes": 2, "backbone": {"type": "TinyBackbone"}},
    "instance": {"num_classes": 2, "backbone": {"type": "TinyBackbone"}, "input_size": 64},
}
LOSS_SECTIONS = {
    "semantic": {"types": [{"type": "CrossEntropyLoss"}], "coef": [1, 1, 1]},
    "PPMobileSeg": {"types": [{"type": "CrossEntropyLoss"}], "coef": [1]},
    "instance": {"types": [{"type": "YolactLoss"}], "coef": None},
}


NEED_EQUAL_WIDTHS = {"TopFormer"}
"""Networks that add the features as they are, and say so of a backbone like this one."""


def test_every_network_takes_it_and_learns():
    rng = np.random.default_rng(0)
    x = paddle.to_tensor(rng.normal(size=(2, 3, 64, 64)).astype("float32"))
    masks = np.zeros((2, 1, 64, 64), np.uint8)
    masks[:, :, 16:48, 8:40] = 1
    targets = {
        "label": paddle.to_tensor((x.numpy()[:, 0] > 0).astype("int64")),
        "boxes": paddle.to_tensor([[[0.125, 0.25, 0.625, 0.75]]] * 2),
        "classes": paddle.to_tensor([[0], [1]]),
        "crowd": paddle.zeros([2, 1], "uint8"),
        "masks": paddle.to_tensor(masks),
    }
    tried = set()
    for name in NETWORKS:
        if not NETWORKS.get(name).__module__.startswith("mobileseg.") or name in NEED_EQUAL_WIDTHS:
            continue
        paddle.seed(0)
        task = NETWORKS.get(name).task
        if task not in NETWORK_SECTIONS:  # networks of videos need more of a backbone, or more of a batch
            continue
        tried.add(task)
        criterion = build_losses(load_config(CONFIG, {"loss": LOSS_SECTIONS.get(name, LOSS_SECTIONS[task])}))
        network = build_network({"type": name, **NETWORK_SECTIONS[task]})
        optimizer = paddle.optimizer.SGD(0.5 if task == "semantic" else 0.002, parameters=network.parameters())
        losses = []
        for _ in range(5):
            loss = sum(criterion(network(x), targets).values())
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            losses.append(float(loss))
        assert losses[-1] < losses[0]
    assert tried == {"semantic", "instance"}
