"""Objects of PASCAL VOC (PNG) and SBD (.mat), from small folders in their layout."""

import inspect
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from mobileseg.data.datasets import VocInstances
from mobileseg.data.formats.voc import voc_palette
from mobileseg.errors import ConfigError, DataError, DependencyError

DOG, PERSON = 12, 15  # values in SegmentationClass


def truth(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [40, 50] numbers and classes: a dog, a person in two parts, and void around the dog."""
    numbers, classes = np.zeros((40, 50), np.uint8), np.zeros((40, 50), np.uint8)
    row = seed % 5
    numbers[row + 3 : row + 20, 4:24], classes[row + 3 : row + 20, 4:24] = 255, 255
    numbers[row + 5 : row + 18, 6:22], classes[row + 5 : row + 18, 6:22] = 1, DOG
    for part in (slice(30, 34), slice(36, 48)):
        numbers[10:30, part], classes[10:30, part] = 2, PERSON
    return numbers, classes


def save_palette(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values, mode="P")
    picture.putpalette(voc_palette().tobytes())
    picture.save(path)


def save_photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(path)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    year = tmp_path / "VOCdevkit" / "VOC2012"
    for number in range(3):
        name = f"2007_{number:06d}"
        numbers, classes = truth(number)
        if number == 2:
            numbers[numbers == 1], classes[classes == DOG] = 0, 0
        save_palette(year / "SegmentationObject" / f"{name}.png", numbers)
        save_palette(year / "SegmentationClass" / f"{name}.png", classes)
        save_photo(year / "JPEGImages" / f"{name}.jpg")
    lists = year / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000000\n2007_000001\n")
    (lists / "val.txt").write_text("2007_000002\n")
    (lists / "trainval.txt").write_text("2007_000000\n2007_000001\n2007_000002\n")
    return tmp_path


@pytest.fixture
def sbd(tmp_path: Path) -> Path:
    folder = tmp_path / "benchmark_RELEASE" / "dataset"
    for number in range(2):
        name = f"2008_{number:06d}"
        numbers, _ = truth(number)
        numbers[numbers == 255] = 0
        (folder / "inst").mkdir(parents=True, exist_ok=True)
        content = {"Segmentation": numbers, "Categories": np.array([[DOG], [PERSON]], np.uint8)}
        savemat(folder / "inst" / f"{name}.mat", {"GTinst": content}, do_compression=True)
        save_photo(folder / "img" / f"{name}.jpg")
    (folder / "train.txt").write_text("2008_000000\n")
    (folder / "val.txt").write_text("2008_000001\n")
    (folder / "train_noval.txt").write_text("2008_000001\n2008_000000\n")
    return tmp_path


@pytest.mark.parametrize("root", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_voc(voc: Path, root: str) -> None:
    data = VocInstances(str(voc / root))
    assert len(data) == 2
    assert data.num_classes == 20
    for index in range(2):
        numbers, _ = truth(index)
        sample = data.load(index)
        assert sample.image.shape == (40, 50, 3)
        np.testing.assert_array_equal(sample.instances.masks, [numbers == 1, numbers == 2])
        assert [data.classes[c] for c in sample.instances.classes] == ["dog", "person"]
        assert [data.category_ids[c] for c in sample.instances.classes] == [DOG, PERSON]
        assert sample.instances.boxes.tolist() == [[6, index + 5, 22, index + 18], [30, 10, 48, 30]]
        assert not sample.instances.crowd.any()
    assert len(VocInstances(str(voc / root), mode="trainval")) == 3


def test_sbd(sbd: Path) -> None:
    for root in (sbd, sbd / "benchmark_RELEASE", sbd / "benchmark_RELEASE/dataset"):
        data = VocInstances(str(root), mode="val")
        numbers, _ = truth(1)
        instances = data.load(0).instances
        np.testing.assert_array_equal(instances.masks, [numbers == 1, numbers == 2])
        assert [data.classes[c] for c in instances.classes] == ["dog", "person"]
    data = VocInstances(str(sbd), list_file="train_noval.txt")
    assert [item.image.stem for item in data.items] == ["2008_000001", "2008_000000"]


def test_class_subset(voc: Path) -> None:
    data = VocInstances(str(voc), mode="trainval", classes=["dog"])
    assert len(data) == 3 - 1
    assert data.category_ids == (DOG,)
    assert data[(0, 1)]["classes"].tolist() == [0]
    assert len(VocInstances(str(voc), mode="trainval", classes=["dog"], keep_empty=True)) == 3
    assert len(VocInstances(str(voc), mode="val", classes=["dog"])) == 1
    assert VocInstances(str(voc), classes=["person", "dog"])[(0, 0)]["classes"].tolist() == [1, 0]
    with pytest.raises(ConfigError, match="no class of PASCAL VOC") as caught:
        VocInstances(str(voc), classes=["dig"])
    assert "dog" in caught.value.remedy
    with pytest.raises(DataError, match="has an object of the classes sheep"):
        VocInstances(str(voc), classes=["sheep"])


def test_ground_truth(voc: Path) -> None:
    from pycocotools import mask as coco_mask

    data = VocInstances(str(voc), mode="trainval")
    truths = data.coco_ground_truth()
    assert len(truths["annotations"]) == 5
    assert len({entry["id"] for entry in truths["annotations"]}) == 5
    for entry in truths["annotations"]:
        numbers, classes = truth(entry["image_id"] - 1)
        np.testing.assert_array_equal(coco_mask.decode(entry["segmentation"]), classes == entry["category_id"])
        assert entry["area"] == (classes == entry["category_id"]).sum()
        assert entry["bbox"] == coco_mask.toBbox(entry["segmentation"]).tolist()
        assert numbers.shape == tuple(entry["segmentation"]["size"])
    chosen = pickle.loads(pickle.dumps(VocInstances(str(voc), mode="trainval", classes=["dog"])))
    ids = [entry["id"] for entry in chosen.coco_ground_truth()["annotations"]]
    assert ids == [int(i) for index in range(2) for i in chosen.objects(index).ids]


def test_missing_files(voc: Path, sbd: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither SegmentationObject/ .* nor inst/"):
        VocInstances(str(tmp_path / "VOCdevkit/VOC2012/JPEGImages"))
    with pytest.raises(DataError, match=r"list file .*trainval\.txt does not exist"):
        VocInstances(str(sbd / "benchmark_RELEASE"), mode="trainval")
    next((sbd / "benchmark_RELEASE/dataset/inst").glob("*0.mat")).unlink()
    with pytest.raises(DataError, match=r"1 files of the list do not exist, the first is .*2008_000000\.mat"):
        VocInstances(str(sbd / "benchmark_RELEASE"))
    with pytest.raises(ConfigError, match="no mode 'trainaug'"):
        VocInstances(str(voc), mode="trainaug")


def test_damaged_annotations(voc: Path, sbd: Path, monkeypatch) -> None:
    folder = sbd / "benchmark_RELEASE/dataset/inst"
    (folder / "2008_000000.mat").write_bytes(b"nothing of that kind")
    with pytest.raises(DataError, match=r"2008_000000\.mat is no annotation of SBD"):
        VocInstances(str(sbd / "benchmark_RELEASE")).load(0)
    content = {"Segmentation": truth(0)[0] % 255, "Categories": np.array([[DOG]], np.uint8)}
    savemat(folder / "2008_000000.mat", {"GTinst": content})
    with pytest.raises(DataError, match=r"object 2 has the class None, not one of 1\.\.20"):
        VocInstances(str(sbd / "benchmark_RELEASE")).load(0)
    save_palette(voc / "VOCdevkit/VOC2012/SegmentationClass/2007_000000.png", np.zeros((4, 5), np.uint8))
    with pytest.raises(DataError, match="differ in size"):
        VocInstances(str(voc / "VOCdevkit")).load(0)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DependencyError, match="needs SciPy"):
        VocInstances(str(sbd / "benchmark_RELEASE")).load(0)


def test_arguments_are_documented() -> None:
    text = inspect.getdoc(VocInstances)
    assert [name for name in inspect.signature(VocInstances).parameters if f"{name}:" not in text] == []
