"""Rows of a report, on the disk at once."""

import json

import pytest

from mobileseg.compress.variants import FILE, Variant, Variants
from mobileseg.errors import CompressionError


def test_rows_are_on_the_disk_at_once_and_come_back_in_order(tmp_path):
    variants = Variants(tmp_path / "new", "prune")
    variants.add(Variant("dense", "the input", 10, 20, {"weights": 5}, scores={"mIoU": 0.5}))
    variants.add(Variant("pruned", "removed", 6, 9))
    variants.update("dense", latency_ms={"onnxruntime": 3.5})
    variants.set_facts(runs=7)
    again = Variants(tmp_path / "new", "prune")
    assert [row.name for row in again.read()] == ["dense", "pruned"]
    assert again.get("dense") == Variant(
        "dense", "the input", 10, 20, {"weights": 5}, {"onnxruntime": 3.5}, scores={"mIoU": 0.5}
    )
    assert again.facts == {"runs": 7}
    assert again.get("other") is None


def test_a_row_of_the_same_name_is_replaced_where_it_stood(tmp_path):
    variants = Variants(tmp_path, "prune")
    for name in ("a", "b", "a"):
        variants.add(Variant(name, name.upper(), parameters=len(variants.read())))
    assert [(row.name, row.parameters) for row in Variants(tmp_path, "prune").read()] == [("a", 2), ("b", 1)]


@pytest.mark.parametrize(
    "content", ["{", "[]", json.dumps({"format": 9, "facts": {}, "variants": []}), json.dumps({"format": 1})]
)
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(CompressionError, match="is no report of `mobileseg compress`"):
        Variants(tmp_path, "prune")


def test_results_of_another_recipe_stay(tmp_path):
    Variants(tmp_path, "prune").add(Variant("dense", "the input"))
    with pytest.raises(CompressionError, match="holds the results of `mobileseg compress prune`"):
        Variants(tmp_path, "search", anew=True)
    assert Variants(tmp_path, "prune").get("dense") is not None


def test_a_recipe_that_starts_anew_forgets_its_rows(tmp_path):
    Variants(tmp_path, "search").add(Variant("fp32", "all"))
    again = Variants(tmp_path, "search", anew=True)
    again.add(Variant("int8", "all"))
    assert [row.name for row in Variants(tmp_path, "search").read()] == ["int8"]
