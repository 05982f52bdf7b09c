"""The whole examination, its verdict and its text."""

import json
from pathlib import Path

import numpy as np
import pytest

from mobileseg.data.datasets import Dataset
from mobileseg.data.doctor.checks import Finding
from mobileseg.data.doctor.diagnose import diagnose
from mobileseg.data.doctor.table import render
from mobileseg.errors import DataError

CROP = [{"type": "RandomPaddingCrop", "crop_size": [16, 16]}]


def datasets(folder, **more) -> dict[str, Dataset]:
    train, val = folder.fill("train.txt", 4), folder.fill("val.txt", 2)
    usual = {"num_classes": 3, "classes": ["sky", "pole", "car"]} | more
    return {
        "train": Dataset(str(folder.root), CROP, train_path=train, **usual),
        "val": Dataset(str(folder.root), mode="val", val_path=val, **usual),
    }


def test_a_good_dataset_may_train(folder) -> None:
    seen: list[tuple[str, int, int]] = []
    diagnosis = diagnose(datasets(folder), batch_size=4, progress=lambda *step: seen.append(step))
    assert diagnosis.findings == []
    assert diagnosis.exit_code == 0
    assert seen[-1] == ("val", 2, 2)
    text = render(diagnosis)
    assert "training may start: 0 errors, 0 warnings" in text
    assert "train: 4 images, width x height 32x24 (4), 0.0 % ignored" in text
    report = json.loads(json.dumps(diagnosis.to_dict()))
    assert report["may_train"] is True
    assert report["splits"]["train"]["sizes"] == [{"width": 32, "height": 24, "images": 4}]
    assert [row["name"] for row in report["splits"]["val"]["classes"]] == ["sky", "pole", "car"]
    assert sum(row["share"] for row in report["splits"]["val"]["classes"]) == pytest.approx(1)


def test_class_weights_are_median_frequencies(folder) -> None:
    labels = [np.zeros((24, 32), np.uint8) for _ in range(2)]
    labels[0][:12] = 1  # half of the one image in which it occurs
    for index, label in enumerate(labels):
        folder.add(str(index), label)
    data = Dataset(str(folder.root), train_path=folder.list("l.txt", ["0", "1"]), num_classes=3)
    diagnosis = diagnose({"train": data})
    # frequencies: class 0 three quarters of two images, class 1 half of one; median 0.625; class 2 absent
    assert diagnosis.class_weights() == [round(0.625 / 0.75, 4), round(0.625 / 0.5, 4), 1.0]
    assert diagnose({"val": data}).class_weights() is None


def test_errors_come_first_and_decide(folder) -> None:
    data = datasets(folder)
    data["train"].items[1].image.unlink()
    earlier = [Finding("warning", "dataset-missing", "there is no val_dataset", split="val")]
    diagnosis = diagnose({"train": data["train"]}, earlier=earlier)
    assert [finding.code for finding in diagnosis.findings] == ["image-missing", "dataset-missing"]
    assert diagnosis.exit_code == DataError.exit_code == 3
    text = render(diagnosis)
    assert "ERROR image-missing [train]: images do not exist: 1 of 4" in text
    assert str(data["train"].items[1].image) in text
    assert "training must not start: 1 error, 1 warning" in text


def test_many_files_are_counted_not_listed(folder) -> None:
    data = Dataset(str(folder.root), train_path=folder.fill("l.txt", 9), num_classes=3)
    for item in data.items:
        item.image.unlink()
    text = render(diagnose({"train": data}))
    assert text.count("l_") == 5 + 1  # five examples and the one in the message
    assert "... and 4 more" in text
    assert "width x height unknown" in text


def test_splits_with_other_classes(folder) -> None:
    data = datasets(folder)
    data["val"] = Dataset(str(folder.root), mode="val", val_path="val.txt", num_classes=5)
    diagnosis = diagnose(data)
    assert diagnosis.findings[0].code == "classes-differ"
    assert "3 classes against 5" in diagnosis.findings[0].message
    render(diagnosis)


def test_splits_whose_classes_stand_in_another_order(folder) -> None:
    data = datasets(folder)
    data["val"] = Dataset(str(folder.root), mode="val", val_path="val.txt", classes=["sky", "car", "pole"])
    (finding,) = diagnose(data).findings
    assert (finding.code, finding.level) == ("classes-differ", "error")
    assert "class 1 is 'pole' in the first and 'car' in the second" in finding.message


def test_splits_that_normalise_differently(folder) -> None:
    data = datasets(folder)
    data["train"] = Dataset(str(folder.root), [*CROP, {"type": "Normalize"}], train_path="train.txt", num_classes=3)
    found = [finding for finding in diagnose(data).findings if finding.level == "error"]
    assert [finding.code for finding in found] == ["normalise-differs"]
    assert "val: does not normalise" in found[0].message


def test_limit_is_said(folder) -> None:
    diagnosis = diagnose(datasets(folder), limit=2)
    assert [finding.code for finding in diagnosis.findings] == ["limited"]
    assert "2 of 4" in diagnosis.findings[0].message


def test_nothing_to_read() -> None:
    broken = [Finding("error", "dataset-unusable", "the folder does not exist", split="train")]
    diagnosis = diagnose({}, earlier=broken)
    assert diagnosis.exit_code == 3
    assert "ERROR dataset-unusable [train]" in render(diagnosis)


def test_photographs(photos: Path) -> None:
    root = str(photos / "camvid")
    diagnosis = diagnose({"train": Dataset(root, train_path="train.txt")}, limit=20, workers=2)
    assert diagnosis.exit_code == 0
    assert diagnosis.splits["train"].sizes == {(360, 480): 20}
