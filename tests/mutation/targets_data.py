"""Annotations, lists, class names, labels and images, damaged."""

from __future__ import annotations

import copy
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from mobileseg.data.datasets import CocoInstances, Dataset, LabelmeInstances
from mobileseg.data.doctor.diagnose import diagnose, preflight
from mobileseg.data.doctor.table import render
from mobileseg.data.io import read_image, read_label
from tests.mutation.mutate import damaged_bytes, damaged_document, damaged_text
from tests.mutation.target import MustRefuse, Target

SIZE = (20, 30)
RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
LABEL = RNG.integers(0, 3, SIZE, dtype=np.uint8)
CROWD = np.asfortranarray(np.eye(*SIZE, dtype=np.uint8))
STEPS = [{"type": "Resize", "target_size": [16, 16]}, {"type": "Normalize"}]


def rectangle(x: float, y: float, width: float, height: float) -> list[float]:
    return [x, y, x + width, y, x + width, y + height, x, y + height]


COCO: dict[str, Any] = {
    "images": [
        {"id": number, "file_name": f"{number}.png", "height": SIZE[0], "width": SIZE[1]} for number in (1, 2)
    ],
    "categories": [{"id": 3, "name": "cat"}, {"id": 8, "name": "dog"}],
    "annotations": [
        {"id": 11, "image_id": 1, "category_id": 3, "iscrowd": 0, "bbox": [2, 3, 10, 8], "area": 80,
         "segmentation": [rectangle(2, 3, 10, 8)]},
        {"id": 12, "image_id": 2, "category_id": 8, "iscrowd": 0, "bbox": [4, 4, 12, 9], "area": 108.0,
         "segmentation": {"size": list(SIZE), "counts": [84] + [9, 11] * 11 + [9, 287]}},
        {"id": 13, "image_id": 2, "category_id": 3, "iscrowd": 1, "bbox": [0, 0, 5, 5], "area": 25,
         "segmentation": {"size": list(SIZE), "counts": coco_mask.encode(CROWD)["counts"].decode()}},
    ],
}  # fmt: skip

LABELME: dict[str, Any] = {
    "version": "5.4.1", "flags": {}, "imagePath": "a.png", "imageHeight": SIZE[0], "imageWidth": SIZE[1],
    "imageData": None,
    "shapes": [
        {"label": "nut", "points": [[2.0, 3.0], [12.0, 3.0], [12.0, 11.0]], "group_id": None, "shape_type": "polygon"},
        {"label": "bolt", "points": [[5.0, 5.0], [15.0, 15.0]], "group_id": 1, "shape_type": "rectangle"},
        {"label": "nut", "points": [[15.0, 10.0], [19.0, 10.0]], "group_id": None, "shape_type": "circle"},
    ],
}  # fmt: skip


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def expected_of_coco(path: tuple[str | int, ...], value: Any) -> MustRefuse | None:
    """What a replaced value must not get away with."""
    if not path:
        return None
    top, key = path[0], path[-1]
    if top in ("images", "annotations", "categories") and len(path) == 1 and not isinstance(value, list):
        return MustRefuse(f"{top} is no list")
    number = whole(value)
    if len(path) == 3 and key in ("id", "image_id", "category_id") and not number:
        return MustRefuse(f"{path} is {value!r:.60}")
    if top == "images" and key in ("height", "width") and not (number and 0 < value < 65536):
        return MustRefuse(f"{path} is {value!r:.60}")
    if top == "annotations" and key == "bbox" and not (isinstance(value, list) and len(value) == 4):
        return MustRefuse(f"{path} is {value!r:.60}")
    if top == "annotations" and len(path) > 3 and path[2] == "bbox":
        fine = isinstance(value, int | float) and (isinstance(value, int) or math.isfinite(value))
        return None if fine and abs(value) < 1e15 else MustRefuse(f"{path} is {value!r:.60}")
    if top == "annotations" and key == "segmentation" and len(path) == 3 and not isinstance(value, list | dict):
        return MustRefuse(f"{path} is {value!r:.60}")
    return None


def write_coco(folder: Path, rng: np.random.Generator) -> MustRefuse | None:
    for entry in COCO["images"]:
        Image.fromarray(PHOTO).save(folder / entry["file_name"])
    if rng.random() < 0.2:
        (folder / "train.json").write_bytes(damaged_bytes(json.dumps(COCO).encode(), rng))
        return None
    document, path, value = damaged_document(COCO, rng)
    (folder / "train.json").write_text(json.dumps(document))
    return expected_of_coco(path, value)


def use_objects(dataset: Any) -> None:
    """All that training and doctor do with it; what was accepted must be consistent."""
    preflight(dataset)
    diagnosis = diagnose({"train": dataset})
    render(diagnosis).encode()
    json.dumps(diagnosis.to_dict()).encode()
    table = dataset.annotations
    assert np.isfinite(table.boxes).all()
    assert np.isfinite(table.areas).all()
    assert (table.areas >= 0).all()
    assert (table.classes < dataset.num_classes).all()
    for index in range(len(dataset)):
        item = dataset[(0, index)]
        assert item["masks"].shape[1:] == (16, 16)
        assert len(item["classes"]) == len(item["boxes"]) == len(item["crowd"]) == len(item["masks"])
        assert np.isfinite(item["boxes"]).all()
        assert item["masks"].any(axis=(1, 2)).all()


