"""COCO documents: what is accepted, what is refused and with which words."""

import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mobileseg.data.formats.annotation_json import count_categories
from mobileseg.data.formats.coco_annotations import AnnotationError
from mobileseg.data.formats.coco_json import read_coco
from mobileseg.errors import ConfigError, DataError

SQUARE = [[2, 3, 12, 3, 12, 13, 2, 13]]


def document() -> dict:
    """Two images of 20x30, two categories with a gap between their ids, three objects."""
    return {
        "info": {"description": "x"},
        "images": [
            {"id": 40, "file_name": "a.png", "height": 20, "width": 30},
            {"id": 7, "file_name": "sub/b.png", "height": 20, "width": 30},
        ],
        "annotations": [
            {"id": 11, "image_id": 7, "category_id": 90, "bbox": [2, 3, 10, 10], "area": 99.5, "iscrowd": 0,
             "segmentation": SQUARE},
            {"id": 12, "image_id": 40, "category_id": 3, "bbox": [2, 3, 10, 10], "segmentation": SQUARE},
            {"id": 13, "image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 20], "iscrowd": 1,
             "segmentation": {"size": [20, 30], "counts": [0, 20, 580]}},
        ],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 3, "name": "car"}],
    }  # fmt: skip


def write(folder: Path, value: object) -> Path:
    path = folder / "instances_train.json"
    path.write_text(json.dumps(value) if not isinstance(value, str) else value)
    return path


def test_ids_with_gaps_become_classes(tmp_path: Path) -> None:
    found = read_coco(write(tmp_path, document()))
    assert found.classes == ("car", "toothbrush")
    assert found.category_ids == (3, 90)
    assert found.image_ids == [40, 7]
    assert found.file_names == ["a.png", "sub/b.png"]
    assert found.table.ids.tolist() == [12, 11, 13]
    assert found.table.classes.tolist() == [0, 1, 0]
    assert found.table.crowd.tolist() == [False, False, True]
    assert found.table.areas.tolist() == [100, 99.5, 20]  # without an area: the box
    np.testing.assert_array_equal(found.table.instances(1).boxes, [[2, 3, 12, 13], [0, 0, 1, 20]])
    assert found.table.instances(1).masks[1].sum(axis=0).tolist() == [20] + [0] * 29


def test_all_three_kinds_of_masks_are_equal(tmp_path: Path) -> None:
    rle = coco_mask.merge(coco_mask.frPyObjects(SQUARE, 20, 30))
    mask = coco_mask.decode(rle)
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    value = document()
    forms = [SQUARE, {"size": [20, 30], "counts": rle["counts"].decode()}, {"size": [20, 30], "counts": runs}]
    for annotation, form in zip(value["annotations"], forms, strict=True):
        annotation.update(segmentation=form, image_id=7)
    masks = read_coco(write(tmp_path, value)).table.instances(1).masks
    for drawn in masks:
        np.testing.assert_array_equal(drawn, mask)


def test_class_subset_in_the_order_asked_for(tmp_path: Path) -> None:
    found = read_coco(write(tmp_path, document()), ["toothbrush"])
    assert found.category_ids == (90,)
    assert found.table.ids.tolist() == [11]
    assert len(found.image_ids) == 2
    assert read_coco(write(tmp_path, document()), ["toothbrush", "car"]).category_ids == (90, 3)


