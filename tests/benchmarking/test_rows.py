import json
from pathlib import Path

import pytest

from mobileseg.benchmarking.rows import load_rows, overhead, ratios, render_table, save_rows
from mobileseg.errors import DataError
from tests.benchmarking.sample_rows import row


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_rows_survive_the_file(tmp_path: Path) -> None:
    rows = [row(), row("paddle")]
    save_rows(tmp_path / "rows.json", rows)
    assert load_rows(tmp_path / "rows.json") == rows


def test_overhead_is_the_share_of_pre_and_post() -> None:
    assert overhead(row()) == pytest.approx(0.2)


def test_table_has_a_column_per_stage_and_aligned_lines() -> None:
    table = render_table([row(), row("paddle", inference=123.456)])
    head, _, first, second = cells(table)
    assert dict(zip(head, second, strict=True)) == {
        "engine": "paddle",
        "threads": "2",
        "image": "640x480",
        "decode": "4.00",
        "preprocess": "1.00",
        "inference": "123.46",
        "postprocess": "1.00",
        "draw": "-",
        "total": "129.46",
        "p95": "20.00",
        "max": "-",
        "pre+post": "1.6%",
    }
    assert first[-1] == "20.0%"
    assert len({len(line) for line in table.splitlines()}) == 1


def test_folders_and_devices_are_shown_when_they_differ() -> None:
    assert cells(render_table([row(), row(folder="out/b")]))[0][0] == "folder"
    assert cells(render_table([row(), row(cpu="two")]))[0][0] == "device"


def test_what_only_some_rows_say_has_a_column() -> None:
    phone = row("lite", cpu="phone") | {"power": "high", "precision": "int8", "preset": "sd855"}
    phone["total"] = phone["total"] | {"max_ms": 33.0}
    head, _, host, other = cells(render_table([row(), phone]))
    options = ["precision", "power", "preset", "max"]
    assert [dict(zip(head, host, strict=True))[key] for key in options] == ["-"] * 4
    assert [dict(zip(head, other, strict=True))[key] for key in options] == ["int8", "high", "sd855", "33.00"]
    assert "power" not in cells(render_table([row()]))[0]


def test_ratios_do_not_mix_devices_and_power_modes() -> None:
    rows = [row(), row(folder="out/b", inference=16.0)]
    for power, inference in (("high", 24.0), ("low", 32.0)):
        pair = [row(cpu="phone"), row(cpu="phone", folder="out/b", inference=inference)]
        rows += [one | {"power": power} for one in pair]
    text = ratios(rows, "out/a", "out/b")
    assert "onnxruntime, 2 threads, one: inference x2.00" in text
    assert "onnxruntime, 2 threads, high, phone: inference x3.00" in text
    assert "onnxruntime, 2 threads, low, phone: inference x4.00" in text


def test_ratios_compare_what_both_folders_have() -> None:
    rows = [row(), row(folder="out/b", inference=12.0), row("ncnn", folder="out/b")]
    text = ratios(rows, "out/a", "out/b")
    assert "onnxruntime, 2 threads: inference x1.50, total x1.29" in text
    assert "ncnn" not in text
    assert ratios([row()], "out/a", "out/c") == ""


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("{", "not JSON"),
        ("[]", "holds no rows of a benchmark"),
        ('{"format": 2, "rows": []}', "of format 1"),
        ('{"format": 1, "rows": [{"name": "net"}]}', "row 1 lacks folder, engine"),
        (json.dumps({"format": 1, "rows": [{**row(), "total": 3}]}), "has a stage without median_ms and p95_ms"),
        (json.dumps({"format": 1, "rows": [{**row(), "stages": {}}]}), "lacks preprocess"),
    ],
)
def test_files_that_are_something_else_are_refused(tmp_path: Path, text: str, seen: str) -> None:
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(DataError, match=seen):
        load_rows(tmp_path / "rows.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.json"):
        load_rows(tmp_path / "nothing.json")
