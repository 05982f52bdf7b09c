"""COCO folders, the shared subset of COCO, and the synthetic dataset."""

import inspect
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from mobileseg.data.datasets import CocoInstances
from mobileseg.data.synthetic.datasets import generate
from mobileseg.errors import ConfigError, DataError
from tests.data.instance_folder import CocoFolder


@pytest.fixture
def coco(tmp_path: Path) -> CocoFolder:
    folder = CocoFolder(tmp_path)
    folder.object(folder.image(), (4, 6, 30, 40))
    folder.object(folder.image(), (4, 6, 30, 40), 20)
    return folder


@pytest.mark.parametrize("images", ["train", "images/train", "images", "."])
@pytest.mark.parametrize("file", ["annotations/instances_train.json", "instances_train.json", "train.json"])
def test_layouts(coco: CocoFolder, images: str, file: str) -> None:
    coco.write()
    if images != "images/train":
        (coco.root / images).mkdir(parents=True, exist_ok=True)
        for path in list((coco.root / "images/train").iterdir()):
            path.rename(coco.root / images / path.name)
    (coco.root / "annotations/instances_train.json").rename(coco.root / file)
    data = CocoInstances(str(coco.root))
    assert len(data) == 2
    assert data.load(0).image.shape == (48, 64, 3)


def test_places_that_are_named(coco: CocoFolder, monkeypatch) -> None:
    coco.write()
    (coco.root / "annotations/instances_train.json").rename(coco.root / "mine.json")
    (coco.root / "images/train").rename(coco.root / "photos")
    with pytest.raises(DataError, match=r"instances_train2017\.json does not exist"):
        CocoInstances(str(coco.root))
    with pytest.raises(DataError, match=r"2 of 2 images of .* are missing, the first is .*100\.png \(id 100"):
        CocoInstances(str(coco.root), annotation_file="mine.json")
    assert len(CocoInstances(str(coco.root), annotation_file="mine.json", image_dir="photos")) == 2
    monkeypatch.chdir(coco.root)
    assert len(CocoInstances(".", annotation_file=str(coco.root / "mine.json"), image_dir="photos")) == 2
    with pytest.raises(DataError, match="elsewhere of the dataset CocoInstances does not exist"):
        CocoInstances(".", annotation_file="mine.json", image_dir="elsewhere")


def test_one_missing_image(coco: CocoFolder) -> None:
    root = coco.write()
    (coco.root / "images/train/101.png").unlink()
    with pytest.raises(DataError, match=r"1 of 2 images of .* are missing, the first is .*101\.png \(id 101\)"):
        CocoInstances(root)


def test_bad_arguments(coco: CocoFolder, tmp_path: Path) -> None:
    root = coco.write()
    with pytest.raises(ConfigError, match="no mode 'training'"):
        CocoInstances(root, mode="training")
    with pytest.raises(DataError, match="does not exist"):
        CocoInstances(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="'catt', which is no class"):
        CocoInstances(root, classes=["catt"])


def test_flat_boxes_are_named_and_not_trained_on(coco: CocoFolder, caplog) -> None:
    coco.annotations[0]["bbox"][3] = 0
    with caplog.at_level(logging.WARNING):
        data = CocoInstances(coco.write())
    assert [data.image_id(i) for i in range(len(data))] == [101]
    assert "1 annotation with a box of zero width or height, the first has id 1" in caplog.text


def test_number_of_classes_before_the_dataset_is_built(coco: CocoFolder) -> None:
    assert CocoInstances.count_classes({"dataset_root": coco.write(), "mode": "train"}) == 2
    assert CocoInstances.count_classes({"dataset_root": str(coco.root), "mode": "val"}) is None
    assert CocoInstances.count_classes({}) is None


def test_arguments_are_documented() -> None:
    text = inspect.getdoc(CocoInstances)
    assert [name for name in inspect.signature(CocoInstances).parameters if f"{name}:" not in text] == []


