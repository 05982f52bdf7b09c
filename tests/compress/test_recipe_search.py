import json

import pytest

from mobileseg.cli import main
from mobileseg.compress.recipe_search import SearchRecipe
from mobileseg.config.build import build_network
from mobileseg.errors import CompressionError


@pytest.fixture(scope="module")
def searched(parts_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "out"
    assert main(["compress", "search", "--model", str(parts_run), "--save_dir", str(folder), "--images", "3"]) == 0
    return folder


def test_all_combinations_are_in_the_table(searched):
    lines = (searched / "report.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("| ")]
    head = [cell.strip() for cell in table[0].strip("|").split("|")]
    assert head[:2] == ["stem", "head"]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:10]]
    assert len({tuple(row[:2]) for row in rows}) == 9
    for row in rows:
        assert (row[head.index("ms on ONNX Runtime")] == "device only") == ("fp16" in row[:2])
    assert any("best under the budget" in line for line in lines)
    assert "All combinations." in lines[2]
    assert not any(line.endswith(": device only.") for line in lines)  # a sentence for each would bury the others


def test_calibrations_have_a_table_of_their_own(searched):
    text = (searched / "report.md").read_text()
    assert "images to calibrate with" in text
    assert "0 (range of each input)" in text
    facts = json.loads((searched / "report.json").read_text())["facts"]
    assert [row["images"] for row in facts["calibrations"]] == [0, 2]
    assert {(row["component"], row["precision"]) for row in facts["effects"]} == {
        (component, precision) for component in ("stem", "head") for precision in ("fp16", "int8")
    }
    assert "Mean change by a precision in one component, against fp32" in text
    assert facts["complete"]
    assert facts["images"] == 3


def test_the_report_has_a_row_per_combination(searched):
    rows = json.loads((searched / "report.json").read_text())["variants"]
    assert len(rows) == 9
    assert {row["note"] for row in rows if "fp16" in row["name"]} == {"device only"}
    assert all(row["latency_ms"]["onnxruntime"] > 0 for row in rows if "fp16" not in row["name"])


def test_a_network_without_parts_is_refused(toy_config, tmp_path):
    config = toy_config("export.size={height: 32, width: 32}")
    recipe = SearchRecipe(config, lambda: build_network(config), None, tmp_path, lambda _line: None)
    with pytest.raises(CompressionError, match="ToyNetwork names no components"):
        recipe.run()


def test_without_a_table_of_calibrations(parts_run, tmp_path):
    options = ["compress.search.calibrations=[]", "compress.search.precisions=[fp32, int8]", "compress.search.runs=2"]
    call = ["compress", "search", "--model", str(parts_run), "--save_dir", str(tmp_path / "out"), "--images", "2"]
    assert main([*call, "-o", *options]) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert "images to calibrate with" not in text
    assert text.count("best under the budget") == 1
