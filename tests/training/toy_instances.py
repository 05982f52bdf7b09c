"""A configuration that trains a small YOLACT on generated images, one of them without objects, one with crowds."""

import json
from pathlib import Path
from typing import Any

from mobileseg.data.synthetic.datasets import generate


def toy_instances(folder: Path) -> Path:
    """12 + 4 images of 64x64 pixels; returns where they are."""
    root = folder / "generated"
    generate(root, train=12, val=4, size=(64, 64), clips=0, val_clips=0)
    path = root / "annotations" / "instances_train.json"
    document = json.loads(path.read_text())
    empty, crowded = sorted(image["id"] for image in document["images"])[:2]
    document["annotations"] = [one for one in document["annotations"] if one["image_id"] != empty]
    next(one for one in document["annotations"] if one["image_id"] == crowded)["iscrowd"] = 1
    path.write_text(json.dumps(document))
    return root


def toy_instance_section(root: Path) -> dict[str, Any]:
    dataset = {"type": "CocoInstances", "dataset_root": str(root)}
    resize = [{"type": "Resize", "target_size": [64, 64]}]
    train = [*resize, {"type": "RandomHorizontalFlip"}, {"type": "Normalize"}]
    model = {"type": "Yolact", "input_size": 96, "fpn_channels": 8, "num_prototypes": 4, "proto_convs": [1, 0]}
    return {
        "plugins": [str(Path(__file__).parent / "toy_backbone.py")],
        "batch_size": 4,
        "iters": 8,
        "save_interval": 4,
        "log_iters": 1,
        "num_workers": 0,
        "seed": 3,
        "train_dataset": dataset | {"mode": "train", "transforms": train, "keep_empty": True},
        "val_dataset": dataset | {"mode": "val", "transforms": [*resize, {"type": "Normalize"}]},
        "model": model | {"num_classes": 4, "backbone": {"type": "ToyBackbone"}},
        "loss": {"types": [{"type": "YolactLoss"}]},
        "optimizer": {"type": "SGD", "momentum": 0.9, "weight_decay": 5e-4},
        "lr_scheduler": {"type": "PolynomialDecay", "learning_rate": 2e-3, "warmup_iters": 2},
    }


def overfit_section(root: Path) -> dict[str, Any]:
    """mobileYOLACT from random weights on the same six images of 128x128 over and over, evaluated on these."""
    dataset = {"type": "CocoInstances", "dataset_root": str(root), "mode": "train"}
    steps = [{"type": "Resize", "target_size": [128, 128]}, {"type": "Normalize"}]
    evaluated = {"mode": "val", "annotation_file": "annotations/instances_train.json", "image_dir": "images/train"}
    return {
        "batch_size": 6,
        "iters": 100,
        "eval_interval": 50,
        "save_interval": 100,
        "log_iters": 10,
        "num_workers": 0,
        "train_dataset": dataset | {"transforms": steps},
        "val_dataset": dataset | evaluated | {"transforms": steps},
        "model": {
            "type": "MobileYolact",
            "num_classes": 4,
            "input_size": 128,
            "fpn_channels": 64,
            "backbone": {"type": "MobileNetV2_x1_0"},
        },
        "loss": {"types": [{"type": "YolactLoss"}]},
        "optimizer": {"type": "SGD", "momentum": 0.9, "weight_decay": 5e-4},
        "lr_scheduler": {
            "type": "PolynomialDecay",
            "learning_rate": 0.01,
            "end_lr": 1e-4,
            "warmup_iters": 20,
            "decay_steps": 180,
        },
    }
