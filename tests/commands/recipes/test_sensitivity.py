"""`mobileseg compress sensitivity` as a user calls it."""

import json
import re

import pytest

from mobileseg import cli
from mobileseg.compress import measure
from mobileseg.compress.fold import fold_norms
from mobileseg.compress.steps import save_network
from mobileseg.config.build import build_network


@pytest.fixture
def source(toy_config, tmp_path):
    config = toy_config("model.width=16", "model.dropout=0.0")
    save_network(tmp_path / "input", build_network(config), config, None)
    return tmp_path / "input"


def test_the_table_and_a_second_call(source, tmp_path, capsys, monkeypatch):
    words = ["compress", "sensitivity", "--model", str(source), "--save_dir", str(tmp_path / "out")]
    assert cli.main([*words, "--ratios", "0.25", "0.75", "-o", "compress.sensitivity.images=3"]) == 0
    printed = capsys.readouterr().out
    assert "2/2  stem without 75%: mIoU" in printed
    assert re.search(r"\| stem +\| +16 \|", printed)
    table = json.loads((tmp_path / "out" / "sensitivity.json").read_text())
    assert set(table["scores"]["stem"]) == {"0.25", "0.75"}
    assert (tmp_path / "out" / "sensitivity.md").read_text().startswith("# input: sensitivity")
    monkeypatch.setattr(measure, "scores_of", lambda *_: pytest.fail("scored again"))
    assert cli.main([*words, "--ratios", "0.25", "0.75", "-o", "compress.sensitivity.images=3"]) == 0
    assert cli.main([*words, "--ratios", "0.25", "-o", "compress.sensitivity.images=2"]) == 9
    assert "other settings (images)" in capsys.readouterr().err


def test_bad_ratios(source, tmp_path, capsys):
    words = ["compress", "sensitivity", "--model", str(source), "--save_dir", str(tmp_path / "out")]
    assert cli.main([*words, "--ratios", "1.0"]) == 2
    assert "compress.sensitivity.ratios" in capsys.readouterr().err


def test_a_network_without_norms(source, tmp_path, capsys, monkeypatch):
    from mobileseg.commands.recipes import common

    real = common.Job.network

    def folded(self):
        network = real(self)
        fold_norms(network)
        return network

    monkeypatch.setattr(common.Job, "network", folded)
    assert cli.main(["compress", "sensitivity", "--model", str(source), "--save_dir", str(tmp_path / "out")]) == 9
    assert "none is scaled by a batch norm" in capsys.readouterr().err
