"""Every mistake in annotated objects that the doctor knows, in a dataset that has that mistake alone."""

import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mobileseg.data.datasets import LabelmeInstances
from mobileseg.data.doctor.diagnose import diagnose
from mobileseg.data.formats import coco_annotations
from mobileseg.data.formats.coco import CocoInstances
from mobileseg.data.formats.coco_annotations import AnnotationError
from mobileseg.instance.doctor_findings import REFUSED, refused_findings
from mobileseg.instance.doctor_objects import fits
from tests.data.coco_folder import SIZE, CocoFolder, rectangle

QUIET = {"class-rare"}  # a class of three objects is rare


@pytest.fixture
def coco(tmp_path: Path) -> CocoFolder:
    folder = CocoFolder(tmp_path)
    folder.document("train")
    return folder


def findings(coco: CocoFolder, split: str = "train", **more) -> list:
    return [one for one in diagnose({split: coco.open(split, **more)}).findings if one.code not in QUIET]


def only(coco: CocoFolder, code: str, level: str, **more):
    (finding,) = findings(coco, **more)
    assert (finding.code, finding.level) == (code, level)
    assert finding.fix
    return finding


def test_good_annotations(coco) -> None:
    assert findings(coco) == []
    summary = diagnose({"train": coco.open()}).splits["train"]
    assert summary.objects.objects.tolist() == [3, 3]
    assert summary.objects.images_with.tolist() == [3, 3]
    assert summary.objects.total == 6


def test_box_without_an_area(coco) -> None:
    coco.add("train", 11, (5, 5, 0, 10), segmentation=[rectangle(5, 40, 8, 10)])
    finding = only(coco, "box-degenerate", "warning")
    assert finding.count == 1
    assert finding.files == (f"{coco.root / 'train.json'}: annotation 106 (image 11, train_1.png)",)
    assert "0 wide and 10 high" in finding.message


def test_box_beyond_the_image(coco) -> None:
    coco.add("train", 11, (60, 40, 25, 20), segmentation=[rectangle(60, 40, 20, 20)])
    assert "(60, 40, 85, 60), the image is 80x60" in only(coco, "box-outside", "warning").message


def test_rounding_is_no_mistake(coco) -> None:
    coco.add("train", 11, (-0.6, 40, 20.6, 20.7), segmentation=[rectangle(-0.6, 40, 20.6, 20.7)])
    coco.add("train", 12, (30.5, 5.5, 12.2, 8.9), segmentation=[rectangle(31.4, 6.3, 10.8, 7.5)])
    assert findings(coco) == []


def test_mask_without_a_pixel(coco) -> None:
    coco.add("train", 11, (5, 5, 10, 10), segmentation={"size": list(SIZE), "counts": [SIZE[0] * SIZE[1]]})
    coco.add("train", 12, (5, 5, 3, 3), segmentation=[[5.1, 5.1, 5.2, 5.1, 5.2, 5.2]])
    assert only(coco, "mask-empty", "warning").count == 2


def test_mask_beyond_the_image(coco) -> None:
    coco.add("train", 11, (50, 40, 30, 20), segmentation=[rectangle(50, 40, 45, 20)])
    assert "by 15 pixels" in only(coco, "mask-outside", "warning").message


def test_mask_wholly_beyond_the_image(coco) -> None:
    coco.add("train", 11, (70, 40, 10, 10), segmentation=[rectangle(100, 80, 10, 10)])
    assert "nothing of it is inside" in only(coco, "mask-outside", "warning").message


def test_run_lengths_that_do_not_fill_the_image(coco) -> None:
    good = coco_mask.encode(np.asfortranarray(np.ones((30, 80), np.uint8)))["counts"].decode()
    coco.add("train", 11, (0, 0, 80, 60), segmentation={"size": list(SIZE), "counts": good}, iscrowd=1)
    finding = only(coco, "mask-unreadable", "error")
    assert "annotation 106" in finding.files[0]


def test_box_that_is_not_the_masks(coco) -> None:
    coco.add("train", 11, (5, 5, 40, 40), segmentation=[rectangle(50, 30, 20, 20)])
    finding = only(coco, "box-mismatch", "warning")
    assert "its box (5, 5, 45, 45), that of its mask (50, 30, 70, 50)" in finding.message


def test_corners_in_place_of_width_and_height(coco) -> None:
    for annotation in coco.document()["annotations"]:
        x, y, width, height = annotation["bbox"]
        annotation["bbox"] = [x, y, x + width, y + height]
    mismatch = next(one for one in findings(coco) if one.code == "box-mismatch")
    assert mismatch.level == "error"
    assert "x1, y1, x2 - x1, y2 - y1" in mismatch.fix


def test_boxes_as_shares_of_the_image(coco) -> None:
    for annotation in coco.document()["annotations"]:
        scale = (SIZE[1], SIZE[0], SIZE[1], SIZE[0])
        annotation["bbox"] = [value / side for value, side in zip(annotation["bbox"], scale, strict=True)]
    finding = only(coco, "box-mismatch", "error")
    assert "normalised coordinates" in finding.fix


