"""Images of coloured blocks with their annotations, and a configuration whose network finds most of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import yaml
from PIL import Image

from mobileseg.config.build import build_network
from mobileseg.config.load import load_config

SIZE = (64, 96)  # height, width
CATEGORY_IDS = {"red": 5, "green": 2, "blue": 40}


def draw_blocks(root: Path, count: int = 8, size: tuple[int, int] = SIZE, scale: int = 1) -> None:
    """Write images whose blocks lie a little beside the cells of the network, some of them too pale to be found.

    Args:
        root: dataset folder.
        count: images.
        size: height and width of the network's input.
        scale: of the images to that.
    """
    rng = np.random.default_rng(5)
    (root / "images").mkdir(parents=True)
    document: dict[str, Any] = {"images": [], "annotations": []}
    document["categories"] = [{"id": number, "name": name} for name, number in CATEGORY_IDS.items()]
    height, width = size[0] * scale, size[1] * scale
    for index in range(count):
        image = np.full((height, width, 3), 20, np.uint8)
        for cell in rng.choice(size[0] // 16 * (size[1] // 16), 5, replace=False):
            row, column = divmod(int(cell), size[1] // 16)
            side = rng.integers(9, 15) * scale
            top, left = (16 * np.array([row, column]) + rng.integers(0, 3, 2)) * scale
            label = int(rng.integers(0, 3))
            image[top : top + side, left : left + side] = 20
            image[top : top + side, left : left + side, label] = rng.integers(90, 256)
            x, y, side = int(left), int(top), int(side)
            document["annotations"].append(
                {
                    "id": len(document["annotations"]) + 1,
                    "image_id": 70 - index,
                    "category_id": list(CATEGORY_IDS.values())[label],
                    "bbox": [x, y, side, side],
                    "area": side * side,
                    "iscrowd": 0,
                    "segmentation": [[x, y, x + side, y, x + side, y + side, x, y + side]],
                }
            )
        name = f"{index:03d}.png"
        Image.fromarray(image).save(root / "images" / name)
        document["images"].append({"id": 70 - index, "file_name": name, "height": height, "width": width})
    (root / "val.json").write_text(json.dumps(document))


def blocks_section(root: Path, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    """A configuration that evaluates ToyDetector on the images."""
    return {
        "plugins": [str(Path(__file__).parents[1] / "training" / "toy_detector.py")],
        "val_dataset": {
            "type": "CocoInstances",
            "dataset_root": str(root),
            "annotation_file": str(root / "val.json"),
            "image_dir": str(root / "images"),
            "mode": "val",
            "classes": list(CATEGORY_IDS),
            "transforms": [{"type": "Resize", "target_size": [size[1], size[0]]}, {"type": "Normalize"}],
        },
        "model": {"type": "ToyDetector", "num_classes": 3},
    }


def write_blocks(root: Path, **options: Any) -> tuple[Path, Path]:
    """Images, configuration and weights; returns the paths of the last two."""
    draw_blocks(root / "data", **options)
    config, weights = root / "blocks.yml", root / "model.pdparams"
    config.write_text(yaml.safe_dump(blocks_section(root / "data")))
    paddle.save(build_network(load_config(config), load_pretrained=False).state_dict(), str(weights))
    return config, weights
