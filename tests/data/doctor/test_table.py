"""The report as text."""

from mobileseg.data.doctor.checks import Finding
from mobileseg.data.doctor.diagnose import Diagnosis
from mobileseg.data.doctor.table import render


def test_a_finding_has_level_code_split_files_and_fix() -> None:
    finding = Finding("warning", "duplicate", "7 images are copies", ("a = b", "c = d"), 7, "remove them", "train")
    assert render(Diagnosis([finding], {})).splitlines() == [
        "",
        "WARNING duplicate [train]: 7 images are copies",
        "    a = b",
        "    c = d",
        "    ... and 5 more",
        "    hint: remove them",
        "",
        "training may start: 0 errors, 1 warning",
    ]


def test_a_finding_about_no_file_has_no_list() -> None:
    text = render(Diagnosis([Finding("error", "leak-path", "two lists share images")], {}))
    assert "more" not in text
    assert "fix:" not in text
    assert text.endswith("training must not start: 1 error, 0 warnings")


def test_nothing_found() -> None:
    assert render(Diagnosis([], {})).endswith("nothing to complain about\n\ntraining may start: 0 errors, 0 warnings")
