"""A small COCO dataset that tests fill and damage."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mobileseg.data.formats.coco import CocoInstances
from tests.data.conftest import smooth_image

SIZE = (60, 80)  # height, width


def rectangle(x: float, y: float, width: float, height: float) -> list[float]:
    """A polygon."""
    return [x, y, x + width, y, x + width, y + height, x, y + height]


class CocoFolder:
    """Images and one annotation file per split; ``document(split)`` may be changed before :meth:`open`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rng = np.random.default_rng(11)
        self.documents: dict[str, dict[str, Any]] = {}

    def document(self, split: str = "train", images: int = 3) -> dict[str, Any]:
        """The annotations of a split: in every image two objects, a cat and a dog; made at the first call."""
        if split not in self.documents:
            document: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
            document["categories"] = [{"id": 4, "name": "cat"}, {"id": 9, "name": "dog"}]
            self.documents[split] = document
            for index in range(images):
                name = f"{split}_{index}.png"
                image = smooth_image(self.rng, *SIZE)
                (self.root / split).mkdir(exist_ok=True)
                Image.fromarray(image).save(self.root / split / name)
                document["images"].append({"id": 10 + index, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
                self.add(split, 10 + index, (10, 10, 20, 15), category=4)
                self.add(split, 10 + index, (40, 30, 25, 20), category=9)
        return self.documents[split]

    def add(
        self,
        split: str,
        image: int,
        box: tuple[float, float, float, float],
        *,
        category: int = 4,
        segmentation: Any = None,
        **more: Any,
    ) -> dict[str, Any]:
        """One more annotation: a rectangle unless a segmentation is given."""
        annotations = self.documents[split]["annotations"]
        entry = {
            "id": 100 + len(annotations),
            "image_id": image,
            "category_id": category,
            "bbox": list(box),
            "area": box[2] * box[3],
            "iscrowd": 0,
            "segmentation": [rectangle(*box)] if segmentation is None else segmentation,
        }
        annotations.append(entry | more)
        return annotations[-1]

    def write(self, split: str = "train") -> Path:
        """Write the annotation file."""
        path = self.root / f"{split}.json"
        path.write_text(json.dumps(self.document(split)))
        return path

    def open(self, split: str = "train", **more: Any) -> CocoInstances:
        """The dataset as it stands now."""
        arguments = {
            "transforms": [{"type": "Resize", "target_size": [32, 32]}, {"type": "Normalize"}],
            "annotation_file": str(self.write(split)),
            "image_dir": str(self.root / split),
            "mode": split,
            "keep_empty": True,
        }
        return CocoInstances(str(self.root), **copy.deepcopy(arguments | more))
