"""What datasets of objects promise: arrays, empty images, randomness, messages."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.data.datasets import CocoInstances, InstanceDataset
from mobileseg.data.sample import Sample
from mobileseg.errors import ConfigError, DataError
from tests.data.instance_folder import SIZE, CocoFolder

TRAIN = [
    {"type": "PhotometricDistort"},
    {"type": "RandomExpand", "max_ratio": 2},
    {"type": "RandomInstanceCrop"},
    {"type": "Resize", "target_size": [40, 32]},
    {"type": "RandomHorizontalFlip"},
    {"type": "DiscardSmallInstances"},
    {"type": "Normalize"},
]


@pytest.fixture
def coco(tmp_path: Path) -> CocoFolder:
    """Image 100 with three objects, 101 with none, 102 with a crowd only, 103 with one."""
    folder = CocoFolder(tmp_path)
    first, _, crowd, last = (folder.image() for _ in range(4))
    folder.object(first, (4, 6, 30, 40))
    folder.object(first, (10, 10, 60, 20), 20)
    folder.object(first, (2, 2, 20, 20), iscrowd=1)
    folder.object(crowd, (2, 2, 20, 20), iscrowd=1)
    folder.object(last, (8, 8, 56, 44), 20)
    return folder


def test_arrays_of_training(coco: CocoFolder) -> None:
    data = CocoInstances(coco.write(), [{"type": "Resize", "target_size": [32, 24]}])
    item = data[(0, 0)]
    assert item["image"].shape == (3, 24, 32)
    assert item["image"].dtype == np.float32
    np.testing.assert_allclose(item["boxes"][0], [4 / 64, 6 / 48, 30 / 64, 40 / 48], rtol=1e-6)
    assert item["boxes"].dtype == np.float32
    assert item["classes"].tolist() == [0, 1, 0]
    assert item["classes"].dtype == np.int64
    assert item["crowd"].tolist() == [0, 0, 1]
    assert item["crowd"].dtype == np.uint8
    assert item["masks"].shape == (3, 24, 32)
    assert item["masks"].dtype == np.uint8
    assert item["masks"][0].sum() == 13 * 17
    assert item["index"] == 0
    assert item["index"].dtype == np.int64
    assert set(item) == {"image", "index", *data.pad_values}
    assert data.pad_values["classes"] == -1
    assert data.task == "instance"
    assert data.palette.shape == (2, 3)


def test_which_images_are_used(coco: CocoFolder) -> None:
    root = coco.write()
    data = CocoInstances(root)
    assert [data.image_id(i) for i in range(len(data))] == [100, 103]
    assert [item.image.name for item in data.items] == ["100.png", "103.png"]
    assert data.file_name(1) == "103.png"
    assert data.load(1).instances.ids.tolist() == [5]
    assert len(CocoInstances(root, keep_empty=True)) == 4
    assert len(CocoInstances(root, classes=["cat"])) == 1
    coco.annotations = [entry | {"iscrowd": 1} for entry in coco.annotations]
    root = coco.write()
    with pytest.raises(DataError, match="none of the 4 images"):
        CocoInstances(root)
    assert len(CocoInstances(root, keep_empty=True)) == 4


def test_empty_images(coco: CocoFolder) -> None:
    data = CocoInstances(coco.write(), TRAIN, keep_empty=True)
    item = data[(0, 1)]
    assert item["boxes"].shape == (0, 4)
    assert item["masks"].shape == (0, 32, 40)
    assert item["classes"].shape == item["crowd"].shape == (0,)
    assert item["index"] == 1


def test_evaluation_leaves_the_truth_alone(coco: CocoFolder) -> None:
    coco.mode = "val"
    (coco.root / "images/train").rename(coco.root / "images/val")
    data = CocoInstances(coco.write(), [{"type": "Resize", "target_size": [32, 24]}], "val")
    assert data.evaluates
    assert len(data) == 4
    sample = data.prepare(0)
    assert sample.size == (24, 32)
    assert sample.instances.size == SIZE
    assert sample.meta["geometry"] == [("resize", SIZE)]
    np.testing.assert_array_equal(sample.instances.boxes, data.load(0).instances.boxes)
    assert data[2]["crowd"].tolist() == [1]
    for name in ("RandomExpand", "RandomInstanceCrop", "RandomHorizontalFlip", "DiscardSmallInstances"):
        with pytest.raises(ConfigError, match=f"{name} is for training"):
            CocoInstances(str(coco.root), [{"type": name}], "val")


def test_same_key_same_arrays(coco: CocoFolder) -> None:
    root = coco.write()
    data, other = CocoInstances(root, TRAIN, seed=3), pickle.loads(pickle.dumps(CocoInstances(root, TRAIN, seed=3)))
    different = 0
    for key in [(epoch, index) for epoch in range(6) for index in range(2)]:
        one, two = data[key], other[key]
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])
        different += not np.array_equal(one["image"], CocoInstances(root, TRAIN, seed=4)[key]["image"])
        assert (one["crowd"] == 0).any()
    assert different >= 10


class LosesAll:
    """Drops the objects of one image."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if self.name in sample.meta["image_path"]:
            sample.instances = sample.instances.select([])
        return sample


