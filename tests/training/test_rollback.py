"""After going back to an older checkpoint that line is the only one; scores that cannot be compared are not."""

import shutil

import pytest
import yaml

from mobileseg.config.load import load_config
from mobileseg.training.checkpoint import Checkpoint, read_checkpoint, read_state, write_checkpoint
from mobileseg.training.store import CheckpointStore
from mobileseg.training.trainer import Trainer
from tests.training.toy import equal, toy_section, weights_of

pytestmark = pytest.mark.both

SETTINGS = ("iters=8", "save_interval=2", "eval_interval=2", "keep_checkpoint_max=0", "log_iters=2")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, toy_data):
    folder = tmp_path_factory.mktemp("whole")
    path = folder / "toy.yml"
    path.write_text(yaml.safe_dump(toy_section(toy_data)))
    config = load_config(path, list(SETTINGS))
    Trainer(config, folder / "run").fit()
    return config, folder / "run"


@pytest.fixture
def copied(whole, tmp_path):
    config, run = whole
    shutil.copytree(run, tmp_path / "run")
    return config, tmp_path / "run"


def numbers(run):
    return sorted(int(path.name.removeprefix("iter_")) for path in (run / "checkpoints").iterdir())


def test_the_abandoned_line_is_set_aside_and_newest_is_that_of_the_new_one(copied, capsys):
    config, run = copied
    changed = config.changed({"iters": 6})
    Trainer(changed, run).fit(run / "checkpoints" / "iter_000004")
    assert numbers(run) == [2, 4, 6]
    assert CheckpointStore(run).newest(pytest.fail).name == "iter_000006"
    assert read_state(run / "last")["iters"] == 6
    assert sorted(path.name for path in (run / "abandoned_1").iterdir() if path.name.startswith("iter")) == [
        "iter_000006",
        "iter_000008",
    ]
    assert "moved to" in capsys.readouterr().err
    Trainer(config, run).fit(run / "checkpoints" / "iter_000004")
    assert (run / "abandoned_2" / "iter_000006").is_dir()


def test_checkpoints_just_written_are_not_dropped_for_abandoned_ones(copied):
    config, run = copied
    Trainer(config.changed({"keep_checkpoint_max": 2, "iters": 6}), run).fit(run / "checkpoints" / "iter_000002")
    assert numbers(run) == [4, 6]


def test_going_back_gives_the_bits_of_the_first_time(copied):
    config, run = copied
    expected = read_checkpoint(run / "last").weights
    again = Trainer(config, run)
    again.fit(run / "checkpoints" / "iter_000004")
    assert equal(expected, weights_of(again))


def test_best_is_that_of_the_line(copied):
    """Whatever was the best before, there is a best/ afterwards, and it is what the state says."""
    config, run = copied
    Trainer(config, run).fit(run / "checkpoints" / "iter_000002")
    assert read_state(run / "best")["iteration"] == read_state(run / "last")["best"]["iteration"]


def test_resumed_into_a_new_folder_the_best_comes_along(copied, tmp_path):
    config, run = copied
    source = run / "checkpoints" / "iter_000006"
    Trainer(config.changed({"iters": 7, "eval_interval": 100}), tmp_path / "new", do_eval=False).fit(source)
    known = read_state(tmp_path / "new" / "last")["best"]
    assert read_state(tmp_path / "new" / "best")["iteration"] == known["iteration"]


def test_a_checkpoint_that_is_the_best_itself_becomes_it(copied, tmp_path):
    config, run = copied
    best = read_state(run / "best")["iteration"]
    lone = shutil.copytree(run / "best", tmp_path / "lone")
    Trainer(config.changed({"iters": best + 1}), tmp_path / "new", do_eval=False).fit(lone)
    assert read_state(tmp_path / "new" / "best")["iteration"] == best


def test_a_best_whose_weights_are_gone_is_forgotten(copied, tmp_path, capsys):
    config, run = copied
    lone = read_checkpoint(run / "checkpoints" / "iter_000006")
    state = {key: value for key, value in lone.state.items() if key not in ("format", "files", "state_sha256")}
    state["best"] = {"metric": "mIoU", "score": 0.999, "iteration": 4}
    write_checkpoint(tmp_path / "lone", Checkpoint(lone.weights, lone.arrays, state))
    trainer = Trainer(config.changed({"iters": 7}), tmp_path / "new")
    trainer.fit(tmp_path / "lone")
    assert "not there any more" in capsys.readouterr().err
    assert trainer.best["iteration"] == read_state(tmp_path / "new" / "best")["iteration"] == 7


def test_scores_on_another_validation_set_are_not_compared(copied, toy_data, tmp_path, capsys):
    config, run = copied
    listed = tmp_path / "easy.txt"
    listed.write_text((toy_data / "val.txt").read_text().splitlines()[0])
    section = {**config.to_dict()["val_dataset"], "val_path": str(listed)}
    trainer = Trainer(config.changed({"val_dataset": section, "iters": 10}), run)
    trainer.fit("auto")
    assert "what is evaluated changed (val_dataset, test_config): the best score so far" in capsys.readouterr().err
    assert trainer.best["iteration"] == 10
    assert read_state(run / "best")["iteration"] == 10


@pytest.mark.parametrize("place", ["last", "best"])
def test_a_kill_behind_the_last_numbered_checkpoint_is_mended_by_the_next_start(copied, place):
    """`last` and `best` are linked after it was written; a finished run has both all the same."""
    config, run = copied
    newest = run / "checkpoints" / "iter_000008"
    state = read_state(newest)
    shutil.rmtree(run / place)
    if place == "last":
        shutil.copytree(run / "checkpoints" / "iter_000006", run / "last")
    Trainer(config, run).fit("auto")
    assert read_state(run / place)["iteration"] == (8 if place == "last" else state["best"]["iteration"])