def test_crowd_regions_are_counted_apart(coco) -> None:
    region = np.zeros(SIZE, np.uint8)
    region[5:50:3] = 1
    rle = coco_mask.encode(np.asfortranarray(region))
    counts = {"size": list(SIZE), "counts": rle["counts"].decode()}
    coco.add("train", 11, (20, 20, 5, 5), category=9, segmentation=counts, iscrowd=1)
    assert findings(coco) == []
    diagnosis = diagnose({"train": coco.open()})
    summary = diagnosis.splits["train"].objects
    assert summary.crowds.tolist() == [0, 1]
    assert summary.objects.tolist() == [3, 3]
    classes = diagnosis.to_dict()["splits"]["train"]["classes"]
    assert classes[1] == {"name": "dog", "objects": 3, "crowd_regions": 1, "images": 3}


def test_duplicate_of_an_annotation(coco) -> None:
    coco.add("train", 11, (10, 10, 20, 15), category=4)
    coco.add("train", 11, (10, 10, 20, 15), category=9)  # another class: two opinions, not a copy
    coco.add("train", 12, (41, 30, 25, 20), category=9)  # another box
    finding = only(coco, "annotation-duplicate", "warning")
    assert finding.count == 1
    assert "the same as annotation 102" in finding.message


def test_object_that_the_input_cannot_show(coco) -> None:
    """80x60 pixels become 32x32: 4 columns are 1.6, 6 columns are 2.4; 3 rows are 1.6, 4 rows 2.1."""
    coco.add("train", 11, (30, 5, 4, 20))
    coco.add("train", 11, (50, 5, 6, 4))
    coco.add("train", 12, (30, 5, 20, 3))
    finding = only(coco, "object-tiny", "info")
    assert finding.count == 2
    assert "4x20 pixels, 1.6x10.7 in the input" in finding.message
    larger = [{"type": "Resize", "target_size": [64, 64]}, {"type": "Normalize"}]
    assert findings(coco, transforms=larger) == []


def test_size_that_is_not_that_of_the_file(coco) -> None:
    path = coco.root / "train" / "train_1.png"
    Image.open(path).resize((40, 30)).save(path)
    finding = only(coco, "size-differs", "error")
    assert finding.files == (str(path),)
    assert "annotated as 80x60, the file is 40x30" in finding.message


def test_size_of_a_turned_image(coco) -> None:
    path = coco.root / "train" / "train_1.png"
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    assert "turned by 90 degrees" in only(coco, "size-differs", "error").message


def test_images_without_objects(coco) -> None:
    document = coco.document()
    document["annotations"] = [one for one in document["annotations"] if one["image_id"] != 12]
    finding = only(coco, "images-without-objects", "info")
    assert finding.files == (str(coco.root / "train" / "train_2.png"),)
    assert "keep_empty" in finding.fix
    (kept,) = (one for one in diagnose({"train": coco.open()}, keep_empty=["train"]).findings if one.code not in QUIET)
    assert "nothing is there" in kept.fix


def test_class_without_objects(coco) -> None:
    coco.document()["categories"].append({"id": 30, "name": "emu"})
    assert "emu" in only(coco, "class-absent", "warning").message


def test_no_object_at_all(coco) -> None:
    coco.document()["annotations"].clear()
    assert "nothing to learn" in only(coco, "no-objects", "error").message
    coco.document("val")["annotations"].clear()
    (finding,) = findings(coco, "val")
    assert (finding.code, finding.level) == ("no-objects", "warning")


def test_few_objects_of_a_class(coco) -> None:
    (finding,) = diagnose({"train": coco.open()}).findings
    assert finding.code == "class-rare"
    assert "cat (3), dog (3)" in finding.message


def test_the_same_image_in_two_splits(coco) -> None:
    coco.document("val")
    (coco.root / "val" / "val_0.png").write_bytes((coco.root / "train" / "train_2.png").read_bytes())
    found = diagnose({"train": coco.open(), "val": coco.open("val")}).findings
    (finding,) = (one for one in found if one.code not in QUIET)
    assert (finding.code, finding.level) == ("leak-content", "error")


def refused(coco: CocoFolder) -> dict:
    with pytest.raises(AnnotationError) as caught:
        coco.open()
    return {finding.code: finding for finding in refused_findings("train", caught.value)}


def test_annotations_that_a_dataset_refuses(coco) -> None:
    """All of them at once, each kind with its own finding."""
    box = (5, 5, 10, 10)
    coco.add("train", 99, box)
    coco.add("train", 11, box, category=5)
    coco.add("train", 11, box, category=6)
    coco.add("train", 11, box, segmentation=[[5, 5, 10, 10]])
    coco.add("train", 11, box, segmentation=[rectangle(10, 40, 1e12, 10)])  # drawing it would take all memory
    coco.add("train", 11, box, segmentation={"size": [10, 10], "counts": [50, 50]})
    coco.add("train", 11, box, segmentation=[])
    coco.add("train", 11, (5, 5, -4, 10))
    coco.add("train", 11, box, id=100)
    coco.add("train", 11, box, iscrowd="1")
    found = refused(coco)
    assert {code: finding.count for code, finding in found.items()} == {
        "annotation-orphan": 1,
        "category-unknown": 2,
        "polygon-broken": 2,
        "mask-unreadable": 1,
        "mask-missing": 1,
        "box-broken": 1,
        "id-duplicate": 1,
        "crowd-broken": 1,
    }
    assert all(finding.level == "error" and finding.fix for finding in found.values())
    assert str(coco.root / "train.json") in found["annotation-orphan"].message
    assert "annotation 106 (image 99)" in found["annotation-orphan"].files[0]


