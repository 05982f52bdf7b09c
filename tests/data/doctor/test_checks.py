"""Findings about files and sizes: level, code, files and the fix."""

import json

import numpy as np
from PIL import Image

from mobileseg.data.doctor.checks import file_findings, size_findings
from mobileseg.data.doctor.scan import Summary, scan
from mobileseg.errors import DataError
from mobileseg.registry import TRANSFORMS
from mobileseg.semantic.doctor import labelled
from mobileseg.semantic.doctor_labels import LabelSummary
from tests.data.doctor.summaries import by_code, filled, summarize


def sizes(summary: Summary, batch_size: int):
    return size_findings(summary, batch_size, lambda size: labelled(summary.dataset, size))


def test_sizes_that_cannot_form_a_batch(folder) -> None:
    scaling = [{"type": "ResizeStepScaling"}]
    crop = [*scaling, {"type": "RandomPaddingCrop", "crop_size": [16, 16]}]
    summary = summarize(folder, [filled(0)], scaling)
    found = by_code(sizes(summary, 4))
    assert found["sizes-differ"].level == "error"
    assert "batch of 4" in found["sizes-differ"].message
    assert list(sizes(summary, 1)) == []
    assert list(sizes(summarize(folder, [filled(0)], crop), 4)) == []
    two = summarize(folder, [filled(0)])
    two.sizes[(30, 40)] += 1
    assert [finding.code for finding in sizes(two, 2)] == ["sizes-differ"]
    evaluation = summarize(folder, [filled(0)], name="val")
    evaluation.sizes[(30, 40)] += 1
    assert list(sizes(evaluation, 2)) == []


def test_transforms_that_fail(folder) -> None:
    summary = summarize(folder, [filled(0)], [{"type": "Padding", "target_size": 16}])
    (finding,) = sizes(summary, 4)
    assert (finding.code, finding.level) == ("transform-fails", "error")
    assert "32x24" in finding.message
    assert "enlarge target_size" in finding.fix

    def broken(sample, rng):
        raise ZeroDivisionError("oh")

    summary.dataset.transforms = [broken]
    (finding,) = sizes(summary, 4)
    assert "ZeroDivisionError: oh" in finding.message


def test_smallest_and_largest_size_are_tried(folder) -> None:
    for index in range(20):
        summary = summarize(folder, [filled(0)], [{"type": "Padding", "target_size": 200}])
        summary.sizes.clear()
        summary.sizes.update({(20 + number, 30): 1 for number in range(index)})
        assert list(sizes(summary, 4)) == []
        summary.sizes[(30, 201)] += 1
        assert [finding.code for finding in sizes(summary, 4)] == ["transform-fails"]


def test_file_findings_name_files_and_fixes(folder) -> None:
    summary = summarize(folder, [filled(0)] * 8)
    for item in summary.dataset.items[:7]:
        item.label.unlink()
    summary = scan(LabelSummary("train", summary.dataset))
    (finding,) = file_findings(summary)
    assert (finding.code, finding.level, finding.count, len(finding.files)) == ("label-missing", "error", 7, 5)
    assert finding.files[0] == str(summary.dataset.items[0].label)
    assert finding.fix
    assert json.loads(json.dumps(finding.to_dict()))["files"] == list(finding.files)


def test_every_code_of_the_scan_is_explained(folder) -> None:
    """A problem that examine_item can report must not get lost on the way to the report."""
    summary = summarize(folder, [filled(0)])
    reported = [
        "image-missing",
        "image-truncated",
        "image-size",
        "image-depth",
        "image-channels",
        "label-size",
        "image-unreadable",
        "label-missing",
        "label-truncated",
    ]
    reported += ["label-unreadable", "label-colour", "label-depth", "label-lossy", "size-mismatch", "exif-mask"]
    reported += ["exif-unsure"]
    for code in reported:
        summary.problems.setdefault(code, type(summary.turned)()).add("file", "detail")
    assert [finding.code for finding in file_findings(summary)] == reported
    assert DataError.exit_code == 3
    assert "Padding" in TRANSFORMS


def test_turned_images_are_counted(folder) -> None:
    summary = summarize(folder, [filled(0)] * 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    image = summary.dataset.items[1].image
    Image.fromarray(np.zeros((32, 24, 3), np.uint8)).save(image, exif=exif)
    found = by_code(file_findings(scan(LabelSummary("train", summary.dataset))))
    assert list(found) == ["exif-turned"]
    assert (found["exif-turned"].level, found["exif-turned"].files) == ("info", (str(image),))
