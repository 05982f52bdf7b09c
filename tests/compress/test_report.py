"""The report: a table, a page, a plot."""

import cv2
import pytest

from mobileseg.compress.report import Wording, plot_trade_off, render_table, write_report
from mobileseg.compress.table import Table
from mobileseg.compress.variants import Variant, Variants

ROWS = [
    Variant("dense", "the input", 2_000_000, 1_900_000_000, {"weights": 8_000_000, "onnx": 8_100_000},
            {"onnxruntime": 50.0, "paddle": 60.0}, {"onnxruntime": 200.0}, {"mIoU": 0.64, "accuracy": 0.9}),
    Variant("pruned", "channels removed", 1_000_000, 1_140_000_000, {"weights": 4_000_000}, {}, {}, {"mIoU": 0.5}),
    Variant("finetuned", "trained", 1_000_000, 1_140_000_000, {"weights": 4_000_000, "onnx": 4_000_000},
            {"onnxruntime": 40.0, "paddle": 30.0}, {"onnxruntime": 150.0}, {"mIoU": 0.63, "accuracy": 0.89},
            "a <note>"),
]  # fmt: skip
MACHINE = {"cpu": "a CPU", "cores": 2, "system": "Linux", "load": 0.1}


@pytest.fixture
def variants(tmp_path):
    found = Variants(tmp_path, "prune")
    for row in ROWS:
        found.add(row)
    found.set_facts(machine=MACHINE, threads=1, runs=30, like={"pruned": "finetuned"}, widths={"stem": [32, 24]})
    return found


def test_the_table_shows_values_and_changes():
    lines = render_table(ROWS).splitlines()
    assert len({len(line) for line in lines}) == 1
    head, dense, pruned, finetuned = ([cell.strip() for cell in lines[i].strip("|").split("|")] for i in (0, 2, 3, 4))
    assert head[:6] == ["variant", "step", "mIoU", "accuracy", "parameters", "MACs"]
    assert head[6:] == ["weights file", "onnx file", "onnxruntime ms", "paddle ms", "onnxruntime MB"]
    assert dense[2:8] == ["0.6400", "0.9000", "2.000M", "1.900G", "8.000 MB", "8.100 MB"]
    assert pruned[3:] == ["–", "1.000M (-50.0%)", "1.140G (-40.0%)", "4.000 MB (-50.0%)", "–", "–", "–", "–"]
    assert finetuned[8:] == ["40.0 (-20.0%)", "30.0 (-50.0%)", "150.0 (-25.0%)"]


def test_the_three_files(variants, tmp_path):
    write_report(variants, "a network & more")
    text = (tmp_path / "report.md").read_text()
    assert "![accuracy over latency](report.png)" in text
    assert (
        "finetuned against dense: onnxruntime 25.00 images/s, 1.250 times; paddle 33.33 images/s, 2.000 times" in text
    )
    assert "onnx file -50.6%; peak memory on onnxruntime -25.0%." in text
    assert "Latency and memory of pruned are those of finetuned" in text
    assert "median of 30 runs" in text
    page = (tmp_path / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "a network &amp; more" in page
    assert "a &lt;note&gt;" in page
    assert 'src="http' not in page
    assert ">stem<" in page
    assert "<td>finetuned<small>trained</small></td>" in page
    assert "<td class=n>1.000M<small>-50.0%</small></td>" in page
    assert "step</th>" not in page
    image = cv2.imread(str(tmp_path / "report.png"))
    assert min(image.shape[:2]) > 300
    assert len({tuple(pixel) for pixel in image.reshape(-1, 3)[::7]}) > 20


def test_without_scores_or_latencies_there_is_no_plot(tmp_path):
    variants = Variants(tmp_path, "prune")
    variants.add(ROWS[1])
    write_report(variants, "x")
    assert not (tmp_path / "report.png").exists()
    assert "report.png" not in (tmp_path / "report.md").read_text()
    assert not plot_trade_off(tmp_path / "a.png", [Variant("a", "b", latency_ms={"paddle": 1.0})], "x")


def test_a_recipe_has_tables_of_its_own(variants, tmp_path):
    wording = Wording(
        lead=["Best: finetuned."],
        variants=Table(["which", "n"], [["dense", 1]], words=1),
        tables={"By part": Table(["part", "n"], [["head", 2]], words=1)},
        about=["finetuned"],
    )
    shown = write_report(variants, "x", wording)
    text, page = (tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text()
    assert shown.endswith("Best: finetuned.")
    assert text.index("Best: finetuned.") < text.index("| dense | 1 |") < text.index("By part:\n\n| part | n |")
    assert "finetuned against dense" in text
    assert "<td>head</td><td class=n>2</td>" in page
    assert page.index("Best: finetuned.") < page.index("<h2>By part</h2>") < page.index("<h2>Variants</h2>")
    assert "<td>pruned" not in page


def test_rows_outside_the_sentences_are_left_out(variants, tmp_path):
    write_report(variants, "x", Wording(about=[]))
    assert "finetuned against dense" not in (tmp_path / "report.md").read_text()


def test_memory_is_explained_where_it_was_measured(tmp_path):
    found = Variants(tmp_path, "search")
    found.add(Variant("fp32", "all", latency_ms={"onnxruntime": 2.0}, scores={"mIoU": 0.5}))
    found.set_facts(machine=MACHINE, threads=1, runs=30)
    write_report(found, "x")
    assert "interleaved; a CPU, 2 cores, 0.1 of them busy before." in (tmp_path / "report.md").read_text()
