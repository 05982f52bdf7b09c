"""The quick look at annotated objects before a training, and what the network's input is like."""

import copy
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobileseg.data.doctor.diagnose import diagnose, preflight
from mobileseg.data.doctor.table import render
from mobileseg.data.formats.coco import CocoInstances
from mobileseg.errors import DataError
from mobileseg.instance.doctor import InstanceSummary, dummy, input_size
from tests.data.coco_folder import SIZE, CocoFolder


@pytest.fixture
def coco(tmp_path: Path) -> CocoFolder:
    folder = CocoFolder(tmp_path)
    folder.document("train")
    return folder


def test_preflight_passes_what_is_right(coco) -> None:
    preflight(coco.open())
    coco.add("train", 11, (5, 5, 40, 40), segmentation=[[50, 30, 70, 30, 70, 50]])  # one slip is not a habit
    preflight(coco.open())


def test_preflight_stops_corners_in_place_of_sizes(coco) -> None:
    for annotation in coco.document()["annotations"]:
        x, y, width, height = annotation["bbox"]
        annotation["bbox"] = [x, y, x + width, y + height]
    with pytest.raises(DataError, match="boxes do not fit their masks: 6 of 6") as caught:
        preflight(coco.open())
    assert "annotation 100 (image 10, train_0.png)" in caught.value.message
    assert "they fit as x1, y1, x2, y2" in caught.value.remedy


def test_preflight_of_boxes_alone_that_are_elsewhere(coco) -> None:
    for annotation in coco.document()["annotations"]:
        annotation["bbox"] = [0, 0, 5, 5]
    with pytest.raises(DataError) as caught:
        preflight(coco.open())
    assert "they fit" not in caught.value.remedy


def test_preflight_stops_polygons_and_boxes_as_shares(coco) -> None:
    """Their masks have no pixel, or one; boxes alone as shares do not fit their masks."""
    whole = copy.deepcopy(coco.document()["annotations"])
    scale = (SIZE[1], SIZE[0], SIZE[1], SIZE[0])
    for annotation in coco.document()["annotations"]:
        annotation["bbox"] = [value / side for value, side in zip(annotation["bbox"], scale, strict=True)]
    with pytest.raises(DataError, match="do not fit") as caught:
        preflight(coco.open())
    assert "normalised coordinates" in caught.value.remedy
    for annotation in coco.document()["annotations"]:
        (polygon,) = annotation["segmentation"]
        annotation["segmentation"] = [[value / SIZE[1 - index % 2] for index, value in enumerate(polygon)]]
    with pytest.raises(DataError) as caught:
        preflight(coco.open())
    assert "normalised coordinates" in caught.value.remedy
    coco.document()["annotations"] = whole
    preflight(coco.open())


def test_preflight_stops_masks_without_a_pixel(coco) -> None:
    empty = {"size": list(SIZE), "counts": [SIZE[0] * SIZE[1]]}
    for annotation in coco.document()["annotations"][:4]:
        annotation["segmentation"] = empty
    with pytest.raises(DataError, match="masks without a pixel: 4 of 6"):
        preflight(coco.open())


@pytest.mark.parametrize("turn", [2, 3, 4])
def test_turned_in_a_way_that_the_size_does_not_show(coco, turn: int) -> None:
    path = coco.root / "train" / "train_1.png"
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.open(path).save(path, exif=exif)
    codes = {one.code: one for one in diagnose({"train": coco.open()}).findings}
    assert codes["exif-unsure"].files == (str(path),)
    assert codes["exif-unsure"].level == "warning"


def test_input_size(coco) -> None:
    assert input_size(coco.open(), (60, 80)) == (32, 32)
    assert input_size(coco.open(transforms=[{"type": "Normalize"}]), (60, 80)) == (60, 80)
    broken = coco.open()
    broken.transforms = [lambda sample, rng: 1 / 0]
    assert input_size(broken, (60, 80)) is None


def test_dummy_has_an_object_to_train_on(coco) -> None:
    sample = dummy(coco.open(), (60, 80))
    assert sample.image.shape == (60, 80, 3)
    assert sample.instances.masks.sum() == 30 * 40
    coco.document("val")
    assert dummy(coco.open("val"), (60, 80)).instances is None


def test_transforms_that_fail_and_sizes_that_differ(coco) -> None:
    dataset = coco.open(transforms=[{"type": "Normalize"}])
    dataset.transforms = [lambda sample, rng: 1 / 0]
    assert "transform-fails" in {finding.code for finding in diagnose({"train": dataset}).findings}
    path = coco.root / "train" / "train_1.png"
    Image.fromarray(np.zeros((30, 80, 3), np.uint8)).save(path)
    coco.document()["images"][1]["height"] = 30
    dataset = coco.open(transforms=[{"type": "Normalize"}])
    codes = {finding.code for finding in diagnose({"train": dataset}, batch_size=2).findings}
    assert "sizes-differ" in codes


def test_annotation_file_is_not_read_as_an_image(coco) -> None:
    """It stands in the place of the label of every item."""
    diagnosis = diagnose({"train": coco.open()}, limit=2, workers=2)
    summary = diagnosis.splits["train"]
    assert isinstance(summary, InstanceSummary)
    assert not summary.problems
    assert summary.scanned == 2
    assert summary.objects.images == 3  # annotations are looked at in any case


def test_text(coco) -> None:
    coco.document("val", images=1)
    lines = render(diagnose({"train": coco.open(), "val": coco.open("val")})).splitlines()
    assert lines[0] == ("train: 3 images, width x height 80x60 (3), 6 objects, 0 crowd regions, 0 images without any")
    dog = next(line for line in lines if line.startswith("dog"))
    assert dog.split() == ["dog", "3", "0", "3", "1", "0", "1"]
    assert lines[-1].startswith("training may start")


def test_preflight_is_cheap(photos: Path) -> None:
    dataset = CocoInstances(str(photos / "coco"), mode="train")
    start = time.process_time()
    preflight(dataset)
    assert time.process_time() - start < 1.0


def test_annotations_of_coco_pass(photos: Path) -> None:
    """What docs/doctor.md says: small objects, images without any, and few objects of a class, nothing else."""
    dataset = CocoInstances(str(photos / "coco"), mode="val", keep_empty=True)
    codes = {finding.code for finding in diagnose({"val": dataset}, limit=40).findings}
    assert codes <= {"object-tiny", "images-without-objects", "class-absent", "limited"}
