"""The recipe on the toy network: every step, going on after an interruption, what it refuses."""

import json
import signal

import numpy as np
import paddle
import pytest

from mobileseg.compress import recipe_prune
from mobileseg.compress.gate import read_gate
from mobileseg.compress.recipe_prune import Interrupted, PruneRecipe
from mobileseg.compress.variants import Variants
from mobileseg.config.build import build_network
from mobileseg.config.load import load_config
from mobileseg.errors import CompressionError
from mobileseg.training.trainer import Trainer
from mobileseg.training.weights import load_checkpoint_weights, plan_of
from mobileseg.weights.pdparams import save_pdparams

SETTINGS = (
    "model.width=16",
    "model.dropout=0.0",
    "export.size.height=32",
    "export.size.width=32",
    "compress.measure.engines=[]",
    "compress.prune.macs=0.4",
    "compress.prune.limits.least=2",
    "compress.prune.limits.multiple=1",
    "compress.prune.mean_images=4",
    "compress.prune.recalibrate=2",
    "compress.prune.sparse.iters=3",
    "compress.prune.finetune.iters=4",
    "compress.prune.finetune.learning_rate=0.01",
    "save_interval=2",
)


@pytest.fixture
def source(toy_config, tmp_path):
    paddle.seed(1)
    network = build_network(toy_config(*SETTINGS))
    folder = tmp_path / "input"
    folder.mkdir()
    save_pdparams(folder / "model.pdparams", {name: t.numpy() for name, t in network.state_dict().items()})
    return folder


@pytest.fixture
def recipe(toy_config, source, tmp_path):
    def make(*overrides, folder="out"):
        config = toy_config(*SETTINGS, *overrides)

        def load():
            network = build_network(config)
            load_checkpoint_weights(source, network)
            return network

        return PruneRecipe(config, load, source, tmp_path / folder, lambda _line: None)

    return make


def test_all_steps_and_what_they_leave(recipe, source, tmp_path):
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    rows = {row.name: row for row in recipe("compress.prune.random_finetune=true").run()}
    names = ["dense", "sparse", "unfolded", "pruned", "recalibrated", "random", "finetuned", "random_finetuned"]
    assert list(rows) == names
    assert all(row.scores["mIoU"] >= 0 and row.sizes["weights"] > 0 for row in rows.values())
    assert rows["sparse"].macs == rows["dense"].macs
    assert len({(row.parameters, row.macs) for row in list(rows.values())[2:]}) == 1
    assert rows["pruned"].macs <= 0.6 * rows["dense"].macs
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before
    out = tmp_path / "out"
    assert {"report.json", "report.md", "report.html"} <= {path.name for path in out.iterdir()}
    assert all(name in (out / "report.md").read_text() for name in names)
    plans = {name: plan_of(out / name) for name in names}
    assert plans["dense"] is plans["sparse"] is None
    assert plans["pruned"] == plans["recalibrated"] == plans["finetuned"] == plans["unfolded"] == plans["random"] != {}
    state = json.loads((out / "finetuned" / "last" / "state.json").read_text())
    assert state["config"]["model"]["plan"] == plans["pruned"]
    gate = read_gate(out / "finetuned")
    assert gate is not None
    assert (gate.baseline_score, gate.score) == (rows["dense"].scores["mIoU"], rows["finetuned"].scores["mIoU"])


def test_the_constants_are_folded_or_not_and_random_is_another_choice(recipe, tmp_path):
    recipe("compress.prune.sparse=null", "compress.prune.finetune=null").run()
    out = tmp_path / "out"
    states = {name: paddle.load(str(out / name / "model.pdparams"))
              for name in ("unfolded", "pruned", "recalibrated", "random")}  # fmt: skip
    same = {name: np.array_equal(np.asarray(value), np.asarray(states["unfolded"][name]))
            for name, value in states["pruned"].items()}  # fmt: skip
    assert same["stem.weight"]
    assert same["head.weight"]
    assert not same["head.bias"]  # which took the constants
    assert not np.array_equal(np.asarray(states["random"]["stem.weight"]), np.asarray(states["pruned"]["stem.weight"]))
    moved = {name for name, value in states["pruned"].items()
             if not np.array_equal(np.asarray(value), np.asarray(states["recalibrated"][name]))}  # fmt: skip
    assert moved == {"norm._mean", "norm._variance"}


def test_without_recalibration(recipe):
    rows = recipe("compress.prune.recalibrate=0", "compress.prune.sparse=null", "compress.prune.random=false").run()
    assert [row.name for row in rows] == ["dense", "unfolded", "pruned", "finetuned"]


def test_another_teacher_is_another_training(recipe, tmp_path):
    recipe("compress.prune.sparse=null").run()
    step = tmp_path / "out" / "finetuned" / "step.json"
    document = json.loads(step.read_text())
    assert document["settings"]["training"]["distill"] is None
    document["settings"]["training"]["distill"] = {"teacher_config": "other.yml"}
    step.write_text(json.dumps(document))
    with pytest.raises(CompressionError, match="finetuned was made with other settings: training"):
        recipe("compress.prune.sparse=null").run()


