"""Findings about the values of labels: level, code, files and the fix."""

import numpy as np
import pytest
from PIL import Image

from mobileseg.data.datasets import Dataset
from mobileseg.data.doctor.checks import file_findings
from mobileseg.data.doctor.scan import scan
from mobileseg.data.label_values import is_binary_255
from mobileseg.semantic.doctor_labels import LabelSummary, class_findings, label_findings
from tests.data.conftest import Folder
from tests.data.doctor.summaries import by_code, filled, summarize


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path)


def test_clean_labels_have_no_findings(folder) -> None:
    summary = summarize(folder, [filled(0, 1, 2), filled(0, 1, 2)])
    assert list(label_findings(summary)) == []
    assert list(file_findings(summary)) == []
    assert list(class_findings(summary)) == []


def test_zero_and_255(folder) -> None:
    summary = summarize(folder, [filled(0, 255), filled(0)], num_classes=2)
    found = by_code(label_findings(summary))
    assert list(found) == ["label-binary"]
    assert found["label-binary"].level == "error"
    assert "255 is ignore_index" in found["label-binary"].message
    assert "label_map: {0: 0, 255: 1}" in found["label-binary"].fix
    mapped = summarize(folder, [filled(0, 255)], num_classes=2, label_map={0: 0, 255: 1})
    assert list(label_findings(mapped)) == []


def test_zero_and_255_among_correct_labels(folder) -> None:
    right, wrong = filled(0, 1), filled(0, 255)
    found = by_code(label_findings(summarize(folder, [right, wrong, right, wrong], num_classes=2)))
    assert list(found) == ["label-mixed"]
    assert found["label-mixed"].level == "warning"
    assert found["label-mixed"].count == 2
    assert "2 of 4" in found["label-mixed"].message
    assert found["label-mixed"].files[0].endswith("i1_label.png")
    bordered = filled(0, 1, 255)  # 255 is used as it should be: an image of background and ignored pixels is right
    assert list(label_findings(summarize(folder, [right, wrong, bordered], num_classes=2))) == []


def indexed(folder, name: str, values: np.ndarray, palette: list[int]) -> None:
    """An image whose label has a palette."""
    _, path = folder.add(name, values)
    label = Image.fromarray(values, mode="P")
    label.putpalette(palette)
    label.save(path)


def test_palettes_in_another_order(folder) -> None:
    black, red, green = [0, 0, 0], [255, 0, 0], [0, 255, 0]
    indexed(folder, "a", filled(0, 1, 2), black + red + green)
    indexed(folder, "b", filled(0, 1, 2), black + green + red)
    indexed(folder, "c", filled(0, 1), black + red)
    data = Dataset(str(folder.root), train_path=folder.list("l.txt", ["a", "c", "b"]), num_classes=3)
    found = by_code(label_findings(scan(LabelSummary("train", data))))
    assert found["palette-order"].level == "error"
    assert found["palette-order"].files == (str(folder.root / "b_label.png"),)
    assert "the colour (0, 255, 0) is 2 in" in found["palette-order"].message
    folder.list("l.txt", ["a", "c"])
    data = Dataset(str(folder.root), train_path="l.txt", num_classes=3)
    assert list(label_findings(scan(LabelSummary("train", data)))) == []


def test_a_palette_of_one_colour_says_nothing(folder) -> None:
    indexed(folder, "a", filled(0, 1, 2), [0, 0, 0] * 3)
    indexed(folder, "b", filled(0, 1, 2), [0, 0, 0] * 3)
    data = Dataset(str(folder.root), train_path=folder.list("l.txt", ["a", "b"]), num_classes=3)
    assert list(label_findings(scan(LabelSummary("train", data)))) == []


def test_no_pixel_counts_anywhere(folder) -> None:
    found = by_code(label_findings(summarize(folder, [filled(255), filled(255)], num_classes=1)))
    assert found["all-ignored"].level == "error"
    assert "2 of 2" in found["all-ignored"].message


def test_binary_rule() -> None:
    stored = np.zeros(256, np.int64)
    stored[[0, 255]] = 10
    assert is_binary_255(stored, None, 255, 2)
    assert not is_binary_255(stored, None, 255, 1)
    assert not is_binary_255(stored, None, 0, 2)
    stored[1] = 1
    assert not is_binary_255(stored, None, 255, 2)


@pytest.mark.parametrize(
    ("values", "arguments", "fix"),
    [
        ((0, 128), {"num_classes": 2}, "label_map: {0: 0, 128: 1}"),
        ((1, 2, 3), {"num_classes": 3}, "label_map: {1: 0, 2: 1, 3: 2}"),
        ((0, 1, 2, 3), {"num_classes": 3}, "num_classes: 4"),
        ((0, 1, 2, 90), {"num_classes": 3}, "{90: 255}"),
        ((0, 1), {"num_classes": 2, "label_map": {1: 9}}, "label_map"),
    ],
)
def test_values_outside_the_classes(folder, values, arguments, fix: str) -> None:
    found = by_code(label_findings(summarize(folder, [filled(*values)], **arguments)))
    assert found["label-range"].level == "error"
    assert found["label-range"].count == 1
    assert fix in found["label-range"].fix
    wrong = max(values)
    if "label_map" in arguments:
        assert "1 -> 9 by label_map" in found["label-range"].message
    else:
        assert f"{wrong} ({(filled(*values) == wrong).sum()} pixels, files: 1)" in found["label-range"].message


def test_ignored_pixels(folder) -> None:
    mostly = filled(*[255] * 15, 1)
    found = by_code(label_findings(summarize(folder, [mostly, filled(255)])))
    assert set(found) == {"ignore-share", "all-ignored"}
    assert {finding.level for finding in found.values()} == {"warning"}
    assert "96.9 %" in found["ignore-share"].message
    assert found["all-ignored"].files[0].endswith("i1_label.png")


def test_absent_and_rare_classes(folder) -> None:
    rare = filled(0)
    rare.flat[0] = 1
    summaries = {
        "train": summarize(folder, [rare, filled(0)], classes=["sky", "pole", "car"]),
        "val": summarize(folder, [filled(0, 2)], name="val", classes=["sky", "pole", "car"]),
    }
    found = [finding for summary in summaries.values() for finding in class_findings(summary)]
    assert [(finding.code, finding.split) for finding in found] == [
        ("class-absent", "train"),
        ("class-rare", "train"),
        ("class-absent", "val"),
    ]
    assert "cannot be learnt: car" in found[0].message
    assert "pole" in found[1].message
    assert "no IoU: pole" in found[2].message
