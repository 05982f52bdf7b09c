"""`mobileseg compress fold` as a user calls it."""

import pytest

from mobileseg import cli
from mobileseg.compress import recipe_fold
from mobileseg.compress.gate import Gate, write_gate
from mobileseg.compress.steps import save_network
from mobileseg.config.build import build_network

PLAN = {"stem.weight": [8, 3, 3, 3], "stem.bias": [8], "norm.weight": [8], "norm.bias": [8], "norm._mean": [8],
        "norm._variance": [8], "head.weight": [3, 8, 3, 3], "aux.weight": [3, 8, 1, 1]}  # fmt: skip
SIZE = ["-o", "export.size.height=32", "export.size.width=32"]


@pytest.fixture
def folders(toy_config, tmp_path, monkeypatch):
    config = toy_config("model.width=16", "model.dropout=0.0")
    save_network(tmp_path / "whole", build_network(config), config, None)
    save_network(tmp_path / "narrow", build_network(config, PLAN), config, PLAN)
    monkeypatch.setattr(recipe_fold, "export_variant", lambda *_: {"onnx": 9})
    monkeypatch.setattr(recipe_fold, "measure_engines", lambda *_: None)
    return tmp_path


def test_one_network(folders, capsys):
    words = ["compress", "fold", "--model", str(folders / "whole"), "--save_dir", str(folders / "out"), *SIZE]
    assert cli.main(words) == 0
    assert "| network folded " in capsys.readouterr().out


def test_four_cells_of_two_networks(folders, capsys):
    words = ["compress", "fold", "--model", str(folders / "narrow"), "--against", str(folders / "whole")]
    assert cli.main([*words, "--save_dir", str(folders / "out"), *SIZE]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [line.split("|")[1].strip() for line in lines[1:]] == ["dense", "dense folded", "pruned", "pruned folded"]
    assert "(-50.0%)" in lines[3]  # the multiply-adds of half the channels
    assert cli.main([*words, "--save_dir", str(folders / "whole"), *SIZE]) == 9


def test_the_gate(folders, capsys):
    write_gate(folders / "narrow", Gate("mIoU", 0.9, 0.5, 0.1))
    words = ["compress", "fold", "--model", str(folders / "narrow"), "--save_dir", str(folders / "out"), *SIZE]
    assert cli.main(words) == 9
    assert "lost 0.4000 mIoU" in capsys.readouterr().err