def test_finished_steps_are_not_repeated(recipe, tmp_path, monkeypatch):
    first = recipe().run()
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.pdparams")}
    monkeypatch.setattr(recipe_prune, "train", lambda *_args, **_more: pytest.fail("trained again"))
    monkeypatch.setattr(recipe_prune, "scores_of", lambda *_args: pytest.fail("scored again"))
    assert recipe().run() == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.pdparams")} == stamps
    with pytest.raises(CompressionError, match="unfolded was made with other settings: prune"):
        recipe("compress.prune.macs=0.3").run()


def test_an_interrupted_training_goes_on(recipe, tmp_path, monkeypatch):
    real = Trainer._step

    def stopping(self, number):
        if self.run.name == "finetuned" and self.iteration == 1 and not (tmp_path / "stopped").exists():
            (tmp_path / "stopped").touch()
            signal.raise_signal(signal.SIGTERM)
        return real(self, number)

    monkeypatch.setattr(Trainer, "_step", stopping)
    with pytest.raises(Interrupted) as stop:
        recipe().run()
    assert stop.value.signal == signal.SIGTERM
    assert Variants(tmp_path / "out", "prune").get("pruned") is not None
    assert Variants(tmp_path / "out", "prune").get("finetuned") is None
    rows = {row.name: row for row in recipe().run()}
    events = (tmp_path / "out" / "finetuned" / "log.jsonl").read_text()
    assert '"resume"' in events
    whole = {row.name: row for row in recipe(folder="whole").run()}
    assert rows["finetuned"].scores == whole["finetuned"].scores
    for run in ("out", "whole"):
        assert (tmp_path / run / "finetuned" / "last" / "model.pdparams").is_file()
    ours, theirs = (paddle.load(str(tmp_path / run / "finetuned/last/model.pdparams")) for run in ("out", "whole"))
    assert all(np.array_equal(np.asarray(ours[name]), np.asarray(theirs[name])) for name in ours)


def test_a_pruned_run_goes_on_and_is_pruned_again(recipe, source, tmp_path):
    recipe("compress.prune.sparse=null").run()
    run = tmp_path / "out" / "finetuned"
    config = load_config(run / "config.yml", ["iters=6"])
    result = Trainer(config, run, do_eval=False, load_pretrained=False).fit("auto")
    assert (result.iteration, result.reason) == (6, "finished")
    again = load_config(run / "config.yml", ["compress.prune.macs=0.2", "compress.prune.finetune=null"])

    def load():
        network = build_network(again, load_pretrained=False)
        load_checkpoint_weights(run, network)
        return network

    rows = {row.name: row for row in PruneRecipe(again, load, run / "last", tmp_path / "twice", print).run()}
    assert rows["pruned"].macs < 0.81 * rows["dense"].macs
    plan = plan_of(tmp_path / "twice" / "pruned")
    assert plan["stem.weight"][0] < plan_of(run)["stem.weight"][0] < 16
    narrow = build_network(load_config(tmp_path / "twice" / "pruned" / "config.yml"))
    assert list(narrow.state_dict()["stem.weight"].shape) == plan["stem.weight"]


def test_too_large_a_loss_fails_after_the_report(recipe, tmp_path, monkeypatch):
    scores = iter([0.9, 0.8, 0.75, 0.7, 0.6])
    monkeypatch.setattr(recipe_prune, "scores_of", lambda *_args: {"mIoU": next(scores)})
    with pytest.raises(CompressionError, match=r"lost 0\.2000 mIoU .*compress\.max_drop allows 0\.05"):
        recipe("compress.prune.sparse=null", "compress.prune.finetune=null", "compress.max_drop=0.05").run()
    assert (tmp_path / "out" / "report.md").is_file()


@pytest.mark.parametrize("method", ["taylor", "l1", "fpgm"])
def test_other_criteria(recipe, method):
    rows = recipe(f"compress.prune.method={method}", "compress.prune.taylor_batches=2", "compress.prune.sparse=null",
                  "compress.prune.finetune=null", "compress.prune.random=false").run()  # fmt: skip
    assert [row.name for row in rows] == ["dense", "unfolded", "pruned", "recalibrated"]


def test_random_weights_show_structure_alone(toy_config, tmp_path):
    config = toy_config(*SETTINGS, "compress.prune.sparse=null", "compress.prune.finetune=null",
                        "compress.measure.accuracy=false", "compress.prune.random=false")  # fmt: skip
    rows = PruneRecipe(config, lambda: build_network(config), None, tmp_path / "out", print).run()
    assert [row.scores for row in rows] == [{}, {}, {}]
    assert rows[-1].parameters < rows[0].parameters
