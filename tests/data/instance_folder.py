"""Small datasets of objects that tests write."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (48, 64)


def rectangle(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    """A polygon of four points."""
    return [x1, y1, x2, y1, x2, y2, x1, y2]


class CocoFolder:
    """A COCO dataset in the making: ``annotations/instances_{mode}.json`` and ``images/{mode}/``."""

    def __init__(self, root: Path, mode: str = "train", categories: tuple[str, ...] = ("cat", "dog")) -> None:
        self.root, self.mode = root, mode
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.categories = [{"id": 10 * (i + 1), "name": name} for i, name in enumerate(categories)]
        self.rng = np.random.default_rng(5)

    def image(self, **save: Any) -> int:
        """Write another image, 48x64; returns its id."""
        identifier = 100 + len(self.images)
        name = f"{identifier}.png"
        folder = self.root / "images" / self.mode
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(self.rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(folder / name, **save)
        self.images.append({"id": identifier, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
        return identifier

    def object(self, image: int, box: tuple[float, float, float, float], category: int = 10, **more: Any) -> None:
        """Add a rectangular object (x1, y1, x2, y2)."""
        x1, y1, x2, y2 = box
        self.annotations.append(
            {"id": len(self.annotations) + 1, "image_id": image, "category_id": category, "iscrowd": 0,
             "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "segmentation": [rectangle(*box)]}
            | more
        )  # fmt: skip

    def write(self) -> str:
        """Write the JSON file; returns ``dataset_root``."""
        path = self.root / "annotations" / f"instances_{self.mode}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"images": self.images, "annotations": self.annotations, "categories": self.categories}
        path.write_text(json.dumps(document))
        return str(self.root)