def test_boxes_that_fit() -> None:
    assert fits((0, 0, 10, 10), (2, 2, 12, 12))  # three pixels are within the hand of an annotator
    assert fits((0, 0, 100, 100), (0, 0, 100, 75))
    assert not fits((0, 0, 100, 100), (0, 0, 100, 40))
    assert not fits((0, 0, 10, 10), (50, 50, 60, 60))


def test_photographs_have_no_mistakes(photos: Path) -> None:
    """COCO's own annotations: nothing but small objects, empty images and the classes of a small subset."""
    datasets = {
        mode: CocoInstances(
            str(photos / "coco"),
            mode=mode,
            keep_empty=True,
            transforms=[{"type": "Resize", "target_size": [320, 320]}, {"type": "Normalize"}],
        )
        for mode in ("train", "val")
    }
    diagnosis = diagnose(datasets, workers=2)
    assert diagnosis.exit_code == 0
    codes = {finding.code for finding in diagnosis.findings}
    assert codes == {"object-tiny", "images-without-objects", "class-rare", "class-absent"}
    assert diagnosis.splits["val"].objects.total == 868
    assert diagnosis.splits["train"].objects.total == 2974


def test_mostly_empty_masks_are_an_error(coco) -> None:
    for annotation in coco.document()["annotations"][:4]:
        annotation["segmentation"] = {"size": list(SIZE), "counts": [SIZE[0] * SIZE[1]]}
    found = {one.code: one for one in findings(coco)}
    assert (found["mask-empty"].level, found["mask-empty"].count) == ("error", 4)


def test_polygons_as_shares_of_the_image(coco) -> None:
    for annotation in coco.document()["annotations"]:
        (polygon,) = annotation["segmentation"]
        annotation["segmentation"] = [[value / SIZE[1 - index % 2] * 0.4 for index, value in enumerate(polygon)]]
    found = {one.code: one for one in findings(coco)}
    assert found["mask-empty"].level == "error"
    assert "normalised coordinates" in found["mask-empty"].fix


@pytest.mark.parametrize(("crowds", "said"), [(2, False), (3, True), (6, True)])
def test_share_of_crowd_regions(coco, crowds: int, said: bool) -> None:
    for annotation in coco.document()["annotations"][:crowds]:
        annotation["iscrowd"] = 1
    found = {one.code: one for one in findings(coco)}
    assert ("crowd-share" in found) == said
    if said:
        assert found["crowd-share"].level == "warning"
        assert f"are {crowds} of 6 annotations" in found["crowd-share"].message
    if crowds == 6:
        assert "all 6 annotations are crowd regions" in found["no-objects"].fix


def test_classes_that_are_written_almost_alike(coco) -> None:
    coco.document()["categories"] += [{"id": 20, "name": "flower"}, {"id": 30, "name": "flwoer"}]
    for number in range(30):
        coco.add("train", 10 + number % 3, (2 + number, 45, 9, 9), category=20)
    coco.add("train", 11, (60, 5, 10, 10), category=30)
    finding = only(coco, "class-alike", "warning")
    assert "the class 'flwoer' (1 objects) is written almost like 'flower' (30)" in finding.message
    coco.document()["categories"][-1]["name"] = "tree"
    assert findings(coco) == []
    coco.document()["categories"][-2:] = [{"id": 20, "name": "marker 1"}, {"id": 30, "name": "marker 2"}]
    assert findings(coco) == []  # numbered on purpose


def test_labels_that_are_no_class(tmp_path: Path) -> None:
    square = [[10, 5], [30, 5], [30, 25], [10, 25]]
    (tmp_path / "train").mkdir()
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "train/a.png")
    shapes = [{"label": label, "points": square, "shape_type": "polygon"} for label in ("flower", "flwoer", "sky")]
    document = {"shapes": shapes, "imagePath": "a.png", "imageHeight": 40, "imageWidth": 60}
    (tmp_path / "train/a.json").write_text(json.dumps(document))
    dataset = LabelmeInstances(str(tmp_path), classes=["flower"])
    found = {one.code: one for one in diagnose({"train": dataset}).findings}
    assert found["label-unknown"].level == "warning"
    assert "'flwoer' (1), perhaps 'flower'; 'sky' (1)" in found["label-unknown"].message


def test_every_code_with_which_annotations_are_refused_has_a_finding() -> None:
    source = inspect.getsource(coco_annotations)
    codes = set(re.findall(r'AnnotationProblem\(\s*"(\w+)"', source)) | {"polygon", "rle", "mask"}
    assert codes == set(REFUSED)
