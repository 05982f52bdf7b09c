"""Findings about one split: level, code, files and the fix."""

import json

import numpy as np
import pytest

from mobileseg.data.datasets import Dataset
from mobileseg.data.doctor.checks import (
    Finding,
    class_findings,
    file_findings,
    is_binary_255,
    label_findings,
    size_findings,
)
from mobileseg.data.doctor.scan import Summary, scan
from mobileseg.errors import DataError
from mobileseg.registry import TRANSFORMS


def summarize(folder, labels: list[np.ndarray], transforms=None, name: str = "train", **more) -> Summary:
    stems = []
    for index, label in enumerate(labels):
        stems.append(f"i{index}")
        folder.add(stems[-1], label)
    folder.list("l.txt", stems)
    arguments = {"mode": name, f"{name}_path": "l.txt", "num_classes": 3} | more
    return scan(name, Dataset(str(folder.root), transforms, **arguments))


def filled(*values: int) -> np.ndarray:
    """24x32 in equal stripes of the given values."""
    return np.repeat(np.array(values, np.uint8), 32 * 24 // len(values)).reshape(24, 32)


def by_code(findings) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings}


def test_clean_labels_have_no_findings(folder) -> None:
    summary = summarize(folder, [filled(0, 1, 2), filled(0, 1, 2)])
    assert list(label_findings(summary)) == []
    assert list(file_findings(summary)) == []
    assert list(class_findings({"train": summary})) == []


def test_zero_and_255(folder) -> None:
    summary = summarize(folder, [filled(0, 255), filled(0)], num_classes=2)
    found = by_code(label_findings(summary))
    assert list(found) == ["label-binary"]
    assert found["label-binary"].level == "error"
    assert "255 is ignore_index" in found["label-binary"].message
    assert "label_map: {0: 0, 255: 1}" in found["label-binary"].fix
    mapped = summarize(folder, [filled(0, 255)], num_classes=2, label_map={0: 0, 255: 1})
    assert list(label_findings(mapped)) == []
    assert list(label_findings(summarize(folder, [filled(0, 255), filled(1)], num_classes=2))) == []


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
    found = list(class_findings(summaries))
    assert [(finding.code, finding.split) for finding in found] == [
        ("class-absent", "train"),
        ("class-rare", "train"),
        ("class-absent", "val"),
    ]
    assert "cannot be learnt: car" in found[0].message
    assert "pole" in found[1].message
    assert "no IoU: pole" in found[2].message


def test_sizes_that_cannot_form_a_batch(folder) -> None:
    scaling = [{"type": "ResizeStepScaling"}]
    crop = [*scaling, {"type": "RandomPaddingCrop", "crop_size": [16, 16]}]
    summary = summarize(folder, [filled(0)], scaling)
    found = by_code(size_findings(summary, 4))
    assert found["sizes-differ"].level == "error"
    assert "batch of 4" in found["sizes-differ"].message
    assert list(size_findings(summary, 1)) == []
    assert list(size_findings(summarize(folder, [filled(0)], crop), 4)) == []
    two = summarize(folder, [filled(0)])
    two.sizes[(30, 40)] += 1
    assert [finding.code for finding in size_findings(two, 2)] == ["sizes-differ"]
    evaluation = summarize(folder, [filled(0)], name="val")
    evaluation.sizes[(30, 40)] += 1
    assert list(size_findings(evaluation, 2)) == []


def test_transforms_that_fail(folder) -> None:
    summary = summarize(folder, [filled(0)], [{"type": "Padding", "target_size": 16}])
    (finding,) = size_findings(summary, 4)
    assert (finding.code, finding.level) == ("transform-fails", "error")
    assert "32x24" in finding.message
    assert "enlarge target_size" in finding.fix

    def broken(sample, rng):
        raise ZeroDivisionError("oh")

    summary.dataset.transforms = [broken]
    (finding,) = size_findings(summary, 4)
    assert "ZeroDivisionError: oh" in finding.message


def test_smallest_and_largest_size_are_tried(folder) -> None:
    for index in range(20):
        summary = summarize(folder, [filled(0)], [{"type": "Padding", "target_size": 200}])
        summary.sizes.clear()
        summary.sizes.update({(20 + number, 30): 1 for number in range(index)})
        assert list(size_findings(summary, 4)) == []
        summary.sizes[(30, 201)] += 1
        assert [finding.code for finding in size_findings(summary, 4)] == ["transform-fails"]


def test_file_findings_name_files_and_fixes(folder) -> None:
    summary = summarize(folder, [filled(0)] * 8)
    for item in summary.dataset.items[:7]:
        item.label.unlink()
    summary = scan("train", summary.dataset)
    (finding,) = file_findings(summary)
    assert (finding.code, finding.level, finding.count, len(finding.files)) == ("label-missing", "error", 7, 5)
    assert finding.files[0] == str(summary.dataset.items[0].label)
    assert finding.fix
    assert json.loads(json.dumps(finding.to_dict()))["files"] == list(finding.files)


def test_every_code_of_the_scan_is_explained(folder) -> None:
    """A problem that examine_item can report must not get lost on the way to the report."""
    summary = summarize(folder, [filled(0)])
    reported = ["image-missing", "image-truncated", "image-unreadable", "label-missing", "label-truncated"]
    reported += ["label-unreadable", "label-colour", "label-depth", "label-lossy", "size-mismatch", "exif-mask"]
    reported += ["exif-unsure"]
    for code in reported:
        summary.problems.setdefault(code, type(summary.turned)()).add("file", "detail")
    assert [finding.code for finding in file_findings(summary)] == reported
    assert DataError.exit_code == 3
    assert "Padding" in TRANSFORMS