def use_coco(folder: Path, expectation: Any) -> None:
    arguments = {"annotation_file": str(folder / "train.json"), "image_dir": str(folder)}
    dataset = CocoInstances(str(folder), copy.deepcopy(STEPS), keep_empty=True, **arguments)
    use_objects(dataset)


def write_labelme(folder: Path, rng: np.random.Generator) -> MustRefuse | None:
    (folder / "train").mkdir()
    Image.fromarray(PHOTO).save(folder / "train/a.png")
    if rng.random() < 0.2:
        (folder / "train/a.json").write_bytes(damaged_bytes(json.dumps(LABELME).encode(), rng))
        return None
    document, path, value = damaged_document(LABELME, rng)
    (folder / "train/a.json").write_text(json.dumps(document))
    if path[-1:] == ("label",) and not (isinstance(value, str) and value.strip()):
        return MustRefuse(f"{path} is {value!r:.60}")
    if path[-1:] in (("imageHeight",), ("imageWidth",)) and whole(value) and not 0 < value < 65536:
        return MustRefuse(f"{path} is {value!r:.60}")
    if len(path) == 5 and path[2] == "points" and not isinstance(value, int | float | str):
        return MustRefuse(f"{path} is {value!r:.60}")
    return None


def use_labelme(folder: Path, expectation: Any) -> None:
    use_objects(LabelmeInstances(str(folder), copy.deepcopy(STEPS), keep_empty=True))


def write_pairs(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / "images").mkdir(exist_ok=True)
        (folder / "labels").mkdir(exist_ok=True)
        Image.fromarray(PHOTO).save(folder / f"images/{name}.png")
        Image.fromarray(LABEL).save(folder / f"labels/{name}.png")


LIST = "images/a.png labels/a.png\nimages/b.png labels/b.png\n"


def write_list(folder: Path, rng: np.random.Generator) -> None:
    write_pairs(folder)
    (folder / "train.txt").write_bytes(damaged_text(LIST, rng))
    (folder / "classes.txt").write_text("sky\nroad\ncar\n", encoding="utf-8")
    if rng.random() < 0.3:
        (folder / "train.txt").write_text(LIST)
        (folder / "classes.txt").write_bytes(damaged_text("sky\nroad\ncar\n", rng))


def use_list(folder: Path, expectation: Any) -> None:
    dataset = Dataset(str(folder), copy.deepcopy(STEPS), train_path="train.txt")
    assert all(name.strip() for name in dataset.classes)
    preflight(dataset)
    render(diagnose({"train": dataset})).encode()
    for index in range(len(dataset)):
        item = dataset[(0, index)]
        assert set(np.unique(item["label"]).tolist()) <= {*range(dataset.num_classes), 255}


def encoded(kind: str) -> bytes:
    """A label: grey of 8, 4 or 1 bits, or with a palette."""
    stream = io.BytesIO()
    if kind == "palette":
        image = Image.fromarray(LABEL, mode="P")
        image.putpalette(list(range(9)))
    else:
        image = Image.fromarray(LABEL)
    image.save(stream, "PNG", **({"bits": 2} if kind == "palette" else {}))
    return stream.getvalue()


def write_label(folder: Path, rng: np.random.Generator) -> None:
    (folder / "label.png").write_bytes(damaged_bytes(encoded(str(rng.choice(["grey", "palette"]))), rng))


def use_label(folder: Path, expectation: Any) -> None:
    np.testing.assert_array_equal(read_label(folder / "label.png"), LABEL)  # damage is noticed, or has changed nothing


FORMATS = {".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP", ".tif": "TIFF", ".webp": "WEBP", ".gif": "GIF", ".ppm": "PPM"}


def write_image(folder: Path, rng: np.random.Generator) -> None:
    suffix = str(rng.choice(sorted(FORMATS)))
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = int(rng.integers(0, 10))
    Image.fromarray(PHOTO).save(
        stream, FORMATS[suffix], **({"exif": exif} if suffix in (".jpg", ".png", ".webp") else {})
    )
    (folder / f"image{suffix}").write_bytes(damaged_bytes(stream.getvalue(), rng))


def use_image(folder: Path, expectation: Any) -> None:
    (path,) = folder.iterdir()
    image = read_image(path)
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3


TARGETS = [
    Target("coco", write_coco, use_coco, short=150, long=1200),
    Target("labelme", write_labelme, use_labelme, short=150, long=1000),
    Target("list", write_list, use_list, short=100, long=600),
    Target("label", write_label, use_label, short=300, long=3000),
    Target("image", write_image, use_image, short=200, long=3000),
]
