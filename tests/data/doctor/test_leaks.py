"""Images that occur twice."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from mobileseg.data.datasets import Dataset
from mobileseg.data.doctor.leaks import duplicate_findings, leak_findings
from mobileseg.data.doctor.scan import scan
from mobileseg.semantic.doctor_labels import LabelSummary


def summaries(folder, train: list[str], val: list[str]) -> dict:
    folder.list("train.txt", train)
    folder.list("val.txt", val)
    return {
        "train": scan(LabelSummary("train", Dataset(str(folder.root), train_path="train.txt", num_classes=3))),
        "val": scan(LabelSummary("val", Dataset(str(folder.root), mode="val", val_path="val.txt", num_classes=3))),
    }


@pytest.fixture
def images(folder, picture):
    """Three different images, and ``copy(source, name, change)`` for changed copies."""
    for name in ("a", "b", "c"):
        folder.add(name, np.zeros((60, 80), np.uint8), picture(60, 80))

    def copy(source: str, name: str, change=lambda image: image) -> None:
        shutil.copy(folder.root / f"{source}_label.png", folder.root / f"{name}_label.png")
        change(Image.open(folder.root / f"{source}.png")).save(folder.root / f"{name}.png")

    folder.copy = copy
    return folder


def test_different_images_do_not_leak(images) -> None:
    found = summaries(images, ["a", "b"], ["c"])
    assert list(leak_findings(found)) == []
    assert list(duplicate_findings(found["train"])) == []


def test_same_path(images) -> None:
    (finding,) = leak_findings(summaries(images, ["a", "b"], ["c", "b"]))
    assert (finding.level, finding.code, finding.count) == ("error", "leak-path", 1)
    assert finding.files == (str(images.root / "b.png"),)


def test_same_content_under_another_name(images) -> None:
    shutil.copy(images.root / "b.png", images.root / "d.png")
    shutil.copy(images.root / "b_label.png", images.root / "d_label.png")
    (finding,) = leak_findings(summaries(images, ["a", "b"], ["c", "d"]))
    assert (finding.level, finding.code) == ("error", "leak-content")
    assert finding.files == (f"{images.root / 'd.png'} = {images.root / 'b.png'}",)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda image: image.resize((40, 30), Image.Resampling.BICUBIC),
        lambda image: ImageEnhance.Brightness(image).enhance(0.8),
        lambda image: image.quantize(16).convert("RGB"),
    ],
    ids=["mirrored", "smaller", "darker", "fewer colours"],
)
def test_changed_copies_look_alike(images, change) -> None:
    images.copy("b", "d", change)
    (finding,) = leak_findings(summaries(images, ["a", "b"], ["c", "d"]))
    assert (finding.level, finding.code, finding.count) == ("warning", "leak-similar", 1)
    assert finding.files == (f"{images.root / 'd.png'} ~ {images.root / 'b.png'}",)


def test_duplicates_inside_a_split(images) -> None:
    images.copy("a", "d")
    images.copy("a", "e")
    found = summaries(images, ["d", "b", "e"], ["c"])
    (finding,) = duplicate_findings(found["train"])
    assert (finding.level, finding.code, finding.count) == ("warning", "duplicate", 1)


def test_photographs_of_two_drives_do_not_look_alike(photos: Path) -> None:
    root = str(photos / "camvid")
    found = {
        "train": scan(LabelSummary("train", Dataset(root, train_path="train.txt")), limit=60),
        "val": scan(LabelSummary("val", Dataset(root, mode="val", val_path="val.txt")), limit=30),
    }
    assert list(leak_findings(found)) == []
