"""Small datasets of videos that tests write."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

SIZE = (48, 64)


def box_mask(x1: int, y1: int, x2: int, y2: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 [H, W] with a filled rectangle."""
    mask = np.zeros(size, np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


def rle_of(mask: np.ndarray) -> dict[str, Any]:
    """Compressed RLE, by pycocotools, as it stands in JSON."""
    rle = coco_mask.encode(np.asfortranarray(mask))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def save(path: Path, pixels: np.ndarray) -> None:
    """Write an image of 8 or 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def noise(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 [H, W, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


class VideoFolder:
    """A YouTube-VIS dataset in the making: ``{mode}.json`` and ``{mode}/JPEGImages``."""

    def __init__(self, root: Path, mode: str = "train") -> None:
        self.root, self.mode = root, mode
        self.videos: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.categories = [{"id": 10, "name": "cat"}, {"id": 20, "name": "dog"}]

    def frame(self, name: str, seed: int = 0) -> Path:
        """Write one frame."""
        path = self.root / self.mode / "JPEGImages" / f"{name}.png"
        save(path, noise(seed))
        return path

    def video(self, numbers: Sequence[int], *, still: bool = False, extra: Sequence[int] = ()) -> int:
        """Write a video with frames of these file numbers; those of ``extra`` are in the folder alone. Returns its id.

        With ``still`` all frames have the same pixels.
        """
        identifier = 100 + len(self.videos)
        for number in [*numbers, *extra]:
            self.frame(f"v{identifier}/{number:05d}", identifier if still else identifier * 1000 + number)
        self.videos.append(
            {
                "id": identifier, "height": SIZE[0], "width": SIZE[1], "length": len(numbers),
                "file_names": [f"v{identifier}/{number:05d}.png" for number in numbers],
            }
        )  # fmt: skip
        return identifier

    def track(self, video: int, masks: Sequence[np.ndarray | None], category: int = 10, **more: Any) -> int:
        """Add an object; None where it cannot be seen. Returns its id."""
        identifier = len(self.annotations) + 1
        rles = [None if mask is None else rle_of(mask) for mask in masks]
        self.annotations.append(
            {
                "id": identifier, "video_id": video, "category_id": category, "iscrowd": 0,
                "segmentations": rles,
                "bboxes": [None if rle is None else coco_mask.toBbox(rle).tolist() for rle in rles],
                "areas": [None if rle is None else float(coco_mask.area(rle)) for rle in rles],
            }
            | more
        )  # fmt: skip
        return identifier

    def write(self) -> str:
        """Write the JSON file; returns ``dataset_root``."""
        self.root.mkdir(parents=True, exist_ok=True)
        document = {"videos": self.videos, "annotations": self.annotations, "categories": self.categories}
        (self.root / f"{self.mode}.json").write_text(json.dumps(document))
        return str(self.root)


def moving(count: int, step: int = 2) -> list[np.ndarray]:
    """Masks of an object that moves to the right."""
    return [box_mask(4 + step * time, 8, 24 + step * time, 32) for time in range(count)]
