"""Folders as labelme writes them."""

import base64
import inspect
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mobileseg.data.datasets import LabelmeInstances
from mobileseg.errors import ConfigError, DataError
from tests.data.labelme_files import save, shape

SQUARE = [[10.0, 5.0], [30.0, 5.0], [30.0, 25.0], [10.0, 25.0]]


def test_folders(tmp_path: Path) -> None:
    save(tmp_path / "train", "b", [shape("nut", SQUARE)])
    save(tmp_path / "train", "a", [shape("bolt", SQUARE), shape("nut", [[0, 0], [9, 0], [5, 8]])])
    save(tmp_path / "train", "c", [])
    save(tmp_path / "val/deep", "d", [shape("washer", SQUARE)])
    data = LabelmeInstances(str(tmp_path))
    assert data.classes == ("bolt", "nut", "washer")  # of both parts
    assert [data.file_name(i) for i in range(len(data))] == ["train/a.jpg", "train/b.jpg"]
    instances = data.load(0).instances
    assert instances.classes.tolist() == [0, 1]
    assert instances.boxes[0].tolist() == [10, 5, 30, 25]
    assert instances.masks[0].sum() == 400
    assert instances.masks[0, 5:25, 10:30].all()
    reference = coco_mask.decode(coco_mask.frPyObjects([[0, 0, 9, 0, 5, 8]], 40, 60))[..., 0]
    np.testing.assert_array_equal(instances.masks[1], reference)
    assert len(LabelmeInstances(str(tmp_path), keep_empty=True)) == 3
    val = LabelmeInstances(str(tmp_path), mode="val")
    assert val.classes == data.classes
    assert [val.file_name(i) for i in range(len(val))] == ["val/deep/d.jpg"]
    assert LabelmeInstances.count_classes({"dataset_root": str(tmp_path)}) == 3
    item = LabelmeInstances(str(tmp_path), [{"type": "Resize", "target_size": [30, 20]}])[(0, 0)]
    assert item["masks"].shape == (2, 20, 30)


def test_lists(tmp_path: Path, monkeypatch) -> None:
    for name in ("one", "two.v1", "three"):
        save(tmp_path, name, [shape("nut", SQUARE)])
    (tmp_path / "train.txt").write_text("one.json\n\ntwo.v1.jpg\n")
    (tmp_path / "holdout.txt").write_text("three\n")
    assert [item.image.name for item in LabelmeInstances(str(tmp_path)).items] == ["one.jpg", "two.v1.jpg"]
    assert len(LabelmeInstances(str(tmp_path), mode="val", val_path="holdout.txt")) == 1
    monkeypatch.chdir(tmp_path)
    assert len(LabelmeInstances(".", mode="test", test_path="holdout.txt")) == 1
    with pytest.raises(DataError, match="itself has 3 JSON files, which belong to no part") as caught:
        LabelmeInstances(str(tmp_path), mode="val")
    assert "train.txt and val.txt" in caught.value.remedy
    (tmp_path / "train.txt").write_text("gone.json\n")
    with pytest.raises(DataError, match=r"gone\.json does not exist"):
        LabelmeInstances(str(tmp_path))
    (tmp_path / "train.txt").write_text("\n")
    with pytest.raises(DataError, match="names no JSON file"):
        LabelmeInstances(str(tmp_path))


def objects(tmp_path: Path, /, *shapes: dict, **more: Any) -> LabelmeInstances:
    save(tmp_path / "train", "a", list(shapes), **more)
    return LabelmeInstances(str(tmp_path))


def test_shapes_of_all_kinds(tmp_path: Path) -> None:
    bitmap = np.zeros((6, 9), np.uint8)
    bitmap[1:5, 2:8] = 255
    stored = io.BytesIO()
    Image.fromarray(bitmap > 0).save(stored, "PNG")
    mask = base64.b64encode(stored.getvalue()).decode()
    instances = objects(
        tmp_path,
        shape("thing", [[30.0, 25.0], [10.0, 5.0]], "rectangle"),  # drawn from the lower right
        shape("thing", [[30.0, 20.0], [30.0, 32.0]], "circle"),
        shape("thing", [[20.0, 10.0], [28.0, 15.0]], "mask", mask=mask),
        shape("thing", [[1.0, 1.0]], "point"),
        shape("thing", [[1.0, 1.0], [9.0, 9.0]], "line"),
        shape("thing", [[-20.0, 20.0], [20.0, -20.0], [20.0, 60.0]]),  # beyond the image
        shape("thing", [[2.0, 2.0], [8.0, 2.0], [8.0, 8.0], [2.0, 8.0]], "rectangle"),  # four points, newer versions
    ).load(0).instances  # fmt: skip
    assert len(instances) == 5
    assert instances.boxes[0].tolist() == [10, 5, 30, 25]
    rows, columns = np.mgrid[:40, :60] + 0.5
    disc = (columns - 30) ** 2 + (rows - 20) ** 2 <= 12**2
    assert np.count_nonzero(instances.masks[1] != disc) < 60
    expected = np.zeros((40, 60), np.uint8)
    expected[11:15, 22:28] = 1
    np.testing.assert_array_equal(instances.masks[2], expected)
    assert instances.boxes[3][:2].tolist() == [0, 0]
    assert instances.boxes[3][3] == 40
    assert instances.boxes[4].tolist() == [2, 2, 8, 8]


