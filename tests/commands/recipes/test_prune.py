"""`mobileseg compress prune` as a user calls it, and `mobileseg export` of what it leaves."""

import signal

import pytest

from mobileseg import cli
from mobileseg.compress import recipe_prune
from mobileseg.compress.gate import Gate, write_gate
from mobileseg.compress.steps import save_network
from mobileseg.config.build import build_network
from mobileseg.training.trainer import Trainer

SETTINGS = ["export.size.height=32", "export.size.width=32", "compress.measure.engines=[]",
            "compress.prune.limits.least=2", "compress.prune.limits.multiple=1", "model.dropout=0.0"]  # fmt: skip


@pytest.fixture
def source(toy_config, tmp_path):
    config = toy_config("model.width=16")
    save_network(tmp_path / "input", build_network(config), config, None)
    return tmp_path / "input"


def call(source, folder, *words, opts=()):
    return cli.main(
        ["compress", "prune", "--model", str(source), "--save_dir", str(folder), *words, "-o", *SETTINGS, *opts]
    )


def test_the_table_is_printed_and_the_gate_closes(source, tmp_path, capsys):
    assert call(source, tmp_path / "out", "--macs", "0.4") == 0
    printed = capsys.readouterr().out
    assert "| unfolded " in printed
    assert f"report: {tmp_path / 'out' / 'report.md'}" in printed
    write_gate(tmp_path / "out" / "pruned", Gate("mIoU", 0.9, 0.5, 0.02))
    words = ["export", str(tmp_path / "out/pruned/config.yml"), "--model_path", str(tmp_path / "out/pruned")]
    assert cli.main([*words, "--save_dir", str(tmp_path / "exported")]) == 9
    assert "lost 0.4000 mIoU" in capsys.readouterr().err
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize(
    ("words", "opts", "code", "message"),
    [
        ((), (), 9, "must say how much is to go"),
        (("--macs", "0.999"), (), 9, "of the multiply-adds can be removed"),
        (("--channels", "0.99"), (), 9, "left empty"),
        (("--macs", "1.5"), (), 2, "compress.prune.macs"),
        (("--macs", "0.4"), ("compress.prune.method=magic",), 2, "compress.prune.method"),
        (("--macs", "0.4"), ("compress.prune.only=[neck]",), 9, "matches 'neck'"),
    ],
)
def test_bad_requests(source, tmp_path, capsys, words, opts, code, message):
    assert call(source, tmp_path / "out", *words, opts=opts) == code
    assert message in capsys.readouterr().err


def test_over_the_input(source, capsys):
    assert call(source, source, "--macs", "0.4") == 9
    assert "written over the input" in capsys.readouterr().err


def test_an_interruption_ends_as_shells_expect(source, tmp_path, monkeypatch, capsys):
    def stopped(self):
        raise recipe_prune.Interrupted(signal.SIGINT)

    monkeypatch.setattr(recipe_prune.PruneRecipe, "run", stopped)
    assert call(source, tmp_path / "out", "--macs", "0.4") == 130
    assert "the same command goes on where it stopped" in capsys.readouterr().out


def test_a_run_folder_is_an_input(toy_config, tmp_path):
    Trainer(toy_config("model.width=16", "model.dropout=0.0", "iters=3"), tmp_path / "run", do_eval=False).fit()
    assert not (tmp_path / "run" / "model.pdparams").exists()
    assert call(tmp_path / "run", tmp_path / "out", "--macs", "0.4") == 0
    assert call(tmp_path / "out" / "pruned", tmp_path / "again", "--macs", "0.2") == 0