def test_an_image_that_loses_its_objects_is_replaced(coco: CocoFolder) -> None:
    root = coco.write()
    data = CocoInstances(root, [LosesAll("100.png")])
    for epoch in range(10):
        item = data[(epoch, 0)]
        assert item["index"] == 1  # that of the image that was taken
        assert item["classes"].tolist() == [1]
    assert CocoInstances(root, [LosesAll("100.png")], keep_empty=True)[(0, 0)]["classes"].tolist() == []
    with pytest.raises(DataError, match=r"50 images in a row of .*instances_train\.json had no object left"):
        CocoInstances(root, [LosesAll("png")])[(0, 0)]


def test_a_replacement_depends_on_the_key_alone(coco: CocoFolder) -> None:
    for _ in range(6):
        coco.object(coco.image(), (8, 8, 56, 44))
    root = coco.write()
    taken = [int(CocoInstances(root, [LosesAll("100.png")])[(epoch, 0)]["index"]) for epoch in range(30)]
    assert taken == [int(CocoInstances(root, [LosesAll("100.png")])[(epoch, 0)]["index"]) for epoch in range(30)]
    assert len(set(taken)) >= 5
    assert 0 not in taken


def test_image_of_another_size(coco: CocoFolder) -> None:
    coco.images[0]["width"] = 65
    with pytest.raises(DataError, match=r"100\.png is 64x48 .* for 65x48"):
        CocoInstances(coco.write()).load(0)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    folder = CocoFolder(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    identifier = folder.image(exif=exif)
    folder.object(identifier, (1, 1, 40, 40))
    with pytest.raises(DataError, match=r"is 48x64 .* as displayed, but .* for 64x48"):
        CocoInstances(folder.write()).load(0)
    folder.images[0] |= {"height": 64, "width": 48}
    assert CocoInstances(folder.write()).load(0).image.shape == (64, 48, 3)


def test_greyscale_images(tmp_path: Path) -> None:
    folder = CocoFolder(tmp_path)
    folder.object(folder.image(), (1, 1, 40, 40))
    root = folder.write()
    Image.fromarray(np.full(SIZE, 77, np.uint8)).save(tmp_path / "images/train/100.png")
    assert (CocoInstances(root).load(0).image == 77).all()


def test_broken_mask_names_file_and_annotation(coco: CocoFolder) -> None:
    coco.annotations[1]["segmentation"] = {"size": list(SIZE), "counts": "05"}
    data = CocoInstances(coco.write())
    with pytest.raises(DataError, match=r"instances_train\.json: the mask of annotation 2: .*image 100, 100\.png"):
        data.load(0)


def test_ground_truth_has_crowds_and_empty_images(coco: CocoFolder) -> None:
    truth = CocoInstances(coco.write(), keep_empty=True).coco_ground_truth()
    assert [image["id"] for image in truth["images"]] == [100, 101, 102, 103]
    assert [entry["id"] for entry in truth["annotations"]] == [1, 2, 3, 4, 5]
    assert [entry["iscrowd"] for entry in truth["annotations"]] == [0, 0, 1, 1, 0]
    assert truth["annotations"] == json.loads(json.dumps(truth["annotations"]))
    assert truth["annotations"][0] == coco.annotations[0]
    assert truth["categories"] == coco.categories


def test_many_classes_have_colours(tmp_path: Path) -> None:
    folder = CocoFolder(tmp_path, categories=tuple(f"kind {index}" for index in range(300)))
    folder.object(folder.image(), (1, 1, 40, 40))
    data = CocoInstances(folder.write())
    assert data.palette.shape == (300, 3)
    assert isinstance(data, InstanceDataset)


def test_training_leaves_out_what_has_no_pixel_and_no_inside(coco: CocoFolder) -> None:
    """The box loss would learn the one, the mask and semantic losses the other."""
    coco.object(103, (5, 5, 9, 9), segmentation=[[5.1, 5.1, 5.2, 5.1, 5.2, 5.2]])
    coco.object(103, (5, 5, 5, 20), segmentation=[[5, 5, 20, 5, 20, 20]])
    coco.object(103, (5, 5, 9, 9), iscrowd=1, segmentation={"size": list(SIZE), "counts": [SIZE[0] * SIZE[1]]})
    root = coco.write()
    train = CocoInstances(root)
    assert [item.image.name for item in train.items] == ["100.png", "103.png"]
    assert train[1]["classes"].tolist() == [1]
    assert train[1]["masks"].sum() == 48 * 36
    (Path(root) / "annotations/instances_train.json").rename(Path(root) / "annotations/instances_val.json")
    (Path(root) / "images/train").rename(Path(root) / "images/val")
    val = CocoInstances(root, mode="val")
    assert len(val.load(3).instances) == 4  # truth stays as it was annotated


def test_crowds_alone_are_named_when_nothing_is_left_to_train_on(tmp_path: Path) -> None:
    folder = CocoFolder(tmp_path)
    folder.object(folder.image(), (4, 6, 30, 40), iscrowd=1)
    with pytest.raises(DataError, match=r"1 crowd regions with iscrowd: 1 are not learnt"):
        CocoInstances(folder.write())