def test_unknown_classes_name_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'toothbrus', which is no class of") as caught:
        read_coco(write(tmp_path, document()), ["toothbrus"])
    assert "toothbrush" in caught.value.remedy
    with pytest.raises(ConfigError, match="no class of") as caught:
        read_coco(write(tmp_path, document()), ["qqq"])
    assert "there are: car, toothbrush" in caught.value.remedy
    for wrong in ([], "car"):
        with pytest.raises(ConfigError, match="expected a list of names"):
            read_coco(write(tmp_path, document()), wrong)
    with pytest.raises(ConfigError, match="twice"):
        read_coco(write(tmp_path, document()), ["car", "car"])


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("{", "is no JSON"),
        ([{"image_id": 1, "score": 0.5}], "holds a list (detections are results"),
        ("3", "holds int"),
        ({"shapes": [], "imagePath": "a.png"}, "no 'images' (its keys: shapes, imagePath)"),
        ({}, "no 'images' (its keys: none)"),
        ({"images": {}, "annotations": [], "categories": []}, "'images' is no list"),
        ({"images": [3], "annotations": [], "categories": []}, "'images' is no list of objects"),
        ({"images": [], "annotations": [], "categories": []}, "has no categories"),
    ],
)
def test_no_coco_file(tmp_path: Path, value: object, seen: str) -> None:
    path = write(tmp_path, value)
    with pytest.raises(DataError) as caught:
        read_coco(path)
    assert seen in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.remedy


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.json does not exist"):
        read_coco(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("change", "code", "seen"),
    [
        ({"image_id": 8}, "image", "annotation 12 (image 8): there is no image with that id"),
        ({"image_id": None}, "image", "there is no image"),
        ({"category_id": 4}, "category", "no category 4"),
        ({"category_id": [3]}, "category", "no category [3]"),
        ({"segmentation": [[1, 1, 5, 5]]}, "polygon", "annotation 12 (image 40): a polygon has 2 points"),
        ({"segmentation": [*SQUARE, [1, 2]]}, "polygon", "a polygon has 1 point;"),
        ({"segmentation": [[1, 1, 5, 5, 3, 3, 2]]}, "polygon", "3.5 points"),
        ({"segmentation": [1, 1, 5, 5, 3, 3]}, "polygon", "no list of polygons"),
        ({"segmentation": [[1, 1, 5, 5, "3", 3]]}, "polygon", "no finite numbers"),
        ({"segmentation": [[1, 1, 5, 5, float("nan"), 3]]}, "polygon", "no finite numbers"),
        ({"segmentation": [[1, 1, 5, 5, 4e9, 3]]}, "polygon", "from 1 to 4e+09, far outside"),
        ({"segmentation": []}, "mask", "it has no mask"),
        ({"segmentation": None}, "mask", "it has no mask"),
        ({"segmentation": {"size": [30, 20], "counts": [600]}}, "rle", "size [30, 20] ([height, width]) but"),
        ({"segmentation": {"size": [20, 30], "counts": [0, 20]}}, "rle", "20 pixels but the image has 600"),
        ({"segmentation": {"size": [20, 30], "counts": [700, -100]}}, "rle", "neither text nor"),
        ({"segmentation": {"counts": [600]}}, "rle", "size None"),
        ({"bbox": [1, 2, 3]}, "box", "bbox is [1, 2, 3], not four numbers"),
        ({"bbox": [1, 2, -3, 4]}, "box", "negative size"),
        ({"bbox": [1, 2, 3, float("inf")]}, "box", "not four numbers"),
        ({"bbox": None}, "box", "not four numbers"),
        ({"id": 11}, "id", "has the id of another one"),
        ({"id": "x"}, "id", "no id that is a whole number"),
        ({"id": [1]}, "id", "no id that is a whole number"),
        ({"id": 2**64}, "id", "a number of more than 64 bits"),
        ({"id": 12.0}, "id", "annotation 12.0 (float)"),
        ({"image_id": "7"}, "image", "image_id is '7' (text), the images count in whole numbers"),
        ({"image_id": 7.0}, "image", "image_id is 7.0 (float)"),
        ({"image_id": 10**400}, "image", "there is no image with that id"),
        ({"image_id": float("inf")}, "image", "there is no image"),
        ({"category_id": "3"}, "category", "no category '3' (text)"),
        ({"bbox": [1, 2, 3, 10**400]}, "box", "not four numbers"),
        ({"bbox": [1, 2, 1e308, 4]}, "box", "not four numbers"),
        ({"bbox": [-1e300, 2, 3, 4]}, "box", "not four numbers"),
        ({"segmentation": [[1, 1, 5, 5, 10**400, 3]]}, "polygon", "no finite numbers"),
        ({"segmentation": {"size": 5, "counts": [600]}}, "rle", "for the size 5"),
        ({"segmentation": {"size": "ab", "counts": [600]}}, "rle", "for the size 'ab'"),
        ({"segmentation": {"size": [20, 30], "counts": [2**64, 600]}}, "rle", "neither text nor"),
        ({"segmentation": {"size": [20, 30], "counts": [2**62] * 4 + [600]}}, "rle", "but the image has 600"),
        ({"segmentation": {"size": [20, 30], "counts": "\u00e9"}}, "rle", "not COCO's compressed text"),
        ({"segmentation": {"size": [20, 30], "counts": None}}, "rle", "neither text nor"),
        ({"iscrowd": "0"}, "crowd", "iscrowd is '0' (text), neither 0 nor 1"),
        ({"iscrowd": 2}, "crowd", "iscrowd is 2"),
        ({"iscrowd": [1]}, "crowd", "iscrowd is [1] (list)"),
    ],
)
def test_annotations_that_cannot_be_used(tmp_path: Path, change: dict, code: str, seen: str) -> None:
    value = document()
    value["annotations"][1].update(change)
    path = write(tmp_path, value)
    with pytest.raises(AnnotationError) as caught:
        read_coco(path)
    assert seen in caught.value.message
    assert caught.value.message.startswith(f"{path}: 1 annotation cannot be used")
    assert [problem.code for problem in caught.value.problems] == [code]
    assert caught.value.remedy


def test_many_problems_are_counted(tmp_path: Path) -> None:
    value = document()
    for number in range(30):
        broken = copy.deepcopy(value["annotations"][0]) | {"id": 100 + number, "segmentation": [[1, 1, 2, 2]]}
        value["annotations"].append(broken)
    with pytest.raises(AnnotationError, match="30 annotations cannot be used") as caught:
        read_coco(write(tmp_path, value))
    assert "... and 25 more" in caught.value.message
    assert len(caught.value.problems) == 30
    assert caught.value.remedy.count("draw the object again") == 1