def test_large_files_load_in_linear_time(tmp_path: Path) -> None:
    """A list where a dictionary belongs would take minutes for 10,000 images and 70,000 objects."""
    import time

    from mobileseg.data.formats.coco_json import read_coco

    images = [{"id": 3 * i, "file_name": f"{i}.jpg", "height": 480, "width": 640} for i in range(10000)]
    polygon = [[10.5, 10, 60.25, 10, 60, 70.5, 10, 70]]
    annotations = [
        {"id": i, "image_id": 3 * (i % 10000), "category_id": 1 + i % 80, "bbox": [10, 10, 50, 60], "area": 3000,
         "iscrowd": 0, "segmentation": polygon}
        for i in range(70000)
    ]  # fmt: skip
    path = tmp_path / "large.json"
    categories = [{"id": i, "name": f"kind {i}"} for i in range(1, 91)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    start = time.process_time()
    found = read_coco(path)
    assert time.process_time() - start < 12
    assert len(found.table) == 70000


def test_shared_subset_of_coco(photos: Path) -> None:
    for mode, images, objects, training in (("train", 343, 2974, 340), ("val", 103, 868, 103)):
        data = CocoInstances(str(photos / "coco"), mode=mode, keep_empty=True)
        assert len(data) == images
        assert len(data.annotations) == objects
        assert data.num_classes == 80
        assert data.classes[0] == "person"
        assert data.category_ids[-1] == 90
        assert len(CocoInstances(str(photos / "coco"), mode=mode)) == training


def test_shared_subset_against_pycocotools(photos: Path) -> None:
    reference = COCO(str(photos / "coco/annotations/instances_val2017.json"))
    data = CocoInstances(str(photos / "coco"), mode="val")
    for index in range(0, len(data), 3):
        instances = data.objects(index)
        annotations = reference.loadAnns(reference.getAnnIds(imgIds=[data.image_id(index)]))
        assert instances.ids.tolist() == [entry["id"] for entry in annotations]
        assert instances.crowd.tolist() == [bool(entry["iscrowd"]) for entry in annotations]
        assert [data.category_ids[c] for c in instances.classes] == [entry["category_id"] for entry in annotations]
        for mask, entry in zip(instances.masks, annotations, strict=True):
            np.testing.assert_array_equal(mask, reference.annToMask(entry))
        boxes = np.array([entry["bbox"] for entry in annotations], float).reshape(-1, 4)
        np.testing.assert_allclose(instances.boxes[:, :2], boxes[:, :2], atol=1e-3)
        np.testing.assert_allclose(instances.boxes[:, 2:] - instances.boxes[:, :2], boxes[:, 2:], atol=0.02)
    truth = data.coco_ground_truth()
    assert {entry["id"]: entry["area"] for entry in truth["annotations"]} == {
        identifier: entry["area"] for identifier, entry in reference.anns.items()
    }


def test_class_subset_of_the_shared_data(photos: Path) -> None:
    data = CocoInstances(str(photos / "coco"), classes=["dog", "person"])
    reference = COCO(str(photos / "coco/annotations/instances_train2017.json"))
    assert data.category_ids == (18, 1)
    wanted = {
        entry["image_id"]
        for entry in reference.anns.values()
        if entry["category_id"] in (1, 18) and not entry["iscrowd"]
    }
    assert {data.image_id(i) for i in range(len(data))} == wanted
    with pytest.raises(ConfigError, match="no class of") as caught:
        CocoInstances(str(photos / "coco"), classes=["persn"])
    assert "person" in caught.value.remedy


def test_drawn_dataset(tmp_path: Path) -> None:
    from PIL import Image

    from mobileseg.data.synthetic.scene import CLASSES

    generate(tmp_path / "drawn", train=4, val=2, size=(64, 80), clips=0, val_clips=0)
    for mode, count in (("train", 4), ("val", 2)):
        data = CocoInstances(str(tmp_path / "drawn"), mode=mode, keep_empty=True)
        assert len(data) == count
        assert data.classes == tuple(CLASSES[1:])
        for index, item in enumerate(data.items):
            labels = np.asarray(Image.open(str(item.image).replace("images", "labels")))
            instances = data.load(index).instances
            drawn = np.zeros_like(labels)
            for mask, category in zip(instances.masks, instances.classes, strict=True):
                drawn[mask == 1] = category + 1
            np.testing.assert_array_equal(drawn, labels)
