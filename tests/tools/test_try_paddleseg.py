"""The table of tried configurations; the trial itself is in tests/semantic/test_paddleseg_training.py."""

import pytest

from tools.try_paddleseg import BEGIN, END, STAGES, table, try_all, write_table

RESULTS = {
    "a/one.yml": {"load": "ok", "build": "ok", "train": "ok", "eval": "ok", "onnx": "fails: grid", "family": "A: L"},
    "b/two.yml": {"load": "a key is not known"},
    "c/three.yml": {"load": "ok", "build": "ok"},
}


def test_counts_families_and_reasons():
    lines = table(RESULTS).splitlines()
    assert "| load | 3 | 2 |" in lines
    assert "| onnx | 1 | 0 |" in lines
    assert "| A: L | `one.yml` | yes | yes | yes | yes | no |" in lines
    assert not any("paddle |" in line for line in lines)  # nobody tried it
    assert lines[-2:] == ["- `a/one.yml`, onnx: fails: grid", "- `b/two.yml`, load: a key is not known"]


def test_the_page_around_the_table_stays(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_table(page, "new")
    assert page.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    page.write_text("no place\n")
    with pytest.raises(SystemExit, match="has no place"):
        write_table(page, "new")


def test_what_was_tried_before_is_not_tried_again(tmp_path):
    folder = tmp_path / "configs" / "mobileseg"
    folder.mkdir(parents=True)
    (tmp_path / "configs" / "_base_").mkdir()
    (tmp_path / "configs" / "_base_" / "base.yml").write_text("iters: 1\n")
    (folder / "one.yml").write_text("model: {type: MobileSeg, num_classes: 2, backbone: {type: MobileNetV2_x0_25}}\n")
    (folder / "two.yml").write_text("model: {type: Unknown}\n")
    told = []
    first = try_all(tmp_path, ("load",), lambda line, _results: told.append(line))
    assert len(told) == 2
    assert first["mobileseg/one.yml"] == {"load": "ok", "family": "MobileSeg: no loss"}
    assert "no network named 'Unknown'" in first["mobileseg/two.yml"]["load"]
    first["mobileseg/one.yml"] |= dict.fromkeys(STAGES, "ok")
    assert try_all(tmp_path, STAGES, pytest.fail, earlier=first) == first