def test_annotations_of_other_classes_are_not_looked_into(tmp_path: Path) -> None:
    value = document()
    value["annotations"][0]["segmentation"] = []
    assert len(read_coco(write(tmp_path, value), ["car"]).table) == 2


@pytest.mark.parametrize(
    ("key", "change", "seen"),
    [
        ("images", {"id": 7}, "two images have the id 7"),
        ("images", {"id": "7"}, "an image has id '7'"),
        ("images", {"file_name": ""}, "file_name ''"),
        ("images", {"height": 0}, "image 40 (a.png) has width 30 and height 0"),
        ("images", {"width": None}, "has width None (null)"),
        ("images", {"width": "30"}, "has width '30' (text)"),
        ("images", {"width": 30.0}, "has width 30.0 (float)"),
        ("images", {"height": -1}, "30x-1 is no size"),
        ("images", {"height": 2**40}, "a side of more than 65,535 pixels"),
        ("images", {"height": 10**400}, "height a number of more than 64 bits"),
        ("images", {"height": 60000, "width": 60000}, "3,600,000,000 pixels"),
        ("images", {"id": 40.0}, "an image has id 40.0 (float)"),
        ("images", {"id": 2**63}, "a number of more than 64 bits"),
        ("images", {"file_name": "a\0.png"}, "U+0000"),
        ("images", {"file_name": "a\ud800.png"}, "U+D800"),
        ("categories", {"id": 3}, "stands there twice"),
        ("categories", {"name": "car"}, "stands there twice"),
        ("categories", {"name": None}, "a category has id 90 and name None"),
    ],
)
def test_broken_images_and_categories(tmp_path: Path, key: str, change: dict, seen: str) -> None:
    value = document()
    value[key][0].update(change)
    with pytest.raises(DataError) as caught:
        read_coco(write(tmp_path, value))
    assert seen in caught.value.message


def test_compressed_rle_is_checked_when_it_is_decoded(tmp_path: Path) -> None:
    value = document()
    value["annotations"][1]["segmentation"] = {"size": [20, 30], "counts": "05"}
    table = read_coco(write(tmp_path, value)).table
    with pytest.raises(ValueError, match="12: the RLE describes 5 pixels"):
        table.instances(0)


def test_categories_are_counted_without_parsing_the_file(tmp_path: Path) -> None:
    value = document()
    assert count_categories(write(tmp_path, value)) == 2
    assert count_categories(write(tmp_path, {"categories": value.pop("categories"), **value})) == 2
    assert count_categories(write(tmp_path, value)) is None
    assert count_categories(write(tmp_path, "{")) is None
    assert count_categories(write(tmp_path, '{"categories": 3, "images": [1]}')) is None
    assert count_categories(tmp_path / "nothing.json") is None


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"images": ['])
def test_deep_json_is_refused(tmp_path: Path, opening: str) -> None:
    path = write(tmp_path, opening * 100_000)
    with pytest.raises(DataError, match=r"nested too deeply|no JSON"):
        read_coco(path)
    assert count_categories(write(tmp_path, '"categories":' + "[" * 100_000)) is None


def test_devices_and_pipes_are_no_annotations(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "pipe.json", Path("/dev/zero"), tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_coco(path)
        assert count_categories(path) is None


@pytest.mark.parametrize("stated", [None, "900", -1, float("nan"), 10**400, [4]])
def test_an_area_that_is_none_is_that_of_the_mask(tmp_path: Path, stated: object) -> None:
    """A diagonal strip: its box of 20x20 pixels is larger than its 20 pixels, which decide about small and medium."""
    mask = np.eye(20, 30, dtype=np.uint8)
    rle = coco_mask.encode(np.asfortranarray(mask))
    text = {"size": [20, 30], "counts": rle["counts"].decode()}
    flat = mask.ravel(order="F")
    runs = np.diff(np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])).tolist()
    runs = runs if flat[0] == 0 else [0, *runs]
    value = document()
    forms = [SQUARE, text, {"size": [20, 30], "counts": runs}]
    drawn = coco_mask.area(coco_mask.merge(coco_mask.frPyObjects(SQUARE, 20, 30)))
    for annotation, form in zip(value["annotations"], forms, strict=True):
        annotation.update(segmentation=form, image_id=7, area=stated)
    value["annotations"][0].pop("area")
    assert sorted(read_coco(write(tmp_path, value)).table.areas.tolist()) == sorted([20, 20, float(drawn)])
    value["annotations"][1]["area"] = 12.5
    assert 12.5 in read_coco(write(tmp_path, value)).table.areas


def test_names_with_backslashes_and_crowds_of_any_kind(tmp_path: Path) -> None:
    value = document()
    value["images"][0]["file_name"] = "train\\a.png"
    for annotation, crowd in zip(value["annotations"], [True, None, 0], strict=True):
        annotation["iscrowd"] = crowd
    found = read_coco(write(tmp_path, value))
    assert found.file_names[0] == "train/a.png"
    assert sorted(found.table.crowd.tolist()) == [False, False, True]