def test_groups_are_one_object(tmp_path: Path) -> None:
    other = [[40.0, 5.0], [50.0, 5.0], [50.0, 15.0], [40.0, 15.0]]
    data = objects(
        tmp_path,
        shape("nut", SQUARE, group=1),
        shape("nut", other, group=1),
        shape("bolt", other, group=1),
        shape("nut", other),
        shape("nut", SQUARE),
    )
    instances = data.load(0).instances
    assert [data.classes[c] for c in instances.classes] == ["nut", "bolt", "nut", "nut"]
    assert instances.boxes[0].tolist() == [10, 5, 50, 25]
    assert instances.areas().tolist() == [500, 100, 100, 400]
    truth = data.coco_ground_truth()
    assert [entry["area"] for entry in truth["annotations"]] == [500, 100, 100, 400]
    assert [entry["id"] for entry in truth["annotations"]] == [1, 2, 3, 4]


def test_classes(tmp_path: Path, caplog) -> None:
    shapes = [shape("nut", SQUARE), shape("bolt", SQUARE), shape("bolt", SQUARE)]
    save(tmp_path / "train", "a", shapes)
    save(tmp_path / "val", "b", [shape("bolt", SQUARE)])
    with caplog.at_level(logging.WARNING):
        data = LabelmeInstances(str(tmp_path), classes=["nut"])
    assert data.classes == ("nut",)
    assert len(data.load(0).instances) == 1
    assert "labels that are no class are left out: bolt (2)" in caplog.text
    val = LabelmeInstances(str(tmp_path), mode="val", classes=["nut", "bolt"])
    assert val.load(0).instances.classes.tolist() == [1]
    with pytest.raises(ConfigError, match="'nutt', which is no class of") as caught:
        LabelmeInstances(str(tmp_path), classes=["nutt"])
    assert "nut" in caught.value.remedy
    (tmp_path / "classes.txt").write_text("bolt\nnut\nwasher\n")
    assert LabelmeInstances(str(tmp_path)).classes == ("bolt", "nut", "washer")
    assert LabelmeInstances.count_classes({"dataset_root": str(tmp_path)}) == 3


@pytest.mark.parametrize(
    ("bad", "seen"),
    [
        (shape("nut", [[1, 1], [5, 5]]), "shape 0 (nut, polygon) has 2 points; it takes at least 3"),
        (shape("nut", [[1, 1]]), "1 point;"),
        (shape("nut", [[1, 1], [2, "x"], [3, 3]]), "no pairs of numbers"),
        (shape("nut", [[1, 1, 1], [2, 2], [3, 3]]), "no pairs of numbers"),
        (shape("nut", [[1, 1, 1], [2, 2, 2]]), "no pairs of numbers"),
        (shape("nut", None), "no pairs of numbers"),
        (shape("nut", [[1, 1], [5, 5], [-1e8, 8]]), "reaches far outside the image"),
        (shape("nut", [[1, 1], [1e8, 5]], "circle"), "reaches far outside the image"),
        (shape("nut", [[1, 1], [5, 5], [8, 8]], "circle"), "type that is not known"),
        (shape("nut", SQUARE, "cuboid"), "type that is not known"),
        (shape("nut", [[1, 1], [5, 5]], "mask", mask="AAAA"), "a mask that cannot be decoded"),
        (shape("nut", [[1, 1], [5, 5]], "mask"), "a mask that cannot be decoded"),
    ],
)
def test_shapes_that_cannot_be_used(tmp_path: Path, bad: dict, seen: str) -> None:
    with pytest.raises(DataError) as caught:
        objects(tmp_path, bad)
    assert seen in caught.value.message
    assert "a.json" in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"shapes": None}, "has no list 'shapes'"),
        ({"shapes": [3]}, "has no list 'shapes'"),
        ({"imagePath": None}, "has no imagePath"),
        ({"imagePath": "other.jpg"}, "its image .*other.jpg does not exist"),
    ],
)
def test_files_that_are_not_labelme_s(tmp_path: Path, change: dict, seen: str) -> None:
    with pytest.raises(DataError, match=seen):
        objects(tmp_path, shape("nut", SQUARE), **change)


