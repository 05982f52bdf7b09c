"""Which checkpoints a run keeps, and which one a path means."""

import shutil

import numpy as np
import pytest

from mobileseg.errors import TrainingError
from mobileseg.training.checkpoint import Checkpoint, read_state
from mobileseg.training.store import CheckpointStore, find_checkpoint, run_folder_of

pytestmark = pytest.mark.both


def save(store, iteration, **options):
    state = {"iteration": iteration}
    return store.save(iteration, Checkpoint({"w": np.zeros(2, np.float32)}, {}, state), **options)


def silent(text):
    raise AssertionError(text)


@pytest.fixture
def store(tmp_path):
    store = CheckpointStore(tmp_path / "run", keep=2)
    store.prepare()
    return store


def kept(store):
    return sorted(path.name for path in (store.run / "checkpoints").iterdir())


def test_oldest_are_dropped_but_not_best_and_last(store):
    for iteration in (100, 200, 300, 400):
        save(store, iteration, best=iteration == 100)
    assert kept(store) == ["iter_000300", "iter_000400"]
    assert read_state(store.run / "best")["iteration"] == 100
    assert read_state(store.run / "last")["iteration"] == 400
    assert store.newest(silent).name == "iter_000400"


def test_keep_zero_keeps_all(tmp_path):
    store = CheckpointStore(tmp_path, keep=0)
    store.prepare()
    for iteration in range(1, 6):
        save(store, iteration)
    assert len(kept(store)) == 5


def test_interrupted_save_is_only_last_and_is_the_newest(store):
    save(store, 100)
    save(store, 130, numbered=False)
    assert kept(store) == ["iter_000100"]
    assert store.newest(silent) == store.run / "last"


def test_damaged_ones_are_passed_over_with_a_message(store):
    for iteration in (100, 200):
        save(store, iteration)
    for name in ("last", "checkpoints/iter_000200"):
        path = store.run / name / "model.pdparams"
        path.unlink()
        path.write_bytes(b"damaged")
    said = []
    assert store.newest(said.append).name == "iter_000100"
    assert len(said) == 2
    assert all("is damaged" in line for line in said)


def test_nothing_whole_is_an_error_and_nothing_at_all_is_none(store):
    assert store.newest(silent) is None
    save(store, 100)
    for name in ("last", "checkpoints/iter_000100"):
        (store.run / name / "state.json").unlink()
    with pytest.raises(TrainingError, match="none of the 2 checkpoints"):
        store.newest(lambda text: None)


def test_kill_between_the_renames_of_last(store):
    save(store, 100)
    save(store, 130, numbered=False)
    (store.run / "last").rename(store.run / ".old-last")
    assert store.newest(silent) == store.run / ".old-last"
    store.prepare()
    assert store.newest(silent) == store.run / "last"


def test_what_a_path_means(store, tmp_path):
    for iteration in (100, 200):
        save(store, iteration)
    numbered = store.run / "checkpoints" / "iter_000100"
    assert find_checkpoint(store.run, silent).name == "iter_000200"
    assert find_checkpoint(numbered, silent) == numbered
    assert find_checkpoint(numbered / "model.pdparams", silent) == numbered
    for path in (store.run, numbered, numbered / "model.pdparams", store.run / "last"):
        assert run_folder_of(path) == store.run
    with pytest.raises(TrainingError, match="nothing to resume"):
        find_checkpoint(tmp_path / "missing", silent)
    shutil.rmtree(store.run / "last")
    shutil.rmtree(store.run / "checkpoints")
    (store.run / "checkpoints").mkdir()
    with pytest.raises(TrainingError, match="no checkpoint yet"):
        find_checkpoint(store.run, silent)


def test_last_catches_up_with_a_checkpoint_behind_which_the_process_was_killed(store):
    save(store, 100)
    shutil.copytree(store.run / "last", store.run / "before")
    newest = save(store, 200)
    shutil.rmtree(store.run / "last")
    (store.run / "before").rename(store.run / "last")
    store.catch_up(newest)
    assert read_state(store.run / "last")["iteration"] == 200
    store.catch_up(store.run / "last")
    assert read_state(store.run / "last")["iteration"] == 200


def test_last_is_no_copy_of_another_run(store, tmp_path):
    other = CheckpointStore(tmp_path / "other")
    other.prepare()
    store.catch_up(save(other, 300))
    assert not (store.run / "last").exists()
