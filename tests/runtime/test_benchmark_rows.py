import json
from pathlib import Path

import pytest

from mobileseg.errors import DataError
from mobileseg.runtime.benchmark_rows import load_rows, overhead, ratios, render_table, save_rows


def row(engine: str = "onnxruntime", *, folder: str = "out/a", cpu: str = "one", inference: float = 8.0) -> dict:
    stages = {
        "decode": {"median_ms": 4.0, "p95_ms": 5.0},
        "preprocess": {"median_ms": 1.0, "p95_ms": 1.5},
        "inference": {"median_ms": inference, "p95_ms": 9.0},
        "postprocess": {"median_ms": 1.0, "p95_ms": 1.5},
    }
    return {
        "name": "net",
        "folder": folder,
        "engine": engine,
        "threads": 2,
        "image": "640x480",
        "input": "320x256",
        "runs": 50,
        "stages": stages,
        "total": {"median_ms": 6.0 + inference, "p95_ms": 20.0},
        "cpu": cpu,
        "versions": {},
        "date": "2030-01-01T00:00:00+00:00",
    }


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
        "pre+post": "1.6%",
    }
    assert first[-1] == "20.0%"
    assert len({len(line) for line in table.splitlines()}) == 1


def test_folders_and_devices_are_shown_when_they_differ() -> None:
    assert cells(render_table([row(), row(folder="out/b")]))[0][0] == "folder"
    assert cells(render_table([row(), row(cpu="two")]))[0][0] == "device"


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
        ("[]", "not a file of `mobileseg benchmark`"),
        ('{"format": 2, "rows": []}', "not a file"),
        ('{"format": 1, "rows": [{"name": "net"}]}', "row 1 lacks folder, engine"),
        (json.dumps({"format": 1, "rows": [{**row(), "total": 3}]}), "needs median_ms and p95_ms"),
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
