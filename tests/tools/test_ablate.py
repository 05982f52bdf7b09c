"""tools/ablate.py: which runs are made, and the table of their scores."""

import json
from pathlib import Path

import pytest
import yaml

from mobileseg.config.load import load_config
from tests.training.fixtures import toy_config, toy_data, toy_file
from tools import ablate

__all__ = ["toy_config", "toy_data", "toy_file"]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def rows_file(toy_file, tmp_path):
    rows = [
        {"name": "Higher rate", "override": ["lr_scheduler.learning_rate=0.2"]},
        {"name": "no warm-up", "override": ["lr_scheduler.warmup_iters=0", "optimizer.momentum=0.5"]},
    ]
    path = tmp_path / "options.yml"
    path.write_text(yaml.safe_dump({"base": str(toy_file), "seeds": [4, 5], "rows": rows}))
    return path


class Runner:
    """Writes what a training would leave, with scores that tell rows and seeds apart."""

    def __init__(self, fails=None):
        self.calls, self.fails = [], fails

    def __call__(self, base, run, override):
        self.calls.append((run.parent.name, run.name))
        if self.calls[-1] == self.fails:
            raise ablate.TrainingError("it ended with code 1")
        config = load_config(base, list(override))
        (run / "last").mkdir(parents=True)
        (run / "last" / "state.json").write_text(json.dumps({"classes": ["red", "green", "blue"]}))
        score = {"base": 0.5, "higher_rate": 0.6, "no_warm_up": 0.47}[run.parent.name]
        score += 0.02 * (config.seed - 4)
        half = config.iters // 2
        speed = config.batch_size * half / 60  # images per second, if half of the run takes a minute
        events = [
            {"event": "train", "iter": half, "images_per_s": speed},
            {"event": "eval", "iter": half, "score": 0.9, "class_iou": [1, 1, 1], "accuracy": 1},  # not the last
            {"event": "train", "iter": config.iters, "images_per_s": speed / 2},
            {"event": "eval", "iter": config.iters, "score": score, "accuracy": 0.7, "class_iou": [score, None, 0.25]},
        ]
        (run / "log.jsonl").write_text("\n".join(map(json.dumps, events)))


def tool(rows_file, runner, *words):
    return ablate.main([str(rows_file), "--save_dir", str(rows_file.parent / "runs"), *words], runner)


def test_the_table(rows_file, capsys):
    runner = Runner()
    assert tool(rows_file, runner, "--classes", "red", "green") == 0
    assert runner.calls == [
        (row, seed) for row in ("base", "higher_rate", "no_warm_up") for seed in ("seed_4", "seed_5")
    ]
    text = capsys.readouterr().out
    assert text.splitlines() == [
        "| row | score | difference | seed 4 | seed 5 | accuracy | red | green | minutes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| base | 0.5100 |  | 0.5000 | 0.5200 | 0.700 | 0.510 | - | 3.0 |",
        "| Higher rate | 0.6100 | +0.1000 | 0.6000 | 0.6200 | 0.700 | 0.610 | - | 3.0 |",
        "| no warm-up | 0.4800 | -0.0300 | 0.4700 | 0.4900 | 0.700 | 0.480 | - | 3.0 |",
    ]
    folder = rows_file.parent / "runs" / "options"
    assert (folder / "table.md").read_text() == text
    assert json.loads((folder / "table.json").read_text())["Higher rate"][1]["score"] == pytest.approx(0.62)


def test_finished_runs_are_taken_as_they_are(rows_file, capsys):
    first = Runner(fails=("higher_rate", "seed_5"))
    assert tool(rows_file, first) == 5
    assert "it ended with code 1" in capsys.readouterr().err
    second = Runner()
    assert tool(rows_file, second) == 0
    assert second.calls == [("higher_rate", "seed_5"), ("no_warm_up", "seed_4"), ("no_warm_up", "seed_5")]


def test_only_some_rows(rows_file, capsys):
    runner = Runner()
    assert tool(rows_file, runner, "--only", "no warm-up") == 0
    assert {row for row, _ in runner.calls} == {"base", "no_warm_up"}
    assert tool(rows_file, runner, "--only", "warmup") == 2
    assert "has no row 'warmup'" in capsys.readouterr().err


def test_a_run_of_other_settings_is_not_taken(rows_file, capsys):
    run = rows_file.parent / "runs" / "options" / "base" / "seed_4"
    run.mkdir(parents=True)
    config = load_config(yaml.safe_load(rows_file.read_text())["base"], ["seed=4", "iters=3"])
    (run / "config.yml").write_text(yaml.safe_dump(config.to_dict()))
    runner = Runner()
    assert tool(rows_file, runner) == 5
    assert "was trained with other settings" in capsys.readouterr().err
    assert runner.calls == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base": None, "rows": 3}, "write base: FILE"),
        ({"seeds": []}, "names no seed"),
        ({"rows": [{"name": "Base", "override": []}]}, "share the folder base"),
        ({"rows": [{"name": "a", "override": ["iterations=3"]}]}, "iterations"),
    ],
)
def test_mistakes_cost_no_training(rows_file, change, message, capsys):
    rows_file.write_text(yaml.safe_dump(yaml.safe_load(rows_file.read_text()) | change))
    runner = Runner()
    assert tool(rows_file, runner) == 2
    assert message in capsys.readouterr().err
    assert runner.calls == []


def test_a_class_that_does_not_exist(rows_file, capsys):
    assert tool(rows_file, Runner(), "--classes", "purple") == 2
    assert "no scores of 'purple'" in (error := capsys.readouterr().err)
    assert "red, green, blue" in error


def test_the_real_trainer(rows_file, capsys):
    """Its log and its configuration are what the tool reads."""
    document = yaml.safe_load(rows_file.read_text())
    rows_file.write_text(yaml.safe_dump(document | {"seeds": [4], "rows": []}))
    assert ablate.main([str(rows_file), "--save_dir", str(rows_file.parent / "runs")]) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("| base | 0.")

    def never(*words):
        raise AssertionError("the run is finished")

    assert ablate.main([str(rows_file), "--save_dir", str(rows_file.parent / "runs")], never) == 0


@pytest.mark.parametrize("name", ["camvid", "person"])
def test_the_rows_of_the_repository_change_what_they_say(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    base, seeds, rows = ablate.read_rows(Path("tools/ablation") / f"{name}.yml")
    configs = [load_config(base, list(row.override)) for row in rows]
    assert len({config.hash for config in configs}) == len(rows) >= 6
    assert len(seeds) == 1
    for config in configs:
        assert config.iters == configs[0].iters
        assert config.batch_size == configs[0].batch_size
        assert config.to_dict()["val_dataset"] == configs[0].to_dict()["val_dataset"]
