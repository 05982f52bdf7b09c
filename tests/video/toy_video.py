"""Configurations that train a small YolactEdge on generated clips, pairs and still images, one for each stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobileseg.config.load import Config
from mobileseg.data.synthetic.datasets import generate
from mobileseg.data.synthetic.video import generate_clips, generate_pairs

CLASSES = ["stripes", "checks", "dots", "rings"]
SIZE = [64, 64]
NORMALISE = {"type": "Normalize"}
LOSSES_OF = {"flow": "FlowLoss", "transform": "TransformLoss"}


def toy_video_data(folder: Path) -> Path:
    """4 + 1 clips of 7 frames, 8 + 1 pairs and 6 still images, all 64x64; returns where they are."""
    generate_clips(folder / "clips", train=4, val=1, length=7, size=SIZE)
    generate_pairs(folder / "pairs", train=8, val=1, size=SIZE)
    generate(folder / "stills", train=6, val=1, size=SIZE, clips=0, val_clips=0)
    return folder


def toy_video_section(
    root: Path, stage: str, *, stills: bool = True, network: str = "MobileYolactEdge"
) -> dict[str, Any]:
    """The configuration of a stage, as a mapping."""
    flip = [{"type": "RandomHorizontalFlip"}, NORMALISE]
    clips: dict[str, Any] = {"type": "YouTubeVIS", "dataset_root": str(root / "clips"), "classes": CLASSES}
    train = clips | {"mode": "train", "transforms": flip}
    if stage == "flow":
        train = {"type": "FlyingChairs", "dataset_root": str(root / "pairs"), "classes": CLASSES}
        train["transforms"] = [NORMALISE]
    if stage in ("joint", "transform"):
        train["reference"] = [1, 3]
    still = {"type": "CocoInstances", "dataset_root": str(root / "stills"), "mode": "train", "transforms": flip}
    model = {"type": network, "num_classes": 4, "input_size": 64, "fpn_channels": 8, "num_prototypes": 4}
    widths = [4, 6] if network == "MobileYolactEdge" else [4, 6, 8]
    narrow = {"flow_channels": 4, "flow_widths": widths, "proto_convs": [1, 0]}
    return {
        "batch_size": 2,
        "iters": 3,
        "save_interval": 2,
        "log_iters": 1,
        "num_workers": 0,
        "seed": 3,
        "train_dataset": train,
        "val_dataset": clips | {"mode": "val", "transforms": [NORMALISE]},
        "stills_dataset": still if stills and stage in ("base", "joint") else None,
        "model": model | narrow | {"backbone": {"type": "MobileNetV2_x0_25"}},
        "loss": {"types": [{"type": LOSSES_OF.get(stage, "YolactLoss")}]},
        "optimizer": {"type": "SGD", "momentum": 0.9, "weight_decay": 5e-4},
        "lr_scheduler": {"type": "CosineDecay", "learning_rate": 2e-3, "warmup_iters": 2, "count_warmup": True},
        "video": {"stage": stage},
        "clip": {"norm": 5.0},
        "ema": {"decay": 0.9},
    }


def toy_queries_section(root: Path, **train: Any) -> dict[str, Any]:
    """The configuration of the clips with a small MobileInst; ``train`` changes the training dataset."""
    found = toy_video_section(root, "base", stills=False)
    found["model"] = {
        "type": "MobileInst",
        "num_classes": 4,
        "channels": 16,
        "mask_channels": 8,
        "num_queries": 6,
        "heads": 4,
        "hidden": 16,
        "token_stride": 32,
        "backbone": {"type": "MobileNetV2_x0_25"},
    }
    found["loss"] = {"types": [{"type": "MobileInstLoss", "reuse_weight": 0.5}]}
    found["optimizer"] = {"type": "AdamW"}
    found["train_dataset"] |= train
    return found


def toy_video_config(path: Path, root: Path, stage: str, **options: Any) -> Config:
    """The same as a configuration that was read from a file."""
    from mobileseg.config.load import load_config
    from mobileseg.config.source import dump

    path.write_text(dump(toy_video_section(root, stage, **options)))
    return load_config(path)
