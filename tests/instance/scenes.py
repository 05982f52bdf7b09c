"""Small scenes with objects, crowd regions and imperfect detections, as a dataset and as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco_mask

from mobileseg.structures import InstanceMasks, InstanceResult

CATEGORY_IDS = (7, 3, 90)  # neither contiguous nor sorted


@dataclass
class Things:
    """Objects or detections of one image: boxes xyxy, masks bool [n, H, W]."""

    boxes: np.ndarray
    masks: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    crowd: np.ndarray

    @classmethod
    def empty(cls, size: tuple[int, int]) -> Things:
        none = np.zeros(0)
        return cls(np.zeros((0, 4)), np.zeros((0, *size), bool), none.astype(int), none, none.astype(bool))

    def result(self) -> InstanceResult:
        order = np.argsort(-self.scores, kind="stable")
        return InstanceResult(
            boxes=self.boxes[order].astype(np.float32),
            scores=self.scores[order].astype(np.float32),
            classes=self.classes[order].astype(np.int64),
            masks=InstanceMasks.from_array(self.masks[order]),
        )


def ellipse(size: tuple[int, int], centre: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """bool [H, W]."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return ((columns - centre[0]) / axes[0]) ** 2 + ((rows - centre[1]) / axes[1]) ** 2 <= 1


def draw(rng: np.random.Generator, size: tuple[int, int], count: int, reach: tuple[float, float]) -> Things:
    """Random ellipses of half-axes ``reach``; every fourth is a crowd region."""
    masks, boxes = np.zeros((count, *size), bool), np.zeros((count, 4))
    for number in range(count):
        centre = rng.uniform([5, 5], [size[1] - 5, size[0] - 5])
        masks[number] = ellipse(size, centre, rng.uniform(*reach, 2))
        boxes[number] = box_of(masks[number])
    crowd = np.arange(count) % 4 == 3
    return Things(boxes, masks, rng.integers(0, 3, count), np.ones(count), crowd)


def box_of(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)


def detect(rng: np.random.Generator, truth: Things, noise: int) -> Things:
    """Shifted copies of the objects, some with a wrong class, and random ones; scores are all different."""
    size = truth.masks.shape[1:]
    extra = draw(rng, size, noise, (3, 30))
    masks = [np.roll(mask, rng.integers(-5, 6, 2), (0, 1)) for mask in truth.masks for _ in range(2)]
    classes = [label if rng.random() < 0.85 else int(rng.integers(0, 3)) for label in truth.classes for _ in range(2)]
    masks, classes = [*masks, *extra.masks], [*classes, *extra.classes]
    count = len(masks)
    boxes = np.array([box_of(mask) + rng.uniform(-2, 2, 4) for mask in masks]).reshape(-1, 4)
    return Things(
        boxes.astype(np.float32).astype(float),
        np.array(masks).reshape(count, *size),
        np.array(classes, int),
        rng.permutation(count) / 1000 + rng.random() / 2000 + 0.1,
        np.zeros(count, bool),
    )


class Scenes:
    """What scoring needs of a dataset."""

    task = "instance"
    classes = ("cat", "dog", "kite")
    category_ids = CATEGORY_IDS
    num_classes = 3

    def __init__(self, images: list[Things]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def image_id(self, index: int) -> int:
        return 1000 - 10 * index

    def file_name(self, index: int) -> str:
        return f"{index:03d}.jpg"

    def coco_ground_truth(self) -> dict:
        images, annotations = [], []
        for index, image in enumerate(self.images):
            height, width = image.masks.shape[1:]
            entry = {"id": self.image_id(index), "file_name": self.file_name(index), "height": height, "width": width}
            images.append(entry)
            for box, mask, label, crowd in zip(image.boxes, image.masks, image.classes, image.crowd, strict=True):
                rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
                annotations.append(
                    {
                        "id": len(annotations),  # from 0, which pycocotools alone does not survive
                        "image_id": self.image_id(index),
                        "category_id": CATEGORY_IDS[label],
                        "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                        "area": float(mask.sum()),
                        "iscrowd": int(crowd),
                        "segmentation": {"size": [height, width], "counts": rle["counts"].decode()},
                    }
                )
        categories = [{"id": number, "name": name} for number, name in zip(CATEGORY_IDS, self.classes, strict=True)]
        return {"images": images, "annotations": annotations, "categories": categories}


def scenes(seed: int = 0, count: int = 6, noise: int = 6) -> tuple[Scenes, list[Things]]:
    """Images of different sizes with objects of all three area ranges, and detections in them."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for index in range(count):
        size = (120 + 8 * index, 160)
        objects = draw(rng, size, 0 if index == 2 else 6 + index, (4, 12) if index % 2 else (20, 50))
        truth.append(objects)
        found.append(Things.empty(size) if index == 3 else detect(rng, objects, noise))
    return Scenes(truth), found