def test_image_elsewhere_and_size_not_written(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    save(tmp_path / "train", "a", [shape("nut", SQUARE)], imagePath="..\\photos\\a.jpg", imageHeight=None)
    (tmp_path / "train/a.jpg").rename(tmp_path / "photos/a.jpg")
    data = LabelmeInstances(str(tmp_path))
    assert data.file_name(0) == "photos/a.jpg"
    assert data.load(0).instances.size == (40, 60)


def test_no_shapes_at_all(tmp_path: Path) -> None:
    save(tmp_path / "train", "a", [])
    with pytest.raises(DataError, match="have no shape"):
        LabelmeInstances(str(tmp_path))
    assert LabelmeInstances.count_classes({"dataset_root": str(tmp_path)}) is None


def test_arguments_are_documented() -> None:
    text = inspect.getdoc(LabelmeInstances)
    assert [name for name in inspect.signature(LabelmeInstances).parameters if f"{name}:" not in text] == []


@pytest.mark.parametrize(
    ("label", "seen"), [(None, "None"), ("", "''"), ("  ", "'  '"), (7, "7"), ("a\0b", "x00"), (["a"], "a")]
)
def test_labels_that_are_no_text(tmp_path: Path, label: object, seen: str) -> None:
    """A label of null was a class named None."""
    path = save(tmp_path / "train", "a", [shape("nut", SQUARE), shape("nut", SQUARE) | {"label": label}])
    with pytest.raises(DataError, match=r"shape 1 has the label .*; expected a text") as caught:
        LabelmeInstances(str(tmp_path))
    assert str(path) in caught.value.message
    assert seen in caught.value.message


def test_blanks_around_a_label_make_no_class(tmp_path: Path) -> None:
    save(tmp_path / "train", "a", [shape("cat", SQUARE), shape("cat ", SQUARE), shape(" cat", SQUARE)])
    data = LabelmeInstances(str(tmp_path))
    assert data.classes == ("cat",)
    assert len(data.load(0).instances) == 3


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ({"imageHeight": 2**40}, "a side of more than 65,535"),
        ({"imageHeight": -1}, "no size"),
        ({"imageHeight": 0}, "no size"),
        ({"imageHeight": 60000, "imageWidth": 60000}, "3,600,000,000 pixels"),
        ({"imageWidth": 10**400}, "a side"),
    ],
)
def test_sizes_that_no_image_has(tmp_path: Path, size: dict, seen: str) -> None:
    path = save(tmp_path / "train", "a", [shape("nut", SQUARE)], **size)
    with pytest.raises(DataError, match=seen) as caught:
        LabelmeInstances(str(tmp_path))
    assert str(path) in caught.value.message


@pytest.mark.parametrize("size", [None, "40", 40.0, True])
def test_a_size_that_is_no_whole_number_is_read_from_the_image(tmp_path: Path, size: object) -> None:
    save(tmp_path / "train", "a", [shape("nut", SQUARE)], imageHeight=size)
    assert LabelmeInstances(str(tmp_path)).load(0).instances.size == (40, 60)


@pytest.mark.parametrize("number", [1e300, 10**400, float("nan"), float("inf"), "x", None])
def test_points_that_are_nowhere(tmp_path: Path, number: object) -> None:
    for kind, points in (("polygon", [[1, 1], [5, 1], [number, 5]]), ("circle", [[9, 9], [number, 9]])):
        save(tmp_path / "train", "a", [shape("nut", points, kind)])
        with pytest.raises(DataError, match=r"no pairs of numbers|far outside") as caught:
            LabelmeInstances(str(tmp_path))
        assert f"shape 0 (nut, {kind})" in caught.value.message


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "\ud800", "", "../.."])
def test_images_that_no_file_is(tmp_path: Path, name: str) -> None:
    save(tmp_path / "train", "a", [shape("nut", SQUARE)], imagePath=name)
    with pytest.raises(DataError, match="does not exist"):
        LabelmeInstances(str(tmp_path))
