"""Penn-Fudan pedestrians, from a small folder in its layout and the real one."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.data.datasets import PennFudan
from mobileseg.errors import ConfigError, DataError

SIZE = (40, 50)


def write(root: Path, name: str, mask: np.ndarray, suffix: str = ".png") -> None:
    for folder in ("PNGImages", "PedMasks"):
        (root / folder).mkdir(exist_ok=True)
    Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(root / "PNGImages" / f"{name}{suffix}")
    Image.fromarray(mask).save(root / "PedMasks" / f"{name}_mask.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    mask = np.zeros(SIZE, np.uint8)
    mask[5:30, 4:12], mask[8:36, 20:30], mask[0:3, 45:50] = 1, 2, 4  # person 3 was deleted
    mask[8:36, 24:26] = 0  # person 2 stands behind a pole
    write(tmp_path, "FudanPed00001", mask)
    write(tmp_path, "PennPed00002", np.zeros(SIZE, np.uint8), ".jpg")
    (tmp_path / "train.txt").write_text("FudanPed00001\n\nPennPed00002\n")
    (tmp_path / "val.txt").write_text("PennPed00002\n")
    return tmp_path


def test_people_are_the_values_of_the_mask(root: Path) -> None:
    dataset = PennFudan(str(root))
    assert (len(dataset), dataset.classes, dataset.task) == (2, ("person",), "instance")
    found = dataset.load(0).instances
    assert found.boxes.tolist() == [[4, 5, 12, 30], [20, 8, 30, 36], [45, 0, 50, 3]]
    assert found.areas().tolist() == [25 * 8, 28 * 8, 3 * 5]
    assert not found.crowd.any()
    stored = np.asarray(Image.open(root / "PedMasks" / "FudanPed00001_mask.png"))
    np.testing.assert_array_equal(found.masks, stored == np.array([1, 2, 4])[:, None, None])
    truth = dataset.coco_ground_truth()
    assert [(one["image_id"], one["category_id"]) for one in truth["annotations"]] == [(1, 1)] * 3
    assert len({one["id"] for one in truth["annotations"]}) == 3


def test_an_image_without_people_is_not_trained_on(root: Path) -> None:
    dataset = PennFudan(str(root))
    assert {int(dataset[(epoch, 1)]["index"]) for epoch in range(3)} == {0}
    assert int(PennFudan(str(root), keep_empty=True)[1]["index"]) == 1
    evaluated = PennFudan(str(root), mode="val")
    assert len(evaluated[0]["masks"]) == 0


def test_it_goes_into_workers(root: Path) -> None:
    dataset = PennFudan(str(root), list_file="val.txt", keep_empty=True)
    assert [item.image.name for item in pickle.loads(pickle.dumps(dataset)).items] == ["PennPed00002.jpg"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda root: (root / "train.txt").unlink(), "train.txt does not exist"),
        (lambda root: (root / "train.txt").write_text("FudanPed9\n"), "PNGImages/FudanPed9.png"),
        (lambda root: (root / "PedMasks" / "PennPed00002_mask.png").unlink(), "PennPed00002_mask.png"),
        (lambda root: (root / "train.txt").write_text("\n"), "is empty"),
        (lambda root: (root / "PedMasks").rename(root / "masks"), "PedMasks of the dataset PennFudan does not exist"),
    ],
)
def test_what_is_missing_is_named(root: Path, damage, words: str) -> None:
    damage(root)
    with pytest.raises(DataError, match=re.escape(words)) as caught:
        PennFudan(str(root))
    assert caught.value.remedy


def test_damaged_masks(root: Path) -> None:
    mask = root / "PedMasks" / "FudanPed00001_mask.png"
    mask.write_bytes(mask.read_bytes()[:60])
    with pytest.raises(DataError, match="FudanPed00001_mask"):
        PennFudan(str(root)).load(0)
    Image.fromarray(np.ones((SIZE[0], 7), np.uint8)).save(mask)
    with pytest.raises(DataError, match="50x40"):
        PennFudan(str(root)).load(0)


def test_other_modes(root: Path) -> None:
    with pytest.raises(ConfigError, match="trainval"):
        PennFudan(str(root), mode="trainval")


def test_real_photographs(photos: Path) -> None:
    dataset = PennFudan(str(photos / "pennfudan"), mode="val")
    assert len(dataset) == 35
    assert sum(len(dataset.objects(index)) for index in range(35)) == 92
    assert dataset.load(0).instances.size == dataset.load(0).size
