"""Real annotations learned by heart: 32 photographs of COCO with all their classes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mobileseg.config.load import load_config
from mobileseg.training.trainer import Trainer

pytestmark = pytest.mark.both

ROOT = Path(__file__).parent.parent.parent
COUNT = 32
LEAST_AREA = 48 * 48  # square pixels: what the masks of a 256x256 input can show
CONFIG: dict[str, Any] = {
    "_base_": str(ROOT / "configs/_base_/mobileyolact.yml"),
    "batch_size": 8,
    "iters": 320,
    "save_interval": 320,
    "num_workers": 0,
    "model": {
        "input_size": 256,
        "num_classes": 80,
        "anchor_scales": [24, 48, 96, 160, 240],
        "backbone": {
            "type": "MobileNetV2_x1_0",
            "pretrained": str(ROOT / "zoo/mobileseg_mobilenetv2_camvid/model.pdparams"),
        },
    },
    "freeze": ["backbone.conv1.*", "backbone.conv2.*", "backbone.conv3.*"],
    "optimizer": {"type": "AdamW", "weight_decay": 0.0},
    "lr_scheduler": {"type": "PolynomialDecay", "learning_rate": 2.0e-3, "warmup_iters": 20},
    "ema": {"decay": 0.95},
}
STEPS = [{"type": "Resize", "target_size": [256, 256]}, {"type": "Normalize"}]


def first_images(root: Path, target: Path) -> None:
    """Write the annotations of the first photographs all of whose objects are large enough."""
    document = json.loads((root / "annotations/instances_train2017.json").read_text(encoding="utf-8"))
    objects: dict[int, list[dict[str, Any]]] = {}
    for annotation in document["annotations"]:
        objects.setdefault(annotation["image_id"], []).append(annotation)
    large = [image for image in document["images"] if image["id"] in objects]
    large = [image for image in large if all(one["area"] >= LEAST_AREA for one in objects[image["id"]])][:COUNT]
    document["images"] = large
    document["annotations"] = [one for image in large for one in objects[image["id"]]]
    target.write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.timeout(3600)  # nine minutes on an idle core
@pytest.mark.long
def test_photographs_are_learned_by_heart(photos: Path, tmp_path: Path) -> None:
    coco, annotations = photos / "coco", tmp_path / "first.json"
    first_images(coco, annotations)
    for mode in ("train", "val"):
        CONFIG[f"{mode}_dataset"] = {
            "type": "CocoInstances",
            "dataset_root": str(coco),
            "mode": mode,
            "annotation_file": str(annotations),
            "image_dir": str(coco / "train2017"),
            "transforms": STEPS,
        }
    path = tmp_path / "overfit.yml"
    path.write_text(yaml.safe_dump(CONFIG))
    trainer = Trainer(load_config(path), tmp_path / "run")
    assert len(trainer.train_dataset) == COUNT
    result = trainer.fit()
    assert result.scores is not None
    assert result.scores["mask"]["ap"] > 0.5
